import { type BufferRequest, bufferChanges, TensorBuffer, takeAll } from "../buffers.js";
import { type Engine, engineFrom } from "../engine.js";
import { StateError } from "../errors.js";
import { newTensor, sameShape, type Tensor } from "../tensor.js";
import { enter, readGradient, readInput } from "./inputs.js";
import { type Input, Layer, type LayerOptions, type Message, type Parameter } from "./layer.js";

export type { BufferRequest };

/** The memory that a forward took: another over inputs of the same shape, in the same mode, finds it as long as no buffer changes. */
interface ForwardTaken {
  readonly training: boolean;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly tensors: readonly Tensor[];
  readonly at: number;
}

/** The same of a message back through such a forward. */
interface BackwardTaken {
  readonly forward: ForwardTaken;
  readonly input: boolean;
  readonly mayOverwrite: boolean;
  readonly tensors: readonly Tensor[];
  readonly at: number;
}

/** What a forward leaves for the messages back. */
interface Memory {
  readonly x: Tensor;
  readonly xVersion: number;
  readonly taken: ForwardTaken;
}

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
export abstract class BuiltInLayer extends Layer {
  readonly engine: Engine;
  readonly #buffers: TensorBuffer[] = [];
  readonly #xCopy: TensorBuffer;
  readonly #dyCopy: TensorBuffer;
  #memory: Memory | undefined;
  #forwardTaken: ForwardTaken | undefined;
  #backwardTaken: BackwardTaken | undefined;
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
  protected abstract forwardBuffers(inputShape: readonly number[], outputShape: readonly number[]): BufferRequest[];

  /** y = f(x) into the buffers' tensors. What the messages back need beside x is kept in training mode only. */
  protected abstract computeForward(x: Tensor, taken: readonly Tensor[]): void;

  /** The buffers of the messages back. With `mayOverwrite` dy's own memory may serve as one. */
  protected abstract backwardBuffers(
    x: Tensor,
    dyShape: readonly number[],
    wantInput: boolean,
    mayOverwrite: boolean,
  ): BufferRequest[];

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
    const take = (copies: readonly BufferRequest[]): void => {
      this.#takeForward(given.shape, copies);
    };
    return this.forwardOf(enter(given, this.#xCopy, (tensor) => this.owns(tensor), take));
  }

  /** forward of a tensor that is usable, of this engine and none of the layer's own. @internal */
  forwardOf(x: Tensor): Tensor {
    const taken = this.#takeForward(x.shape, []);
    this.computeForward(x, taken.tensors);
    const y = taken.tensors[0];
    y.overwrite();
    this.#memory = taken.training ? { x, xVersion: x.version, taken } : undefined;
    return y;
  }

  /** The memory of a forward over inputs of this shape, and of `copies`, all or none. */
  #takeForward(inputShape: readonly number[], copies: readonly BufferRequest[]): ForwardTaken {
    const { training } = this;
    const last = this.#forwardTaken;
    const isThere = last?.at === bufferChanges && last.training === training && copies.length === 0;
    if (isThere && sameShape(last.inputShape, inputShape)) return last;
    const requests: BufferRequest[] = [];
    const outputShape = this.requestForward(inputShape, requests);
    const tensors = takeAll([...requests, ...copies]).slice(0, requests.length);
    this.#forwardTaken = { training, inputShape, outputShape, tensors, at: bufferChanges };
    return this.#forwardTaken;
  }

  /** Adds to `into` what a forward over inputs of this shape needs; returns the output's shape. @internal */
  requestForward(inputShape: readonly number[], into: BufferRequest[]): readonly number[] {
    const outputShape = this.shapeAfter(inputShape);
    into.push(...this.forwardBuffers(inputShape, outputShape));
    return outputShape;
  }

  override backward(dy: Input): Tensor {
    return this.#send("backward", dy)!;
  }

  override backwardInput(dy: Input): Tensor {
    return this.#send("backwardInput", dy)!;
  }

  override backwardParams(dy: Input): void {
    this.#send("backwardParams", dy);
  }

  #send(message: Message, value: Input): Tensor | undefined {
    this.assertUsable();
    const memory = this.#recall(message);
    const { outputShape } = memory.taken;
    const given = readGradient(value, this.engine, this.flatInputSize(), outputShape, `${this.describe()}: ${message}`);
    const take = (copies: readonly BufferRequest[]): void => {
      this.#takeBackward(memory, message, false, copies);
    };
    return this.sendOf(
      message,
      enter(given, this.#dyCopy, (tensor) => this.owns(tensor), take),
      false,
    );
  }

  /**
   * A message back of a tensor that is usable, in the output's shape and none of the layer's own, through a forward that is known to be
   * remembered. A net says `mayOverwrite` of a dy that a layer of ours handed it and nobody else needs. @internal
   */
  sendOf(message: Message, dy: Tensor, mayOverwrite: boolean): Tensor | undefined {
    const memory = this.#recall(message);
    const input = message !== "backwardParams";
    // a batch of none has nothing to add: its gradients stay none, and a penalty waits for the next
    const params = message !== "backwardInput" && dy.size > 0;
    const tensors = this.#takeBackward(memory, message, mayOverwrite, []);
    const dx = this.computeBackward(memory.x, dy, tensors, { input, params, mayOverwrite });
    if (mayOverwrite) dy.markWritten();
    if (!input) return undefined;
    dx!.overwrite();
    return dx;
  }

  /** The memory of a message back, and of `copies`, all or none. */
  #takeBackward(
    { taken: forward }: Memory,
    message: Message,
    mayOverwrite: boolean,
    copies: readonly BufferRequest[],
  ): readonly Tensor[] {
    const input = message !== "backwardParams";
    const last = this.#backwardTaken;
    const isThere = last?.at === bufferChanges && last.forward === forward && copies.length === 0;
    if (isThere && last.input === input && last.mayOverwrite === mayOverwrite) return last.tensors;
    const requests: BufferRequest[] = [];
    this.requestBackward(message, mayOverwrite, requests);
    const tensors = takeAll([...requests, ...copies]).slice(0, requests.length);
    this.#backwardTaken = { forward, input, mayOverwrite, tensors, at: bufferChanges };
    return tensors;
  }

  /** Adds to `into` what a message back through the remembered forward needs. @internal */
  requestBackward(message: Message, mayOverwrite: boolean, into: BufferRequest[]): void {
    const { x, taken } = this.#memory!;
    into.push(...this.backwardBuffers(x, taken.outputShape, message !== "backwardParams", mayOverwrite));
  }

  #recall(message: Message): Memory {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new StateError(
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (eval mode keeps nothing)`,
      );
    }
    const { x } = memory;
    if (x.disposed || x.version !== memory.xVersion) {
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

  /** Whether forward may put y in the place of x: in eval mode, where the layer can. @internal */
  get worksInPlace(): boolean {
    return !this.training && this.computeInPlace !== undefined;
  }

  /** forward with y in the place of x, which nobody else may need: a net asks for it behind a layer of ours. @internal */
  forwardInPlace(y: Tensor): void {
    this.forget();
    this.computeInPlace!(y);
    y.markWritten();
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
    for (const buffer of this.#buffers) if (buffer.holds(tensor)) return true;
    return false;
  }

  /** A buffer that lives as long as the layer. */
  protected buffer(): TensorBuffer {
    const buffer = new TensorBuffer(this.engine);
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
