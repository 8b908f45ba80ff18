import type { Requests } from "../buffers.js";
import { checkOptions, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Key } from "../random.js";
import type { Tensor } from "../tensor.js";
import { type Back, BuiltInLayer, needsPlace, placeOfGradient, type Shapes, type Wanted } from "./built-in-layer.js";
import { LAYER_OPTIONS, type LayerOptions } from "./layer.js";

interface Forward {
  readonly y: Tensor;
}

interface Backward {
  readonly dx: Tensor | undefined;
}

/** Masks compare 24 random bits. */
const RANDOM_VALUES = 2 ** 24;

/**
 * In training mode y = x ⊙ m with m = 0 with probability p, 1 / (1 - p) otherwise, independently for each element
 * (torch.nn.Dropout; Srivastava et al., 2014); dx = dy ⊙ m. In eval mode y = x. x: any shape.
 *
 * The mask depends on a key from the engine's generator, a new one for each forward, and on the element's place alone: the same for
 * every kernel set. Throws ArgumentError for a p outside 0..1.
 */
export class Dropout extends BuiltInLayer<Forward, Backward> {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  /** The probability that an element becomes 0. */
  readonly p: number;
  readonly #y = this.buffer();
  readonly #dx = this.buffer();
  #key: Key = { key0: 0, key1: 0 };

  constructor(p = 0.5, options?: LayerOptions) {
    if (typeof p !== "number" || !(p >= 0 && p <= 1)) {
      throw new ArgumentError(`Dropout: p: got ${show(p)}, expected a number from 0 to 1`);
    }
    super(checkOptions(options, LAYER_OPTIONS, "Dropout"));
    this.p = p;
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    return shape;
  }

  protected override forwardBuffers({ outputShape }: Shapes): Requests<Forward> {
    return { y: [this.#y, outputShape] };
  }

  protected override computeForward(x: Tensor, { y }: Forward): void {
    if (this.training) {
      this.#key = this.engine.generator.nextKey();
      this.#mask(x, y);
    } else {
      y.copyFrom(x);
    }
  }

  protected override backwardBuffers({ inputShape }: Shapes, wanted: Wanted): Requests<Backward> {
    return { dx: needsPlace(wanted) ? [this.#dx, inputShape] : undefined };
  }

  protected override computeBackward(_x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const dx = placeOfGradient(dy, back);
    if (dx !== undefined) this.#mask(dy, dx);
    return dx;
  }

  #mask(from: Tensor, to: Tensor): void {
    const { p } = this;
    const { key0, key1 } = this.#key;
    const threshold = Math.ceil(p * RANDOM_VALUES);
    // nothing is kept at p = 1
    const scale = p === 1 ? 0 : 1 / (1 - p);
    this.engine.ops.dropout(from.size, from.read(), key0, key1, threshold, scale, to.overwrite());
  }

  override get type(): string {
    return "Dropout";
  }

  override describe(): string {
    return `Dropout(${this.p})`;
  }
}
