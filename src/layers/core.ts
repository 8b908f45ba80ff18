import { Buffer, takeAll } from "../buffers.js";
import { type Engine, engineFrom } from "../engine.js";
import { StateError } from "../errors.js";
import { newTensor, type Tensor } from "../tensor.js";
import { copyInput, readGradient, readInput } from "./inputs.js";
import { type Input, Layer, type LayerOptions, type Message, type Parameter } from "./layer.js";

/** What a forward leaves for the messages back. */
interface Memory {
  readonly x: Tensor;
  readonly xVersion: number;
  readonly outputShape: readonly number[];
}

/** A buffer and the shape it is wanted in. */
export type Request = readonly [buffer: Buffer, shape: readonly number[]];

/** What a message back is asked for: dL/dx, the parameters' gradients; and whether dy's own memory may serve for the result. */
export interface Wanted {
  readonly input: boolean;
  readonly params: boolean;
  readonly mayOverwrite: boolean;
}

/**
 * The base of lanegrad's own layers: reads what x and dy may be, remembers the last forward, owns buffers and parameters. A
 * subclass says which shapes fit and which buffers it needs, and computes on tensors. All memory of a call is taken at once, before
 * anything is written.
 */
export abstract class CoreLayer extends Layer {
  readonly engine: Engine;
  readonly #buffers: Buffer[] = [];
  readonly #xCopy: Buffer;
  readonly #dyCopy: Buffer;
  #memory: Memory | undefined;
  #disposed = false;

  constructor(options: LayerOptions) {
    super();
    this.engine = engineFrom(options);
    this.#xCopy = this.buffer();
    this.#dyCopy = this.buffer();
  }

  abstract override describe(): string;

  /** The output's shape for an input's; throws a ShapeError where the input does not fit. */
  abstract override shapeAfter(inputShape: readonly number[]): readonly number[];

  /** The buffers of a forward; the first is the output's. */
  protected abstract forwardBuffers(inputShape: readonly number[], outputShape: readonly number[]): Request[];

  /** y = f(x) into the buffers' tensors. What the messages back need beside x is kept in training mode only. */
  protected abstract computeForward(x: Tensor, taken: readonly Tensor[]): void;

  /** The buffers of the messages back. With `mayOverwrite` dy's own memory may serve as one. */
  protected abstract backwardBuffers(
    x: Tensor,
    dyShape: readonly number[],
    wantInput: boolean,
    mayOverwrite: boolean,
  ): Request[];

  /** The messages that are asked for. Returns dL/dx where that is. */
  protected abstract computeBackward(
    x: Tensor,
    dy: Tensor,
    taken: readonly Tensor[],
    wanted: Wanted,
  ): Tensor | undefined;

  override forward(value: Input): Tensor {
    this.assertUsable();
    const given = readInput(value, this.engine, this.flatInputSize(), `${this.describe()}: forward`);
    const outputShape = this.shapeAfter(given.shape);
    const requests = this.forwardBuffers(given.shape, outputShape);
    const { tensor: x, taken } = copyInput(given, this.#xCopy, requests, (t) => this.owns(t));
    this.computeForward(x, taken);
    const y = taken[0];
    y.storage.version++;
    this.#memory = this.training ? { x, xVersion: x.storage.version, outputShape } : undefined;
    return y;
  }

  /** Takes the memory of a forward over such inputs. @internal */
  reserve(inputShape: readonly number[]): void {
    takeAll(this.forwardBuffers(inputShape, this.shapeAfter(inputShape)));
  }

  override backward(dy: Input): Tensor {
    return this.send("backward", dy)!;
  }

  override backwardInput(dy: Input): Tensor {
    return this.send("backwardInput", dy)!;
  }

  override backwardParams(dy: Input): void {
    this.send("backwardParams", dy);
  }

  /** A message back. A net says `mayOverwrite` of a dy that a layer of ours handed it and nobody else needs. @internal */
  send(message: Message, value: Input, mayOverwrite = false): Tensor | undefined {
    const input = message !== "backwardParams";
    const params = message !== "backwardInput";
    this.assertUsable();
    const { x, outputShape } = this.#recall(message);
    const given = readGradient(value, this.engine, this.flatInputSize(), outputShape, `${this.describe()}: ${message}`);
    const requests = this.backwardBuffers(x, outputShape, input, mayOverwrite);
    const { tensor: dy, taken } = copyInput(given, this.#dyCopy, requests, (t) => this.owns(t));
    const dx = this.computeBackward(x, dy, taken, { input, params, mayOverwrite });
    if (mayOverwrite) dy.storage.version++;
    if (!input) return undefined;
    dx!.storage.version++;
    return dx;
  }

  #recall(message: Message): Memory {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new StateError(
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (eval mode keeps nothing)`,
      );
    }
    const { x } = memory;
    if (x.disposed || x.storage.version !== memory.xVersion) {
      const fate = x.disposed ? "disposed" : "overwritten";
      throw new StateError(
        `${this.describe()}: ${message}: the input of the last forward was ${fate} since; clone() what another call overwrites`,
      );
    }
    return memory;
  }

  override assertRemembers(x: Tensor, message: Message): void {
    this.assertUsable();
    if (this.#memory?.x !== x) {
      throw new StateError(
        `${message}: ${this.describe()} was called by itself, or in eval mode, since the net's forward`,
      );
    }
    this.#recall(message);
  }

  /** Eval mode on a tensor that is both x and y, where the layer can. */
  protected computeInPlace?(y: Tensor): void;

  /**
   * forward in eval mode with y in the place of x, which nobody else may need: a net asks for it behind a layer of ours. False where
   * the layer cannot, or is in training mode; then nothing was done. @internal
   */
  forwardInPlace(y: Tensor): boolean {
    if (this.training || this.computeInPlace === undefined) return false;
    this.assertUsable();
    this.shapeAfter(y.shape);
    this.forget();
    this.computeInPlace(y);
    y.storage.version++;
    return true;
  }

  /** Whether a net may run the layer its own way: not where a subclass may compute something else. @internal */
  get isOurs(): boolean {
    return Object.hasOwn(this.constructor, "isOurs");
  }

  /** Forgets the last forward. @internal */
  forget(): void {
    this.#memory = undefined;
  }

  /** A layer may be fed with what it returned: its own buffers are copied, since it is about to write them. */
  override owns(tensor: Tensor): boolean {
    return this.#buffers.some((buffer) => buffer.holds(tensor.storage));
  }

  /** A buffer that lives as long as the layer. */
  protected buffer(): Buffer {
    const buffer = new Buffer(this.engine);
    this.#buffers.push(buffer);
    return buffer;
  }

  override assertUsable(): void {
    if (this.#disposed) throw new StateError(`${this.describe()}: the layer was disposed`);
    this.engine.assertAlive();
  }

  override dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.forget();
    for (const buffer of this.#buffers) buffer.dispose();
    super.dispose();
  }
}

/** Tensors that a layer owns, all standing for zeros until they are written. Where memory runs out none of them is made. */
export function createTensors(engine: Engine, shapes: readonly (readonly number[])[]): Tensor[] {
  const made: Tensor[] = [];
  try {
    for (const shape of shapes) {
      const tensor = newTensor(engine, shape, true);
      tensor.markZero();
      made.push(tensor);
    }
    return made;
  } catch (error) {
    for (const tensor of made) tensor.discard();
    throw error;
  }
}

/** Parameters with their gradients; the same holds. */
export function createParameters(
  engine: Engine,
  specs: readonly (readonly [name: string, shape: readonly number[]])[],
): Parameter[] {
  const tensors = createTensors(
    engine,
    specs.flatMap(([, shape]) => [shape, shape]),
  );
  return specs.map(([name], i) => ({ name, value: tensors[2 * i], grad: tensors[2 * i + 1] }));
}
