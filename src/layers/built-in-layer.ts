import type { Requests, Reservation } from "../buffers.js";
import { type Engine, engineFrom } from "../engine.js";
import { StateError } from "../errors.js";
import { newTensor, sizeOf, type Tensor } from "../tensor.js";
import { type BackwardPlan, CheckedLayer, type ForwardPlan, NEVER } from "./checked-layer.js";
import type { LayerOptions, Message, Parameter } from "./layer.js";

/** Shapes of a forward. */
export interface Shapes {
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
}

/** What a message back is asked for. */
export interface Wanted {
  /** dL/dx */
  readonly input: boolean;
  /** The parameters' gradients. */
  readonly params: boolean;
  /** Whether dy's own memory may hold a result. */
  readonly mayOverwrite: boolean;
}

/** A forward, with its tensors by name. */
interface Forth<Forward> extends ForwardPlan, Shapes {
  readonly outputShape: readonly number[];
  readonly training: boolean;
  readonly own: Forward;
}

/** A message back, with its tensors by name, and those that the forward took. */
export interface Back<Forward, Backward> extends BackwardPlan, Wanted {
  readonly kept: Forward;
  readonly own: Backward;
}

/**
 * The base of lanegrad's own layers. A subclass says which shapes fit and which buffers it needs, by name, and computes on the tensors
 * that it then has by these names: `Forward` those of a forward, `Backward` those of the messages back.
 */
export abstract class BuiltInLayer<
  Forward extends { readonly y: Tensor },
  Backward extends object,
> extends CheckedLayer<Forth<Forward>, Back<Forward, Backward>> {
  constructor(options: LayerOptions) {
    super(engineFrom(options));
  }

  abstract override describe(): string;

  /** The output's shape for an input's; throws a ShapeError where the input does not fit. */
  abstract override shapeAfter(inputShape: readonly number[]): readonly number[];

  /** The buffers of a forward. What only the messages back need is left out in eval mode. */
  protected abstract forwardBuffers(shapes: Shapes): Requests<Forward>;

  /** y = f(x) */
  protected abstract computeForward(x: Tensor, own: Forward): void;

  /** The buffers of a message back. */
  protected abstract backwardBuffers(shapes: Shapes, wanted: Wanted): Requests<Backward>;

  /** A message back. Returns dL/dx where that is wanted. */
  protected abstract computeBackward(x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined;

  /** Eval mode on a tensor that is both x and y, where the layer can. */
  protected computeInPlace?(y: Tensor): void;

  override planForward(inputShape: readonly number[], memory: Reservation): Forth<Forward> {
    const outputShape = this.shapeAfter(inputShape);
    const own = memory.add(this.forwardBuffers({ inputShape, outputShape }));
    return { inputShape, outputShape, training: this.training, own, back: {}, at: NEVER };
  }

  override planBackward(message: Message, mayOverwrite: boolean, memory: Reservation): Back<Forward, Backward> {
    const { plan } = this.remembered;
    const input = message !== "backwardParams";
    // an empty batch adds nothing: its gradients stay none, and a penalty waits for the next batch
    const params = message !== "backwardInput" && sizeOf(plan.outputShape) > 0;
    const own = memory.add(this.backwardBuffers(plan, { input, params, mayOverwrite }));
    return { input, params, mayOverwrite, kept: plan.own, own, at: NEVER };
  }

  override forwardOf(x: Tensor, plan: Forth<Forward>): Tensor {
    const { own } = plan;
    this.computeForward(x, own);
    this.remember(x, own.y, plan);
    return own.y;
  }

  override sendOf(dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const dx = this.computeBackward(this.remembered.x, dy, back);
    return back.input ? dx : undefined;
  }

  protected override hasModesOf({ training }: Forth<Forward>): boolean {
    return training === this.training;
  }

  protected override assertIntact(x: Tensor, xVersion: number, message: Message): void {
    if (x.disposed || x.version !== xVersion) {
      const fate = x.disposed ? "disposed" : "overwritten";
      throw new StateError(
        `${this.describe()}: ${message}: the input of the last forward was ${fate} since; clone() what another call overwrites`,
      );
    }
  }

  /** Whether forward may put y in the place of x: in eval mode, where the layer can. @internal */
  get worksInPlace(): boolean {
    return !this.training && this.computeInPlace !== undefined;
  }

  /** forward with y in the place of x, which nobody else may need: a net asks for it behind a layer of ours. @internal */
  forwardInPlace(y: Tensor): void {
    this.forget();
    this.computeInPlace!(y);
  }
}

/** Whether dL/dx needs a place of its own, in a layer that computes it as well in the place of dy. */
export const needsPlace = ({ input, mayOverwrite }: Wanted): boolean => input && !mayOverwrite;

/** The place of dL/dx in such a layer; undefined where it is not wanted. */
export function placeOfGradient(
  dy: Tensor,
  { input, mayOverwrite, own }: Back<unknown, { readonly dx: Tensor | undefined }>,
): Tensor | undefined {
  return input && mayOverwrite ? dy : own.dx;
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

/** Parameters with their gradients. Where memory runs out none of them is made. */
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
