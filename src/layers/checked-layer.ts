// What a message needs is checked once, where it comes in from outside:
//
// - `forward`, `backward`, `backwardInput` and `backwardParams` look at what they are given and see to the memory; then
// - `forwardOf` and `sendOf` run. A container calls these of its children: it has checked everything for them already.
//
// A plan says what runs in which memory. When it is made, shapes are checked and all buffers taken at once, before anything is written;
// in a steady loop that is once for many steps. A step still checks:
//
// - `changes`, a single number. While it stays, no buffer changed and no layer was disposed: the plan's tensors are there, and every layer
//   is usable.
// - that the engine is alive, the shape of x, and the modes of all layers inside (anybody may set `training`). A plan holds for those that
//   it was made for; the shapes of all that lies between follow.
// - for messages back, that each layer still remembers the net's forward, and that its x was neither disposed nor overwritten since. Any
//   call may have done that, so each layer is asked, once, before the first of them writes.

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

/** Makes a plan and takes its memory, with room for a copy: all of it or nothing. */
function taken<Plan extends { at: number }>(
  room: BufferRequest | undefined,
  make: (memory: Reservation) => Plan,
): Plan {
  const memory = new Reservation();
  const plan = make(memory);
  memory.add({ room });
  memory.take();
  plan.at = changes;
  return plan;
}

/** What a forward leaves for the messages back. */
interface Memory<Forward> {
  readonly x: Tensor;
  readonly xVersion: number;
  readonly outputShape: readonly number[];
  readonly plan: Forward;
}

/** The base of layers and containers of ours. */
export abstract class CheckedLayer<
  Forward extends ForwardPlan = ForwardPlan,
  Backward extends BackwardPlan = BackwardPlan,
> extends Layer {
  /** The engine that holds the layer. */
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

  /** The layer that a message's argument is for, as errors name it. */
  protected receiver(_message: Message | "forward"): Layer {
    return this;
  }

  #nameOf(message: Message | "forward"): MessageName {
    return new MessageName(this.receiver(message), message);
  }

  override forward(value: Input): Tensor {
    this.#assertStillUsable();
    const what = this.#nameOf("forward");
    const x = settle(readInput(value, this.engine, this.flatInputSize(), what), this);
    const plan = this.#takeForward(x.shape, roomFor(x, this.#xCopy));
    return this.forwardOf(enter(x, this.#xCopy), plan);
  }

  #takeForward(inputShape: readonly number[], room: BufferRequest | undefined): Forward {
    const last = this.#plan;
    const isThere = last !== undefined && last.at === changes && room === undefined;
    if (isThere && sameShape(last.inputShape, inputShape) && this.hasModesOf(last)) return last;
    this.#plan = taken(room, (memory) => this.planForward(inputShape, memory));
    return this.#plan;
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
    const what = this.#nameOf(message);
    const dy = settle(readGradient(value, this.engine, this.flatInputSize(), outputShape, what), this);
    const back = this.#takeBackward(plan, message, roomFor(dy, this.#dyCopy));
    return this.sendOf(enter(dy, this.#dyCopy), back);
  }

  #takeBackward({ back }: Forward, message: Message, room: BufferRequest | undefined): Backward {
    const last = back[message];
    if (last !== undefined && last.at === changes && room === undefined) return last as Backward;
    const plan = taken(room, (memory) => this.planBackward(message, false, memory));
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
        `${this.describe()}: ${message} without a remembered forward: call forward in training mode first (nothing is kept by eval mode, or a forward that failed in a user's layer)`,
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

  /**
   * Whether a container may run it unchecked: its class is one of ours, not a subclass that computes something else, so that nothing goes
   * wrong in its messages once their memory was taken. @internal
   */
  get isForeseeable(): boolean {
    return Object.hasOwn(this.constructor, "isOurs");
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
