import type { Tensor } from "../tensor.js";
import type { Activation } from "./activation.js";
import { type BufferRequest, BuiltInLayer, type Wanted } from "./built-in-layer.js";
import type { LayerOptions, Parameter } from "./layer.js";

/** An activation as a layer of its own: y = f(x) for x of any shape that the activation takes. */
export abstract class ActivationLayer extends BuiltInLayer {
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

  override shapeAfter(shape: readonly number[]): readonly number[] {
    this.activation.checkShape(shape, `${this.describe()}: forward`);
    return shape;
  }

  protected override forwardBuffers(_inputShape: readonly number[], outputShape: readonly number[]): BufferRequest[] {
    return [[this.#y, outputShape]];
  }

  protected override computeForward(x: Tensor, [y]: readonly Tensor[]): void {
    this.activation.forward(x, y);
  }

  protected override computeInPlace(y: Tensor): void {
    this.activation.forward(y, y);
  }

  protected override backwardBuffers(
    x: Tensor,
    _dyShape: readonly number[],
    wantInput: boolean,
    mayOverwrite: boolean,
  ): BufferRequest[] {
    const scratch = this.activation.scratch();
    if (mayOverwrite) return [...scratch];
    if (wantInput) return [[this.#dx, x.shape], ...scratch];
    return this.parameters().length > 0 ? [[this.#unused, x.shape], ...scratch] : [];
  }

  protected override computeBackward(
    x: Tensor,
    dy: Tensor,
    [own]: readonly Tensor[],
    { input, params, mayOverwrite }: Wanted,
  ): Tensor | undefined {
    const dx = mayOverwrite ? dy : own;
    // nothing to train and no dL/dx wanted: no pass at all
    const isPass = input || this.parameters().length > 0;
    if (isPass) this.activation.backward(x, dy, dx, params, undefined);
    return dx;
  }

  override dispose(): void {
    this.activation.dispose();
    super.dispose();
  }
}
