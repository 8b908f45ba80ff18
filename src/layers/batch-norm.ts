import type { Requests } from "../buffers.js";
import { checkNonNegative, checkOptions, checkSize, showShape } from "../checks.js";
import { engineFrom } from "../engine.js";
import { ShapeError } from "../errors.js";
import { needs } from "../kernels/groups.js";
import { images } from "../kernels/images.js";
import type { Tensor } from "../tensor.js";
import {
  type Back,
  BuiltInLayer,
  createParameters,
  createTensors,
  needsPlace,
  placeOfGradient,
  type Shapes,
  type Wanted,
} from "./built-in-layer.js";
import type { LayerOptions, Parameter } from "./layer.js";

/** What BatchNorm1d and BatchNorm2d take. */
export interface BatchNormOptions extends LayerOptions {
  /** Added to the variance; default 1e-5. */
  eps?: number;
  /** The weight of a batch in the running statistics; default 0.1. */
  momentum?: number;
}

const OPTIONS = ["engine", "eps", "momentum"] as const;

interface Forward {
  readonly y: Tensor;
  /** The batch's statistics, for each channel. */
  readonly statistics: Tensor | undefined;
}

interface Backward {
  readonly dx: Tensor | undefined;
}

/**
 * y = (x - mean) / sqrt(variance + eps) · weight + bias for each channel, axis 1 (torch.nn.BatchNorm*; Ioffe and Szegedy, 2015).
 *
 * In training mode mean and (biased) variance are the batch's, and the running ones follow:
 *   running = (1 - momentum) · running + momentum · batch's, with the unbiased variance
 * In eval mode they are the running ones. With x̂ = (x - mean) / sqrt(variance + eps) over `count` values a channel:
 *   dx = weight / sqrt(variance + eps) · (dy - Σ dy / count - x̂ · Σ dy x̂ / count),  dweight += Σ dy x̂,  dbias += Σ dy
 * Without eps a constant channel has x̂ = 0 and dx = 0 in training mode, as in PyTorch.
 *
 * Parameters `weight` [C], 1, and `bias` [C], 0; state `running_mean` [C], 0, `running_var` [C], 1, and `num_batches_tracked` [],
 * the number of forwards in training mode. Throws ArgumentError for a C that is no integer >= 1 and for an eps or momentum that is
 * not finite and >= 0; forward in training mode throws ShapeError where a channel has fewer than two values.
 */
abstract class BatchNorm extends BuiltInLayer<Forward, Backward> {
  /** @internal */
  static readonly kernels = /* @__PURE__ */ needs(images);

  /** C, the number of channels. */
  readonly numFeatures: number;
  /** What is added to the variance. */
  readonly eps: number;
  /** The weight of a batch in the running statistics. */
  readonly momentum: number;
  /** What each channel is multiplied by, [C]. */
  readonly weight: Parameter;
  /** What is added to each channel, [C]. */
  readonly bias: Parameter;
  readonly #runningMean: Tensor;
  readonly #runningVariance: Tensor;
  readonly #batches: Tensor;
  readonly #y = this.buffer();
  readonly #statistics = this.buffer();
  readonly #dx = this.buffer();

  constructor(numFeatures: number, options: BatchNormOptions | undefined, type: string) {
    const settings = checkOptions(options, OPTIONS, type);
    const { eps = 1e-5, momentum = 0.1 } = settings;
    checkSize(numFeatures, `${type}: C`);
    checkNonNegative(eps, `${type}: eps`);
    checkNonNegative(momentum, `${type}: momentum`);
    const engine = engineFrom(settings);
    const channels = [numFeatures];
    const [mean, variance, batches] = createTensors(engine, [channels, channels, []]);
    let parameters: Parameter[];
    try {
      parameters = createParameters(engine, [
        ["weight", channels],
        ["bias", channels],
      ]);
    } catch (error) {
      for (const tensor of [mean, variance, batches]) tensor.discard();
      throw error;
    }
    super({ engine });
    this.numFeatures = numFeatures;
    this.eps = eps;
    this.momentum = momentum;
    [this.weight, this.bias] = parameters;
    this.weight.value.fill_(1);
    variance.fill_(1);
    this.#runningMean = mean;
    this.#runningVariance = variance;
    this.#batches = batches;
    batches.setCounted(0);
  }

  /** Whether x may have this shape, whatever its channels. */
  protected abstract isShape(shape: readonly number[]): boolean;

  /** The shapes that x may have, in words. */
  protected abstract readonly shapes: string;

  override parameters(): Parameter[] {
    return [this.weight, this.bias];
  }

  override stateDict(): Record<string, Tensor> {
    return {
      ...super.stateDict(),
      running_mean: this.#runningMean,
      running_var: this.#runningVariance,
      num_batches_tracked: this.#batches,
    };
  }

  override shapeAfter(shape: readonly number[]): readonly number[] {
    const channels = shape.length > 1 ? shape[1] : shape[0];
    if (!this.isShape(shape) || channels !== this.numFeatures) {
      throw new ShapeError(`${this.describe()}: forward got ${showShape(shape)}, expected ${this.shapes}`);
    }
    const [rows, inner] = this.#layout(shape);
    if (this.training && rows * inner < 2) {
      throw new ShapeError(
        `${this.describe()}: forward got ${showShape(shape)}, expected at least two values a channel in training mode`,
      );
    }
    return shape;
  }

  override isSample(shape: readonly number[]): boolean {
    return shape.length === 1;
  }

  #layout(shape: readonly number[]): readonly [rows: number, inner: number] {
    return [shape.length > 1 ? shape[0] : 1, shape.slice(2).reduce((size, length) => size * length, 1)];
  }

  protected override forwardBuffers({ outputShape }: Shapes): Requests<Forward> {
    return {
      y: [this.#y, outputShape],
      statistics: this.training ? [this.#statistics, [2, this.numFeatures]] : undefined,
    };
  }

  protected override computeForward(x: Tensor, { y, statistics }: Forward): void {
    if (statistics === undefined) {
      this.#normalize(x, y);
      return;
    }
    this.engine.ops.batchNorm(
      ...this.#operands(x),
      this.momentum,
      this.#runningMean.modify(),
      this.#runningVariance.modify(),
      statistics.overwrite(),
      y.overwrite(),
    );
    this.#batches.setCounted(this.#batches.counted + 1);
  }

  /** Eval mode; y may be x. */
  #normalize(x: Tensor, y: Tensor): void {
    const [mean, variance] = [this.#runningMean.read(), this.#runningVariance.read()];
    this.engine.ops.normalize(...this.#operands(x), mean, variance, y.overwrite());
  }

  /** What both ways forward begin with: [rows, channels, inner], x, weight, bias, eps. */
  #operands(x: Tensor): [number, number, number, number, number, number, number] {
    const [rows, inner] = this.#layout(x.shape);
    const { weight, bias } = this;
    return [rows, this.numFeatures, inner, x.read(), weight.value.read(), bias.value.read(), this.eps];
  }

  protected override computeInPlace(y: Tensor): void {
    this.#normalize(y, y);
  }

  protected override backwardBuffers({ inputShape }: Shapes, wanted: Wanted): Requests<Backward> {
    return { dx: needsPlace(wanted) ? [this.#dx, inputShape] : undefined };
  }

  protected override computeBackward(x: Tensor, dy: Tensor, back: Back<Forward, Backward>): Tensor | undefined {
    const dx = placeOfGradient(dy, back);
    const [rows, inner] = this.#layout(x.shape);
    const { weight, bias } = this;
    const { params } = back;
    const addsWeight = params && weight.grad.startSum();
    const addsBias = params && bias.grad.startSum();
    this.engine.ops.batchNormBackward(
      rows,
      this.numFeatures,
      inner,
      x.read(),
      dy.read(),
      weight.value.read(),
      back.kept.statistics!.read(),
      dx?.overwrite() ?? 0,
      params ? weight.grad.offset : 0,
      addsWeight,
      params ? bias.grad.offset : 0,
      addsBias,
    );
    return dx;
  }

  /** Frees the layer's memory; any use afterwards is a StateError. */
  override dispose(): void {
    super.dispose();
    for (const tensor of [this.#runningMean, this.#runningVariance, this.#batches]) tensor.discard();
  }

  override describe(): string {
    return `${this.type}(${this.numFeatures})`;
  }
}

/** Batch normalisation of x [N, C] or [N, C, L]; a single sample [C] in eval mode. */
export class BatchNorm1d extends BatchNorm {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  protected readonly shapes = `[N, ${this.numFeatures}] or [N, ${this.numFeatures}, L]`;

  constructor(C: number, options?: BatchNormOptions) {
    super(C, options, "BatchNorm1d");
  }

  protected override isShape(shape: readonly number[]): boolean {
    return shape.length >= 1 && shape.length <= 3;
  }

  override get type(): string {
    return "BatchNorm1d";
  }
}

/** Batch normalisation of x [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  protected readonly shapes = `[N, ${this.numFeatures}, H, W]`;

  constructor(C: number, options?: BatchNormOptions) {
    super(C, options, "BatchNorm2d");
  }

  protected override isShape(shape: readonly number[]): boolean {
    return shape.length === 4;
  }

  override get type(): string {
    return "BatchNorm2d";
  }
}
