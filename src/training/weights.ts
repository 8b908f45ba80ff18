import { TensorBuffer } from "../buffers.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { crossEntropy, crossEntropyOfRows, type LossResult, readWeights } from "../losses.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { totalWeight } from "../weighted-cross-entropy.js";
import type { Batches } from "./batches.js";
import { checkLossResult, type Loss } from "./loss.js";
import type { Selection } from "./rows.js";
import type { TrainingData } from "./samples.js";
import type { Settings } from "./settings.js";

type Target = Int32Array | Tensor;

/** A loss in training, with the weights of classes and samples. */
export class TrainingLoss {
  readonly #loss: Loss;
  readonly #isCrossEntropy: boolean;
  readonly #classes: Float64Array | undefined;
  readonly #samples: Float64Array | undefined;
  readonly #train: Batches;
  readonly #grad: TensorBuffer;
  /** One sample's outputs and target. */
  readonly #row: TensorBuffer;
  readonly #target: TensorBuffer;

  constructor(settings: Settings, inData: TrainingData["sampleWeights"], train: Batches) {
    const { loss, targets, classWeights, sampleWeights } = settings;
    this.#loss = loss;
    this.#isCrossEntropy = loss === crossEntropy && targets === "labels";
    this.#train = train;
    this.#classes = classWeights === undefined ? undefined : readWeights(classWeights, "fit: classWeights");
    if (sampleWeights !== undefined && inData !== undefined) {
      throw new ArgumentError("fit: sampleWeights: got them twice, in train and beside it");
    }
    const given = sampleWeights ?? inData;
    this.#samples = given === undefined ? undefined : readWeights(given, "fit: sampleWeights");
    if (this.#samples !== undefined && this.#samples.length !== train.total) {
      throw new ShapeError(`fit: sampleWeights: got ${this.#samples.length}, expected ${train.total}, one a sample`);
    }
    if (this.#samples?.every((weight) => weight === 0)) {
      throw new ArgumentError("fit: sampleWeights: got only zeros, expected at least one above");
    }
    this.#grad = new TensorBuffer(train.engine);
    this.#row = new TensorBuffer(train.engine);
    this.#target = new TensorBuffer(train.engine);
  }

  /** How much a batch counts: the number of its samples unless they have weights. */
  weightOf(selection: Selection): number {
    if (this.#classes === undefined && this.#samples === undefined) return selection.size;
    if (!this.#isCrossEntropy) return this.#weightsOf(selection).reduce((sum, weight) => sum + weight, 0);
    const labels = this.#train.labels(selection);
    return totalWeight(labels, { classes: this.#classes, rows: this.#rowWeights(selection, labels.length) });
  }

  /** The mean over a batch, and its gradient. Of a batch that counts nothing both are 0. */
  compute(output: Tensor, target: Target, selection: Selection, weight: number): LossResult {
    if (this.#classes === undefined && this.#samples === undefined) {
      return checkLossResult(this.#loss(output, target), output, "fit");
    }
    if (weight === 0) return { loss: 0, grad: this.#grad.take(output.shape).fill_(0) };
    if (!this.#isCrossEntropy) return this.#bySample(output, target, selection, weight);
    const labels = target as Int32Array;
    return crossEntropyOfRows(output, labels, {
      classes: this.#classes,
      rows: this.#rowWeights(selection, labels.length),
    });
  }

  /** The loss of a sample by itself, times its weight: right for every loss that is a mean over samples. */
  #bySample(output: Tensor, target: Target, selection: Selection, total: number): LossResult {
    const { size } = selection;
    const grad = this.#grad.take(output.shape);
    const gradients = grad.liveView();
    const weights = this.#weightsOf(selection);
    const shape = shapeOfOne(output, size);
    const length = sizeOf(shape);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const share = weights[i] / total;
      const row = copyTo(this.#row.take(shape), output.liveView(), i);
      const { loss, grad: own } = checkLossResult(this.#loss(row, this.#targetOf(target, i, size)), row, "fit");
      const values = own.liveView();
      // NaN times 0 would remain
      for (let j = 0; j < length; j++) gradients[i * length + j] = share === 0 ? 0 : share * values[j];
      if (share > 0) sum += share * loss;
    }
    grad.markWritten();
    return { loss: sum, grad };
  }

  #targetOf(target: Target, i: number, size: number): Target {
    if (target instanceof Int32Array) {
      const length = target.length / size;
      return target.slice(i * length, (i + 1) * length);
    }
    return copyTo(this.#target.take(shapeOfOne(target, size)), target.liveView(), i);
  }

  #weightsOf({ order, start, size }: Selection): Float64Array {
    return Float64Array.from(
      { length: size },
      (_, i) => this.#samples![order === undefined ? start + i : order[start + i]],
    );
  }

  /** A weight for each label: a sample may have several. */
  #rowWeights(selection: Selection, labels: number): Float64Array | undefined {
    if (this.#samples === undefined) return undefined;
    const weights = this.#weightsOf(selection);
    const each = labels / selection.size;
    return Float64Array.from({ length: labels }, (_, i) => weights[Math.floor(i / each)]);
  }

  dispose(): void {
    for (const buffer of [this.#grad, this.#row, this.#target]) buffer.dispose();
  }
}

/** The shape of one sample's part of a batch. */
function shapeOfOne({ shape: [rows, ...rest] }: Tensor, size: number): number[] {
  if (rows === undefined || rows % size !== 0) {
    throw new ShapeError(`fit: sampleWeights: got ${rows} rows of ${size} samples, expected as many for each of them`);
  }
  return [rows / size, ...rest];
}

/** Part `i` of the values. */
function copyTo(part: Tensor, values: Float32Array, i: number): Tensor {
  part.liveView().set(values.subarray(i * part.size, (i + 1) * part.size));
  part.markWritten();
  return part;
}
