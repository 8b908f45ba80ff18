import type { Tensor } from "../tensor.js";
import type { Activation } from "./activation.js";
import { CoreLayer } from "./core.js";
import type { LayerOptions, Parameter } from "./layer.js";

/** An activation as a layer of its own: y = f(x) for x of any shape that the activation takes. */
export abstract class ActivationLayer extends CoreLayer {
  /** @internal */
  readonly activation: Activation;
  readonly #y = this.buffer();
  readonly #dx = this.buffer();
  // backwardParams alone must not overwrite a dL/dx that was handed out
  readonly #unused = this.buffer();

  constructor(activation: Activation, options: LayerOptions) {
    super(options);
    this.activation = activation;
  }

  override parameters(): Parameter[] {
    return this.activation.parameters();
  }

  protected override outputShape(shape: readonly number[]): readonly number[] {
    this.activation.checkShape(shape, `${this.describe()}: forward`);
    return shape;
  }

  protected override computeForward(x: Tensor, outputShape: readonly number[]): Tensor {
    const y = this.#y.take(outputShape);
    this.activation.forward(x, y);
    return y;
  }

  protected override computeBackward(
    x: Tensor,
    dy: Tensor,
    wantInput: boolean,
    wantParams: boolean,
  ): Tensor | undefined {
    if (!wantInput && this.parameters().length === 0) return undefined;
    const dx = (wantInput ? this.#dx : this.#unused).take(x.shape);
    this.activation.backward(x, dy, dx, wantParams, undefined);
    return wantInput ? dx : undefined;
  }

  override dispose(): void {
    this.activation.dispose();
    super.dispose();
  }
}
