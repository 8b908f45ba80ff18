import { type BufferRequest, changes, noteChange, Reservation, TensorBuffer } from "../buffers.js";
import type { Engine } from "../engine.js";
import { StateError } from "../errors.js";
import { sameShape, type Tensor } from "../tensor.js";
import { enter, readGradient, readInput, roomFor, settle } from "./inputs.js";
import { type Input, Layer, type Message, MessageName } from "./layer.js";

/** A forward over inputs of one shape, in the modes that the layers were in: its tensors are there while `changes` is `at`. */
export interface ForwardPlan {
  readonly inputShape: readonly number[];
  /** undefined where a user's layer has to run first. */
  readonly outputShape: readonly number[] | undefined;
  /** The messages back through it that were sent from outside. */
  readonly back: Partial<Record<Message, BackwardPlan>>;
  at: number;
}

/** A message back through such a forward. */
export interface BackwardPlan {
  at: number;
}

/** Before any count of changes. */
export const NEVER = -1;

/** What a forward leaves for the messages back. */
interface Memory<Forward> {
  readonly x: Tensor;
  readonly xVersion: number;
  readonly outputShape: readonly number[];
  readonly plan: Forward;
}

/**
 * The base of layers and containers of ours. What a message needs is checked once, where it comes in from outside:
 *
 * - `forward`, `backward`, `backwardInput` and `backwardParams` look at what they are given and see to the memory; then
 * - `forwardOf` and `sendOf` run. A container calls those of its children, for which it has asked everything already.
 *
 * A plan says what runs in which memory. It is made where shapes are checked and buffers taken, all at once, before anything is written.
 * In a steady loop it is made once. What a step still looks at, and why that is enough:
 *
 * - `changes`, a single number. While it stays no buffer changed and no layer was disposed, so a plan's tensors are there and all layers
 *   are usable.
 * - whether the engine is alive, the shape of x, and the modes of all layers inside (`training` may be set by anybody): plans hold for
 *   those they were made for. Shapes of all that lies between follow from them.
 * - for messages back: that each layer still remembers the forward of the net, and that its x was neither disposed nor overwritten since.
 *   Any call may do that, so every layer is asked, once, before the first of them writes.
 */
export abstract class CheckedLayer<
  Forward extends ForwardPlan = ForwardPlan,
  Backward extends BackwardPlan = BackwardPlan,
> extends Layer {
  readonly engine: Engine;
  readonly #buffers: TensorBuffer[] = [];
  readonly #xCopy: TensorBuffer;
  readonly #dyCopy: TensorBuffer;
  #memory: Memory<Forward> | undefined;
  #plan: Forward | undefined;
  #usableAt = NEVER;
  #disposed = false;

  constructor(engine: Engine) {
    super();
    this.engine = engine;
    this.#xCopy = this.buffer();
    this.#dyCopy = this.buffer();
  }

  /** Checks the shape and asks for the memory of a forward. @internal */
  abstract planForward(inputShape: readonly number[], memory: Reservation): Forward;

  /** Asks for the memory of a message back through the remembered forward; see `sendOf`. @internal */
  abstract planBackward(message: Message, mayOverwrite: boolean, memory: Reservation): Backward;

  /** forward of a tensor that is usable, of this engine and none of the layer's own. @internal */
  abstract forwardOf(x: Tensor, plan: Forward): Tensor;

  /**
   * A message back of a tensor that is usable, in the output's shape and none of the layer's own, through a forward that is known to be
   * remembered. Where the plan says `mayOverwrite` a layer of ours handed dy over, and nobody else needs it. @internal
   */
  abstract sendOf(dy: Tensor, plan: Backward): Tensor | undefined;

  /** Whether all layers are in the modes that a plan is for. */
  protected abstract hasModesOf(plan: Forward): boolean;

  /** Throws a StateError where what a forward left cannot be used any more. */
  protected abstract assertIntact(x: Tensor, xVersion: number, message: Message): void;

  /** The layer that what is given to a message is for, as errors name it. */
  protected receiver(_message: Message | "forward"): Layer {
    return this;
  }

  override forward(value: Input): Tensor {
    this.#assertStillUsable();
    const what = new MessageName(this.receiver("forward"), "forward");
    const x = settle(readInput(value, this.engine, this.flatInputSize(), what), this);
    const plan = this.#takeForward(x.shape, roomFor(x, this.#xCopy));
    return this.forwardOf(enter(x, this.#xCopy), plan);
  }

  #takeForward(inputShape: readonly number[], copies: readonly BufferRequest[]): Forward {
    const last = this.#plan;
    const isThere = last !== undefined && last.at === changes && copies.length === 0;
    if (isThere && sameShape(last.inputShape, inputShape) && this.hasModesOf(last)) return last;
    const memory = new Reservation();
    const plan = this.planForward(inputShape, memory);
    memory.take(copies);
    plan.at = changes;
    this.#plan = plan;
    return plan;
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
    this.#assertStillUsable();
    const { outputShape, plan } = this.#recall(message);
    const what = new MessageName(this.receiver(message), message);
    const dy = settle(readGradient(value, this.engine, this.flatInputSize(), outputShape, what), this);
    const back = this.#takeBackward(plan, message, roomFor(dy, this.#dyCopy));
    return this.sendOf(enter(dy, this.#dyCopy), back);
  }

  #takeBackward({ back }: Forward, message: Message, copies: readonly BufferRequest[]): Backward {
    const last = back[message];
    if (last !== undefined && last.at === changes && copies.length === 0) return last as Backward;
    const memory = new Reservation();
    const plan = this.planBackward(message, false, memory);
    memory.take(copies);
    plan.at = changes;
    back[message] = plan;
    return plan;
  }

  /** Keeps what the messages back need, in training mode; otherwise forgets the forward before. */
  protected remember(x: Tensor, y: Tensor, plan: Forward): void {
    this.#memory = this.training ? { x, xVersion: x.version, outputShape: y.shape, plan } : undefined;
  }

  /** Forgets the last forward. @internal */
  forget(): void {
    this.#memory = undefined;
  }

  /** What the last forward left, where it is known that it left something. */
  protected get remembered(): Pick<Memory<Forward>, "x" | "plan"> {
    return this.#memory!;
  }

  #recall(message: Message): Memory<Forward> {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new StateError(
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (eval mode keeps nothing, nor does a forward that failed in a user's layer)`,
      );
    }
    this.assertIntact(memory.x, memory.xVersion, message);
    return memory;
  }

  override assertRemembers(x: Tensor, message: Message): void {
    if (this.#memory?.x !== x) {
      throw new StateError(
        `${message}: ${this.describe()} was called by itself, or in eval mode, since the net's forward`,
      );
    }
    this.#recall(message);
  }

  /** Whether its class is one of ours, and not derived from it: such a subclass may compute something else. @internal */
  get isOurs(): boolean {
    return Object.hasOwn(this.constructor, "isOurs");
  }

  /** Whether nothing goes wrong in its messages once their memory was taken: in a container it runs unchecked. @internal */
  get isForeseeable(): boolean {
    return this.isOurs;
  }

  /** A layer may be fed with what it returned: its own buffers are copied, since it is about to write them. */
  override owns(tensor: Tensor): boolean {
    for (const buffer of this.#buffers) if (buffer.holds(tensor)) return true;
    return false;
  }

  /** A buffer that lives as long as the layer. */
  protected buffer(): TensorBuffer {
    const buffer = new TensorBuffer(this.engine, true);
    this.#buffers.push(buffer);
    return buffer;
  }

  #assertStillUsable(): void {
    if (this.#usableAt === changes) {
      this.engine.assertAlive();
      return;
    }
    this.assertUsable();
    this.#usableAt = changes;
  }

  override assertUsable(): void {
    if (this.#disposed) throw new StateError(`${this.describe()}: the layer was disposed`);
    this.engine.assertAlive();
  }

  override dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.forget();
    noteChange();
    for (const buffer of this.#buffers) buffer.dispose();
    super.dispose();
  }
}
