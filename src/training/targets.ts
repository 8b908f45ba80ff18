import { TensorBuffer } from "../buffers.js";
import { checkOneOf, isArray, reading, show, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { bceWithLogits, crossEntropy, mseLoss } from "../losses.js";
import { checkSameEngine, isTensor, sameShape, sizeOf, type Tensor } from "../tensor.js";
import { isNumberArray, kindOf, labelOf, lengthOf, lengthOfItems, type NumberArray } from "../values.js";
import type { Loss } from "./loss.js";
import { assertThere, checkRows, gather, type Rows, type Selection, sharedRows, VALUES_A_SLICE } from "./rows.js";
import { isInARow, readRows } from "./samples.js";
import type { Steps } from "./turns.js";

/** What y becomes: an Int32Array, or a Tensor. */
export type TargetKind = "labels" | "values";

const KINDS = ["labels", "values"] as const;

/** The kind that was asked for, or else the one that the loss takes. */
export function targetKind(targets: unknown, loss: Loss, what: string): TargetKind {
  if (targets === undefined) return loss === crossEntropy ? "labels" : "values";
  return checkOneOf(targets, KINDS, `${what}: targets`);
}

/** The targets of a data set, batch by batch. */
export interface BatchTargets {
  /** Throws if one of our losses cannot take them with outputs of this shape for `samples` samples. */
  checkFit(outputShape: readonly number[], samples: number): void;
  /** Checks all of them; yields now and then. */
  check(): Steps;
  /** The targets of a batch, before its outputs are known. */
  take(selection: Selection): Int32Array | Tensor;
  /** The taken targets in the form that goes with outputs of this shape. */
  settle(taken: Int32Array | Tensor, outputShape: readonly number[]): Int32Array | Tensor;
  dispose(): void;
}

/** `count` targets of a kind. Throws ArgumentError, ShapeError, StateError or EngineError. */
export function readTargets(
  y: unknown,
  kind: TargetKind,
  count: number,
  engine: Engine,
  loss: Loss,
  what: string,
): BatchTargets {
  if (isTensor(y)) {
    y.assertUsable();
    checkSameEngine(engine, y.engine, what);
  } else if (typeof y !== "object" || y === null) {
    throw new ArgumentError(`${what}: got ${show(y)}, expected labels or targets`);
  }
  return kind === "labels" ? new LabelTargets(y, count, loss, what) : new ValueTargets(y, count, engine, loss, what);
}

type Items = ArrayLike<unknown>;

/** A loss of the user's may have negative labels: -100 for "ignore", for instance. */
const LEAST_LABEL = -(2 ** 31);

/** Integers, one or several a sample. */
class LabelTargets implements BatchTargets {
  readonly #y: object;
  readonly #isNested: boolean;
  readonly #count: number;
  readonly #perSample: number;
  readonly #what: string;
  readonly #isOurs: boolean;
  #classes: number | undefined;

  constructor(y: object, count: number, loss: Loss, what: string) {
    this.#y = y;
    this.#count = count;
    this.#what = what;
    this.#isOurs = loss === crossEntropy;
    [this.#isNested, this.#perSample] = reading(what, () => {
      const length = lengthOfAny(y, what);
      const first: unknown = isArray(y) ? y[0] : undefined;
      const isNested = isArray(first) || kindOf(first) !== undefined;
      if (isNested ? length !== count : length < count || length % count !== 0) {
        throw new ShapeError(`${what}: got ${length} labels, expected ${count}`);
      }
      return [isNested, isNested ? lengthOfAny(first, what) : length / count];
    });
  }

  checkFit(outputShape: readonly number[], samples: number): void {
    if (!this.#isOurs || outputShape.length === 0) return;
    const classes = outputShape[outputShape.length - 1];
    const rows = sizeOf(outputShape.slice(0, -1)) / samples;
    if (rows !== this.#perSample) {
      const hint =
        this.#perSample === rows * classes
          ? "; of one-hot rows or rows of probabilities give the place of each row's largest value (argmax)"
          : "";
      throw new ShapeError(
        `${this.#what}: got ${this.#perSample} labels for each sample, expected ${rows}: as many as there are rows in the net's outputs ${showShape(outputShape)}${hint}`,
      );
    }
    this.#classes = classes;
  }

  *check(): Steps {
    const size = Math.ceil(VALUES_A_SLICE / this.#perSample);
    for (let start = 0; start < this.#count; start += size) {
      this.take({ order: undefined, start, size: Math.min(size, this.#count - start) });
      yield;
    }
  }

  take({ order, start, size }: Selection): Int32Array {
    const labels = new Int32Array(size * this.#perSample);
    reading(this.#what, () => {
      const copy = this.#open();
      for (let i = 0; i < size; i++) copy(order === undefined ? start + i : order[start + i], labels, i);
    });
    return labels;
  }

  /** Copies the labels of sample `index` to those of sample `at` of a batch. */
  #open(): (index: number, target: Int32Array, at: number) => void {
    const length = lengthOfAny(this.#y, this.#what);
    const perSample = this.#perSample;
    const classes = this.#classes;
    const what = this.#what;
    const least = this.#isOurs ? 0 : LEAST_LABEL;
    assertThere(length, this.#isNested ? this.#count : this.#count * perSample, "labels", what);
    const items = (isTensor(this.#y) ? this.#y.data : this.#y) as Items;
    return (index, target, at) => {
      const row = this.#isNested ? this.#row(items[index]) : items;
      const start = this.#isNested ? 0 : index * perSample;
      for (let i = 0; i < perSample; i++) {
        target[at * perSample + i] = labelOf(row[start + i], index * perSample + i, classes, what, least);
      }
    };
  }

  #row(row: unknown): Items {
    const length = lengthOfAny(row, this.#what);
    if (length !== this.#perSample) {
      throw new ShapeError(
        `${this.#what}: got ragged arrays, expected ${showShape([this.#count, this.#perSample])} labels`,
      );
    }
    return row as Items;
  }

  settle(taken: Int32Array, outputShape: readonly number[]): Int32Array {
    this.checkFit(outputShape, taken.length / this.#perSample);
    return taken;
  }

  dispose(): void {}
}

/** The number of labels in a Tensor, an array or a typed array of any kind. */
function lengthOfAny(labels: unknown, what: string): number {
  if (isTensor(labels)) {
    labels.assertUsable();
    return labels.size;
  }
  if (kindOf(labels) !== undefined) return lengthOf(labels as ArrayBufferView, what);
  if (isArray(labels)) return lengthOfItems(labels, what);
  throw new ArgumentError(`${what}: got ${show(labels)} as labels, expected an array of integers`);
}

/** Numbers, equally many for each sample: in their own shape or, from a flat array, in that of the outputs. */
class ValueTargets implements BatchTargets {
  readonly #rows: Rows;
  readonly #isFlat: boolean;
  readonly #loss: Loss;
  readonly #buffer: TensorBuffer;
  /** The shape of the last batch's outputs, if flat targets took it. */
  #shape: readonly number[] | undefined;
  #size = 0;

  constructor(y: object, count: number, engine: Engine, loss: Loss, what: string) {
    const length = flatLength(y, what);
    this.#isFlat = length !== undefined;
    this.#rows =
      length === undefined ? readTargetRows(y, count, engine, what) : sharedRows(y as NumberArray, length, count, what);
    this.#loss = loss;
    this.#buffer = new TensorBuffer(engine);
  }

  checkFit(outputShape: readonly number[], samples: number): void {
    if (this.#loss !== mseLoss && this.#loss !== bceWithLogits) return;
    const { shape, what } = this.#rows;
    const got = [samples, ...shape];
    if (this.#isFlat ? sizeOf(got) !== sizeOf(outputShape) : !sameShape(got, outputShape)) {
      throw new ShapeError(
        `${what}: got targets of ${showShape(shape)}, expected ${showShape(outputShape.slice(1))} for each sample, as the net's outputs`,
      );
    }
  }

  check(): Steps {
    return checkRows(this.#rows);
  }

  take(selection: Selection): Tensor {
    const { size } = selection;
    const shape = size === this.#size ? this.#shape : undefined;
    this.#size = size;
    return gather(this.#rows, selection, this.#buffer, shape);
  }

  settle(taken: Tensor, outputShape: readonly number[]): Tensor {
    this.checkFit(outputShape, this.#size);
    if (!this.#isFlat || taken.size !== sizeOf(outputShape) || sameShape(taken.shape, outputShape)) return taken;
    // the buffer takes another storage if a loss has kept a handle on this one
    const values = taken.isShared ? taken.data.slice() : undefined;
    this.#shape = outputShape;
    const target = this.#buffer.take(outputShape);
    if (values !== undefined) target.data.set(values);
    return target;
  }

  dispose(): void {
    this.#buffer.dispose();
  }
}

/** The number of flat values; undefined for rows. */
function flatLength(y: object, what: string): number | undefined {
  // all integers are taken as they are; bytes alone are scaled
  if (isNumberArray(y)) return lengthOf(y, what);
  if (!isInARow(y, what)) return undefined;
  return isTensor(y) ? y.size : lengthOfItems(y, what);
}

function readTargetRows(y: unknown, count: number, engine: Engine, what: string): Rows {
  if (kindOf(y) !== undefined) {
    throw new ArgumentError(
      `${what}: got ${show(y)} as values to come close to, expected a Tensor, nested arrays or a typed array of numbers; labels for a loss of your own need targets: "labels"`,
    );
  }
  const rows = readRows(y, engine, what);
  if (rows.count !== count) throw new ShapeError(`${what}: got ${rows.count} targets, expected ${count}`);
  return rows;
}
