import { checkOptions, showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { type BufferRequest, BuiltInLayer } from "./built-in-layer.js";
import { LAYER_OPTIONS, type LayerOptions } from "./layer.js";

/**
 * Every sample's values in one row (torch.nn.Flatten): x [N, ...] gives y [N, size of a sample]; one flat sample [n] stays as it is,
 * and an image [C, H, W] is C samples: behind Conv2d one image is [1, C, H, W].
 */
export class Flatten extends BuiltInLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  readonly #y = this.buffer();
  readonly #dx = this.buffer();

  constructor(options?: LayerOptions) {
    super(checkOptions(options, LAYER_OPTIONS, "Flatten"));
  }

  override isSample(shape: readonly number[]): boolean {
    return shape.length === 1;
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    if (shape.length === 0) {
      throw new ShapeError(`Flatten(): forward got ${showShape(shape)}, expected ${showShape(["N", "..."])}`);
    }
    return shape.length === 1 ? shape : [shape[0], sizeOf(shape.slice(1))];
  }

  protected override forwardBuffers(_inputShape: readonly number[], outputShape: readonly number[]): BufferRequest[] {
    return [[this.#y, outputShape]];
  }

  protected override computeForward(x: Tensor, [y]: readonly Tensor[]): void {
    y.data.set(x.liveView());
  }

  protected override backwardBuffers(x: Tensor, _dyShape: readonly number[], wantInput: boolean): BufferRequest[] {
    return wantInput ? [[this.#dx, x.shape]] : [];
  }

  protected override computeBackward(_x: Tensor, dy: Tensor, [dx]: readonly Tensor[]): Tensor | undefined {
    dx?.data.set(dy.liveView());
    return dx;
  }

  override get type(): string {
    return "Flatten";
  }

  override describe(): string {
    return "Flatten()";
  }
}
