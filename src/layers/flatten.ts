import type { Requests } from "../buffers.js";
import { checkOptions, showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { type Back, BuiltInLayer, type Shapes, type Wanted } from "./built-in-layer.js";
import { LAYER_OPTIONS, type LayerOptions } from "./layer.js";

interface Forward {
  readonly y: Tensor;
}

interface Backward {
  readonly dx: Tensor | undefined;
}

/**
 * Every sample's values in one row (torch.nn.Flatten): x [N, ...] gives y [N, size of a sample]; one flat sample [n] stays as it is,
 * and an image [C, H, W] is C samples: behind Conv2d one image is [1, C, H, W].
 */
export class Flatten extends BuiltInLayer<Forward, Backward> {
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

  protected override forwardBuffers({ outputShape }: Shapes): Requests<Forward> {
    return { y: [this.#y, outputShape] };
  }

  protected override computeForward(x: Tensor, { y }: Forward): void {
    y.copyFrom(x);
  }

  protected override backwardBuffers({ inputShape }: Shapes, { input }: Wanted): Requests<Backward> {
    return { dx: input ? [this.#dx, inputShape] : undefined };
  }

  protected override computeBackward(_x: Tensor, dy: Tensor, { own }: Back<Forward, Backward>): Tensor | undefined {
    own.dx?.copyFrom(dy);
    return own.dx;
  }

  override get type(): string {
    return "Flatten";
  }

  override describe(): string {
    return "Flatten()";
  }
}
