import type { Requests } from "../buffers.js";
import type { Tensor } from "../tensor.js";
import type { Activation, Scratch } from "./activation.js";
import { type Back, BuiltInLayer, type Shapes, type Wanted } from "./built-in-layer.js";
import { type LayerOptions, MessageName, type Parameter } from "./layer.js";

interface Forward extends Scratch {
  readonly y: Tensor;
}

interface Backward extends Scratch {
  readonly dx: Tensor | undefined;
}

/** An activation as a layer of its own: y = f(x) for x of any shape that the activation takes. */
export abstract class ActivationLayer extends BuiltInLayer<Forward, Backward> {
  /** @internal */
  readonly activation: Activation;
  readonly #isTrained: boolean;
  readonly #y = this.buffer();
  readonly #dx = this.buffer();
  // backwardParams alone must not overwrite a dL/dx that was handed out
  readonly #unused = this.buffer();

  constructor(activation: Activation, options: LayerOptions) {
    super(options);
    this.activation = activation;
    this.#isTrained = activation.parameters().length > 0;
  }

  override parameters(): Parameter[] {
    return this.activation.parameters();
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    this.activation.checkShape(shape, new MessageName(this, "forward"));
    return shape;
  }

  protected override forwardBuffers({ outputShape }: Shapes): Requests<Forward> {
    const { effective, slopeGradient } = this.activation.scratch();
    return { y: [this.#y, outputShape], effective, slopeGradient };
  }

  protected override computeForward(x: Tensor, own: Forward): void {
    this.activation.forward(x, own.y, own);
  }

  protected override computeInPlace(y: Tensor): void {
    this.activation.forward(y, y, {});
  }

  protected override backwardBuffers({ inputShape }: Shapes, { input, mayOverwrite }: Wanted): Requests<Backward> {
    const hasPlace = mayOverwrite || !(input || this.#isTrained);
    const dx = input ? this.#dx : this.#unused;
    const { effective, slopeGradient } = this.activation.scratch();
    return { dx: hasPlace ? undefined : [dx, inputShape], effective, slopeGradient };
  }

  protected override computeBackward(x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const { input, params, mayOverwrite, own } = back;
    // nothing to train and no dL/dx wanted: no pass at all
    if (!input && !this.#isTrained) return undefined;
    const dx = mayOverwrite ? dy : own.dx!;
    this.activation.backward(x, dy, dx, own, params);
    return dx;
  }

  /** Frees the layer's memory; any use afterwards is a StateError. */
  override dispose(): void {
    this.activation.dispose();
    super.dispose();
  }
}
