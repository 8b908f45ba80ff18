import type { Requests } from "../buffers.js";
import { checkOptions, show, showShape } from "../checks.js";
import { ArgumentError } from "../errors.js";
import { needs } from "../kernels/groups.js";
import { images } from "../kernels/images.js";
import type { Tensor } from "../tensor.js";
import { type Back, BuiltInLayer, type Shapes, type Wanted } from "./built-in-layer.js";
import { type LayerOptions, MessageName } from "./layer.js";
import {
  checkSize2d,
  describeWindow,
  imagesIn,
  isImage,
  placeWindow,
  type Size2d,
  type SlidingWindow,
  shapeAfterWindow,
} from "./sliding-window.js";

/** What MaxPool2d takes beside its kernel's size. */
export interface MaxPool2dOptions extends LayerOptions {
  /** How far the window moves from output to output; default: the kernel's size. */
  stride?: Size2d;
  /** Room around each plane that holds no values, at most half of the kernel; default 0. */
  padding?: Size2d;
}

const OPTIONS = ["engine", "stride", "padding"] as const;

interface Forward {
  readonly y: Tensor;
  readonly places: Tensor | undefined;
}

interface Backward {
  readonly dx: Tensor | undefined;
}

/**
 * The largest value of each window (torch.nn.MaxPool2d): the first of equals in row-major order; a NaN wins, the last of several.
 * dx: each output's dy goes to its maximum's place, a window of nothing but -Infinity sends it to its first cell.
 * x: [N, C, H, W] or [C, H, W]; y: [N, C, H', W'] or [C, H', W'], H' = floor((H + 2 padding - kernel) / stride) + 1.
 *
 * Throws ArgumentError for sizes that are not integers >= 1 and for a padding of more than half the kernel; forward throws
 * ShapeError where the planes with their padding are smaller than the kernel.
 */
export class MaxPool2d extends BuiltInLayer<Forward, Backward> {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;
  /** @internal */
  static readonly kernels = /* @__PURE__ */ needs(images);

  readonly #window: SlidingWindow;
  readonly #y = this.buffer();
  readonly #places = this.buffer();
  readonly #dx = this.buffer();

  constructor(kernelSize: Size2d, options?: MaxPool2dOptions) {
    const settings = checkOptions(options, OPTIONS, "MaxPool2d");
    const kernel = checkSize2d(kernelSize, 1, "MaxPool2d: kernelSize");
    const { stride = kernel, padding: given = 0 } = settings;
    const padding = checkSize2d(given, 0, "MaxPool2d: padding");
    if (padding.some((size, i) => size > kernel[i] / 2)) {
      throw new ArgumentError(
        `MaxPool2d: padding: got ${show(given)}, expected at most half of the kernel ${showShape(kernel)}`,
      );
    }
    const window = { kernel, stride: checkSize2d(stride, 1, "MaxPool2d: stride"), padding };
    super(settings);
    this.#window = window;
  }

  /** [height, width] */
  get kernelSize(): readonly [number, number] {
    return this.#window.kernel;
  }

  /** [height, width] */
  get stride(): readonly [number, number] {
    return this.#window.stride;
  }

  /** [height, width] */
  get padding(): readonly [number, number] {
    return this.#window.padding;
  }

  override isSample(shape: readonly number[]): boolean {
    return isImage(shape);
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    return shapeAfterWindow(shape, undefined, undefined, this.#window, new MessageName(this, "forward"));
  }

  /** The maxima, and their places for the message back, which count as floats as far as memory goes. */
  protected override forwardBuffers({ outputShape }: Shapes): Requests<Forward> {
    return { y: [this.#y, outputShape], places: this.training ? [this.#places, outputShape] : undefined };
  }

  protected override computeForward(x: Tensor, { y, places }: Forward): void {
    const window = this.#windowOf(x);
    this.engine.ops.maxPool2d(imagesIn(x.shape), window, x.read(), y.overwrite(), places?.overwrite() ?? 0);
  }

  protected override backwardBuffers({ inputShape }: Shapes, { input }: Wanted): Requests<Backward> {
    return { dx: input ? [this.#dx, inputShape] : undefined };
  }

  protected override computeBackward(_x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const { dx } = back.own;
    if (dx === undefined) return undefined;
    const places = back.kept.places!.read();
    const window = this.#windowOf(dx);
    this.engine.ops.maxPool2dBackward(imagesIn(dx.shape), window, dy.read(), places, dx.overwrite());
    return dx;
  }

  #windowOf({ shape }: Tensor): number {
    const channels = shape[shape.length - 3];
    return placeWindow(this.engine, shape, channels, this.#window);
  }

  override get type(): string {
    return "MaxPool2d";
  }

  override describe(): string {
    return `MaxPool2d(${describeWindow(this.#window, this.#window.kernel)})`;
  }
}
