import { TensorBuffer, takeAll } from "./buffers.js";
import { checkNonNegative, checkOneOf, checkOptions, isArray, reading, show, showShape } from "./checks.js";
import { defaultEngine } from "./engine.js";
import { ArgumentError, ShapeError } from "./errors.js";
import { type Companion, checkSameEngine, isTensor, sameShape, sizeOf, type Tensor, tensorFrom } from "./tensor.js";
import {
  copyValues,
  isFloatArray,
  isNumberArray,
  lengthOf,
  lengthOfItems,
  type NestedNumbers,
  type NumberArray,
  readLabels,
  readNested,
} from "./values.js";
import { type LabelWeights, totalWeight, weightedCrossEntropy } from "./weighted-cross-entropy.js";

/** What a loss returns. */
export interface LossResult {
  /** The value, over all samples. */
  loss: number;
  /** dLoss/dOutput, in the output's shape. Overwritten by the next loss on the same tensor. */
  grad: Tensor;
}

/** Labels: one integer a sample, in an array, a typed array of any kind or a Tensor. */
export type Labels = ArrayLike<number> | BigInt64Array | BigUint64Array | Tensor;

/** What every loss takes. */
export interface LossOptions {
  /** "mean" (default) or "sum": over the samples of crossEntropy, over all values of the other losses. */
  reduction?: "mean" | "sum";
}

/** What `crossEntropy` takes beside logits and labels. */
export interface CrossEntropyOptions extends LossOptions {
  /** s in 0..1: targets are (1 - s) · onehot + s / K; default 0. */
  labelSmoothing?: number;
  /**
   * How much each class counts: K numbers, finite and >= 0; default 1. The mean divides by the sum of the labels' weights, and is NaN if that
   * is 0.
   */
  weight?: Tensor | readonly number[] | Float32Array | Float64Array;
}

const LOSS_OPTIONS = ["reduction"] as const;
const CROSS_ENTROPY_OPTIONS = ["reduction", "labelSmoothing", "weight"] as const;
const REDUCTIONS = ["mean", "sum"] as const;

/** What a loss keeps with its first argument, so that a steady loop allocates nothing. It is disposed with that tensor. */
class LossBuffers implements Companion {
  readonly grad: TensorBuffer;
  /** The labels, or a target that is no tensor. */
  readonly copy: TensorBuffer;

  constructor(output: Tensor) {
    this.grad = new TensorBuffer(output.engine);
    this.copy = new TensorBuffer(output.engine);
  }

  static of(output: Tensor): LossBuffers {
    if (!(output.companion instanceof LossBuffers)) output.companion = new LossBuffers(output);
    return output.companion as LossBuffers;
  }

  holds(tensor: Tensor): boolean {
    return this.grad.holds(tensor);
  }

  dispose(): void {
    this.grad.dispose();
    this.copy.dispose();
  }
}

/**
 * Softmax cross-entropy (torch.nn.functional.cross_entropy) of logits [N, K] with N labels in 0..K-1, or of logits [K] with one label:
 * the mean of -Σ target · log softmax(logits) over the samples, or the sum. grad = (softmax(logits) - target) / N, or without the
 * division for "sum".
 *
 * Throws ShapeError if logits and labels do not fit and for the mean of no samples, ArgumentError for a wrong option and for labels that are
 * fractional or out of range, EngineError for labels in a tensor of another engine.
 */
export function crossEntropy(
  logits: Tensor | readonly NestedNumbers[],
  labels: Labels | number,
  options?: CrossEntropyOptions,
): LossResult {
  const {
    reduction = "mean",
    labelSmoothing = 0,
    weight,
  } = checkOptions(options, CROSS_ENTROPY_OPTIONS, "crossEntropy");
  checkOneOf(reduction, REDUCTIONS, "crossEntropy: reduction");
  if (typeof labelSmoothing !== "number" || !(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new ArgumentError(`crossEntropy: labelSmoothing: got ${show(labelSmoothing)}, expected a number in 0..1`);
  }
  const classes = weight === undefined ? undefined : readWeights(weight, "crossEntropy: weight");
  const weights = classes && { classes, rows: undefined };
  return withOutput(logits, "crossEntropy", (output) =>
    softmaxLoss(output, labels, { reduction, labelSmoothing, weights }),
  );
}

/** crossEntropy, the mean, with weights of classes and rows. @internal */
export const crossEntropyOfRows = (output: Tensor, labels: Labels, weights: LabelWeights): LossResult =>
  softmaxLoss(output, labels, { reduction: "mean", labelSmoothing: 0, weights });

/** A copy of weights, finite and >= 0. Throws ArgumentError. */
export function readWeights(weights: unknown, what: string): Float64Array {
  return reading(what, () => {
    const given = isTensor(weights) ? weights.liveView() : weights;
    if (!isNumberArray(given) && !isArray(given)) {
      throw new ArgumentError(`${what}: got ${show(weights)}, expected an array of numbers`);
    }
    const length = isArray(given) ? lengthOfItems(given, what) : lengthOf(given, what);
    const copy = new Float64Array(length);
    for (let i = 0; i < length; i++) copy[i] = checkNonNegative(given[i], `${what}: at ${i}`);
    return copy;
  });
}

interface SoftmaxSettings {
  readonly reduction: "mean" | "sum";
  readonly labelSmoothing: number;
  readonly weights: LabelWeights | undefined;
}

function softmaxLoss(output: Tensor, labels: Labels | number, settings: SoftmaxSettings): LossResult {
  const { reduction, labelSmoothing, weights } = settings;
  const { shape, engine } = output;
  if (shape.length !== 1 && shape.length !== 2) {
    throw new ShapeError(`crossEntropy: got logits of shape ${showShape(shape)}, expected [N, K] or [K]`);
  }
  const classes = shape[shape.length - 1];
  const rows = shape.length === 2 ? shape[0] : 1;
  if (classes === 0)
    throw new ShapeError(`crossEntropy: got logits of shape ${showShape(shape)}, expected at least one class`);
  if (rows === 0 && reduction === "mean")
    throw new ShapeError("crossEntropy: got no samples, whose mean is not defined");
  if (isTensor(labels)) checkSameEngine(engine, labels.engine, "crossEntropy");
  const checked = checkLabels(labels, rows, classes, "crossEntropy");
  if (weights !== undefined) return weightedLoss(output, checked, classes, { ...settings, weights });
  const buffers = LossBuffers.of(output);
  const [grad, labelTensor] = takeAll([
    [buffers.grad, shape],
    [buffers.copy, [rows]],
  ]);
  const offset = output.read();
  const labelOffset = labelTensor.overwrite();
  engine.linear.i32.set(checked, labelOffset >>> 2);
  const scale = reduction === "mean" ? 1 / rows : 1;
  const sum = engine.ops.softmaxCrossEntropy(
    rows,
    classes,
    offset,
    labelOffset,
    grad.overwrite(),
    scale,
    labelSmoothing,
  );
  return { loss: reduction === "mean" ? sum / rows : sum, grad };
}

function weightedLoss(
  output: Tensor,
  labels: Int32Array,
  classes: number,
  { reduction, labelSmoothing, weights }: SoftmaxSettings & { readonly weights: LabelWeights },
): LossResult {
  if (weights.classes !== undefined && weights.classes.length !== classes) {
    throw new ShapeError(
      `crossEntropy: weight: got ${weights.classes.length} values, expected ${classes}, one a class`,
    );
  }
  const grad = LossBuffers.of(output).grad.take(output.shape);
  const scale = reduction === "mean" ? 1 / totalWeight(labels, weights) : 1;
  const rows = { logits: output.liveView(), labels, weights, smoothing: labelSmoothing };
  const loss = weightedCrossEntropy(rows, scale, grad.liveView());
  grad.markWritten();
  return { loss: loss * scale, grad };
}

/** Targets of mseLoss and bceWithLogits: a Tensor or nested arrays in the output's shape, or as many values in a flat array. */
export type Target = Tensor | ArrayLike<number> | readonly NestedNumbers[];

/** Kernels of losses between two buffers of one shape. They return the unscaled sum and write the scaled gradient. */
type PairKernel = "squaredError" | "binaryCrossEntropy";

/**
 * Mean squared error (torch.nn.functional.mse_loss): the mean of (y - target)² over all values, or the sum.
 * grad = 2 (y - target) / count, or without the division for "sum".
 *
 * Throws ShapeError if the shapes differ and for the mean of nothing, ArgumentError for a wrong option or target, EngineError for a target
 * of another engine.
 */
export function mseLoss(y: Tensor | readonly NestedNumbers[], target: Target, options?: LossOptions): LossResult {
  return pairLoss("squaredError", y, target, options, "mseLoss");
}

/**
 * Binary cross-entropy of sigmoid(z) for logits z (torch.nn.functional.binary_cross_entropy_with_logits), with targets t in 0..1: the mean
 * of (1 - t) z - log sigmoid(z) over all values, or the sum. grad = (sigmoid(z) - t) / count, or without the division for "sum". As in
 * PyTorch, the loss is NaN for z = -Infinity, and for z = +Infinity with t = 1.
 *
 * Throws as mseLoss does.
 */
export function bceWithLogits(
  logits: Tensor | readonly NestedNumbers[],
  target: Target,
  options?: LossOptions,
): LossResult {
  return pairLoss("binaryCrossEntropy", logits, target, options, "bceWithLogits");
}

function pairLoss(
  kernel: PairKernel,
  y: Tensor | readonly NestedNumbers[],
  target: Target,
  options: LossOptions | undefined,
  what: string,
): LossResult {
  const { reduction = "mean" } = checkOptions(options, LOSS_OPTIONS, what);
  checkOneOf(reduction, REDUCTIONS, `${what}: reduction`);
  return withOutput(y, what, (output) => {
    const { size, shape, engine } = output;
    if (size === 0 && reduction === "mean") throw new ShapeError(`${what}: got no values, whose mean is not defined`);
    const wanted = readTarget(target, output, what);
    const buffers = LossBuffers.of(output);
    const [grad, copy] = takeAll([
      [buffers.grad, shape],
      ...(isTensor(wanted) ? [] : [[buffers.copy, shape] as const]),
    ]);
    if (!isTensor(wanted)) copyValues(wanted, 0, size, copy.data, `${what}: target`);
    const at = isTensor(wanted) ? wanted.read() : copy.overwrite();
    const sum = engine.ops[kernel](size, output.read(), at, grad.overwrite(), reduction === "mean" ? 1 / size : 1);
    return { loss: reduction === "mean" ? sum / size : sum, grad };
  });
}

/** The target if it is a tensor, or else its values: as many as the output has. */
function readTarget(target: Target, { shape, size, engine }: Tensor, what: string): Tensor | NumberArray {
  const expected = `expected ${showShape(shape)} as the output's`;
  if (isTensor(target)) {
    target.assertUsable();
    checkSameEngine(engine, target.engine, what);
    if (!sameShape(target.shape, shape)) {
      throw new ShapeError(`${what}: got a target of shape ${showShape(target.shape)}, ${expected}`);
    }
    return target;
  }
  if (isNumberArray(target)) {
    const length = lengthOf(target, `${what}: target`);
    if (length !== size) throw new ShapeError(`${what}: got a target of ${length} values, ${expected}`);
    return target;
  }
  if (!isArray(target)) {
    throw new ArgumentError(`${what}: got ${show(target)} as a target, expected a Tensor or arrays of numbers`);
  }
  const given = readNested(target, `${what}: target`);
  const isRow = given.shape.length === 1 && sizeOf(given.shape) === size;
  if (!isRow && !sameShape(given.shape, shape)) {
    throw new ShapeError(`${what}: got a target of shape ${showShape(given.shape)}, ${expected}`);
  }
  return given.values;
}

/** The loss of a tensor, or of arrays. For those a tensor is made, and disposed if the loss throws. */
function withOutput(
  output: Tensor | readonly NestedNumbers[],
  what: string,
  compute: (output: Tensor) => LossResult,
): LossResult {
  if (isTensor(output)) {
    output.assertUsable();
    return compute(output);
  }
  if (isFloatArray(output)) {
    throw new ShapeError(
      `${what} got ${show(output)} of ${lengthOf(output, what)}, whose shape is unknown: expected engine.tensor(data, shape)`,
    );
  }
  const made = tensorFrom(defaultEngine(), output);
  try {
    return compute(made);
  } catch (error) {
    made.dispose();
    throw error;
  }
}

/** A copy of `count` labels in 0..classes-1. Throws ShapeError or ArgumentError. */
export function checkLabels(labels: Labels | number, count: number, classes: number, what: string): Int32Array {
  const values = readLabels(isTensor(labels) ? labels.liveView() : labels, classes, what);
  if (values.length !== count) {
    const hint = values.length === count * classes ? "; of one-hot rows give the place of each row's 1 (argmax)" : "";
    throw new ShapeError(`${what}: got ${values.length} labels, expected ${count}${hint}`);
  }
  return values;
}
