import type { Engine } from "../engine.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { BiasTarget } from "./activation.js";
import type { AffineMap } from "./affine.js";
import type { Parameter } from "./layer.js";
import { isImage, shapeAfterWindow, type Window } from "./window.js";

/** What the kernels are told of a convolution. */
type Geometry = readonly [
  channels: number,
  height: number,
  width: number,
  outChannels: number,
  kernelHeight: number,
  kernelWidth: number,
  strideHeight: number,
  strideWidth: number,
  paddingHeight: number,
  paddingWidth: number,
];

/** s = the convolution of x with W, + b for each channel; x [N, C, H, W] or [C, H, W], W [O, C, kh, kw]. */
export class ConvolutionMap implements AffineMap {
  readonly engine: Engine;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly flatInputSize = undefined;

  constructor(
    readonly weight: Parameter,
    readonly bias: Parameter | undefined,
    readonly window: Window,
  ) {
    this.engine = weight.value.engine;
    [this.outChannels, this.inChannels] = weight.value.shape;
  }

  isSample(shape: readonly number[]): boolean {
    return isImage(shape);
  }

  shapeAfter(shape: readonly number[], what: string): readonly number[] {
    return shapeAfterWindow(shape, this.inChannels, this.outChannels, this.window, what);
  }

  workSize(inputShape: readonly number[]): number {
    // no images, no work; and whatever the planes of none claim to be
    if (sizeOf(inputShape) === 0) return 0;
    return this.engine.ops.conv2dWorkBytes(...this.#geometry(inputShape)) / 4;
  }

  channelLayout(s: Tensor): BiasTarget["layout"] {
    const inner = s.shape[s.shape.length - 2] * s.shape[s.shape.length - 1];
    return [imagesOf(s), this.outChannels, inner];
  }

  forward(x: Tensor, s: Tensor, work: Tensor | undefined): void {
    const bias = this.bias?.value.read() ?? 0;
    const weight = this.weight.value.read();
    if (work === undefined) return; // no images
    this.engine.ops.conv2d(
      imagesOf(x),
      ...this.#geometry(x.shape),
      x.storage.offset,
      weight,
      bias,
      s.storage.offset,
      work.storage.offset,
    );
  }

  addWeightGradient(x: Tensor, ds: Tensor, work: Tensor | undefined): void {
    const { grad } = this.weight;
    const accumulate = grad.accumulates();
    this.engine.ops.conv2dBackwardWeight(
      work === undefined ? 0 : imagesOf(x),
      ...this.#geometry(x.shape),
      x.storage.offset,
      ds.storage.offset,
      grad.storage.offset,
      accumulate,
      work?.storage.offset ?? 0,
    );
  }

  inputGradient(ds: Tensor, dx: Tensor, work: Tensor | undefined): void {
    const weight = this.weight.value.read();
    if (work === undefined) return; // no images
    this.engine.ops.conv2dBackwardInput(
      imagesOf(dx),
      ...this.#geometry(dx.shape),
      ds.storage.offset,
      weight,
      dx.storage.offset,
      work.storage.offset,
    );
  }

  #geometry(inputShape: readonly number[]): Geometry {
    const [height, width] = inputShape.slice(-2);
    const { kernel, stride, padding } = this.window;
    return [this.inChannels, height, width, this.outChannels, ...kernel, ...stride, ...padding];
  }
}

const imagesOf = ({ shape }: Tensor): number => (isImage(shape) ? 1 : shape[0]);
