import type { Text } from "../checks.js";
import type { Engine } from "../engine.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { BiasTarget } from "./activation.js";
import type { AffineMap } from "./affine.js";
import type { Parameter } from "./layer.js";
import { imagesIn, isImage, placeWindow, type SlidingWindow, shapeAfterWindow } from "./sliding-window.js";

/** s = the convolution of x with W, + b for each channel; x [N, C, H, W] or [C, H, W], W [O, C, kh, kw]. */
export class ConvolutionMap implements AffineMap {
  readonly engine: Engine;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly flatInputSize = undefined;

  constructor(
    readonly weight: Parameter,
    readonly bias: Parameter | undefined,
    readonly window: SlidingWindow,
  ) {
    this.engine = weight.value.engine;
    [this.outChannels, this.inChannels] = weight.value.shape;
  }

  isSample(shape: readonly number[]): boolean {
    return isImage(shape);
  }

  shapeAfter(shape: readonly number[], what: Text): readonly number[] {
    return shapeAfterWindow(shape, this.inChannels, this.outChannels, this.window, what);
  }

  workSize(inputShape: readonly number[]): number {
    // no images, no work, whatever the size of their planes
    if (sizeOf(inputShape) === 0) return 0;
    return this.engine.ops.conv2dWorkBytes(this.#window(inputShape)) / 4;
  }

  channelLayout(s: Tensor): BiasTarget["layout"] {
    const inner = s.shape[s.shape.length - 2] * s.shape[s.shape.length - 1];
    return [imagesIn(s.shape), this.outChannels, inner];
  }

  forward(x: Tensor, s: Tensor, work: Tensor | undefined): void {
    const bias = this.bias?.value.read() ?? 0;
    const weight = this.weight.value.read();
    if (work === undefined) return; // no images
    this.engine.ops.conv2d(imagesIn(x.shape), this.#window(x.shape), x.offset, weight, bias, s.offset, work.offset);
  }

  addWeightGradient(x: Tensor, ds: Tensor, work: Tensor | undefined): void {
    const { grad } = this.weight;
    const adds = grad.startSum();
    this.engine.ops.conv2dBackwardWeight(
      work === undefined ? 0 : imagesIn(x.shape),
      this.#window(x.shape),
      x.read(),
      ds.read(),
      grad.offset,
      adds,
      work?.overwrite() ?? 0,
    );
  }

  inputGradient(ds: Tensor, dx: Tensor, work: Tensor | undefined): void {
    const weight = this.weight.value.read();
    if (work === undefined) return; // no images
    this.engine.ops.conv2dBackwardInput(
      imagesIn(dx.shape),
      this.#window(dx.shape),
      ds.read(),
      weight,
      dx.overwrite(),
      work.overwrite(),
    );
  }

  #window(inputShape: readonly number[]): number {
    return placeWindow(this.engine, inputShape, this.outChannels, this.window);
  }
}
