import { checkBoolean, checkOptions, checkSize } from "../checks.js";
import { engineFrom } from "../engine.js";
import { needs } from "../kernels/groups.js";
import { images } from "../kernels/images.js";
import { fillUniform } from "../tensor.js";
import { AffineLayer } from "./affine.js";
import { createParameters } from "./built-in-layer.js";
import { ConvolutionMap } from "./convolution.js";
import type { LayerOptions, Parameter } from "./layer.js";
import { checkSize2d, describeWindow, type Size2d } from "./sliding-window.js";

/** What Conv2d takes beside its sizes. */
export interface Conv2dOptions extends LayerOptions {
  /** How far the kernel moves from output to output; default 1. */
  stride?: Size2d;
  /** Zeros around each plane; default 0. */
  padding?: Size2d;
  /** Whether each output channel has a bias; default true. */
  bias?: boolean;
}

const USUAL_STRIDE = [1, 1];

const OPTIONS = ["engine", "stride", "padding", "bias"] as const;

/**
 * The convolution (cross-correlation) of torch.nn.Conv2d:
 *   y[n, o, i, j] = bias[o] + Σ over c, u, v of weight[o, c, u, v] · x[n, c, i · stride - padding + u, j · stride - padding + v]
 * x: [N, inChannels, H, W] or one image [inChannels, H, W]; y: [N, outChannels, H', W'] or [outChannels, H', W'],
 * H' = floor((H + 2 padding - kernel) / stride) + 1.
 *
 * Parameters `weight` [outChannels, inChannels, kh, kw] and `bias` [outChannels], drawn from U(±1/sqrt(inChannels · kh · kw)) as in
 * PyTorch. Throws ArgumentError for sizes that are not integers >= 1 (padding: >= 0); forward throws ShapeError where the planes
 * with their padding are smaller than the kernel.
 */
export class Conv2d extends AffineLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;
  /** @internal */
  static readonly kernels = /* @__PURE__ */ needs(images);

  declare readonly map: ConvolutionMap;

  constructor(inChannels: number, outChannels: number, kernelSize: Size2d, options?: Conv2dOptions) {
    const settings = checkOptions(options, OPTIONS, "Conv2d");
    const { stride = 1, padding = 0, bias: hasBias = true } = settings;
    checkSize(inChannels, "Conv2d: inChannels");
    checkSize(outChannels, "Conv2d: outChannels");
    const window = {
      kernel: checkSize2d(kernelSize, 1, "Conv2d: kernelSize"),
      stride: checkSize2d(stride, 1, "Conv2d: stride"),
      padding: checkSize2d(padding, 0, "Conv2d: padding"),
    };
    checkBoolean(hasBias, "Conv2d: bias");
    const engine = engineFrom(settings);
    const [weight, bias] = createParameters(engine, [
      ["weight", [outChannels, inChannels, ...window.kernel]],
      ...(hasBias ? [["bias", [outChannels]] as [string, number[]]] : []),
    ]) as [Parameter, Parameter?];
    super(new ConvolutionMap(weight, bias, window));
    const bound = 1 / Math.sqrt(weight.value.size / outChannels);
    for (const { value } of this.parameters()) fillUniform(value, bound);
  }

  /** Channels of x. */
  get inChannels(): number {
    return this.map.inChannels;
  }

  /** Channels of y. */
  get outChannels(): number {
    return this.map.outChannels;
  }

  /** [height, width] */
  get kernelSize(): readonly [number, number] {
    return this.map.window.kernel;
  }

  /** [height, width] */
  get stride(): readonly [number, number] {
    return this.map.window.stride;
  }

  /** [height, width] */
  get padding(): readonly [number, number] {
    return this.map.window.padding;
  }

  override get type(): string {
    return "Conv2d";
  }

  override describe(): string {
    return `Conv2d(${this.inChannels}, ${this.outChannels}, ${describeWindow(this.map.window, USUAL_STRIDE)})`;
  }
}
