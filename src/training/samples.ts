import { Buffer } from "../buffers.js";
import { checkSize, show, showShape } from "../checks.js";
import { defaultEngine, type Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { type Layer, layersInside } from "../layers/layer.js";
import { bceWithLogits, checkLabels, crossEntropy, type Labels, mseLoss } from "../losses.js";
import { checkSameEngine, checkShape, sizeOf, Tensor } from "../tensor.js";
import { type NestedNumbers, readLabels, readNested } from "../values.js";
import type { Loss } from "./modes.js";

/** Samples: a Tensor or nested arrays [N, ...], or a flat array with the shape of a sample (0..255 becomes 0..1 in a Uint8Array). */
export type Samples = Tensor | Float32Array | Uint8Array | readonly NestedNumbers[];

/** What a net is trained towards: labels, or values in the shapes that samples may have. */
export type Targets = Samples | Labels;

export interface Dataset {
  x: Samples;
  y: Targets;
  /** The shape of one sample where x is flat; default: the first Linear layer's [n]. */
  sampleShape?: readonly number[];
}

/** A batch's targets: integer labels, or a tensor. */
export type BatchTargets = Int32Array | Tensor;

/** Rows outside the linear memory; only batches enter it. */
interface Rows {
  readonly count: number;
  readonly shape: readonly number[];
  /** Writes row `index` to `target` at `position`. */
  copy(index: number, target: Float32Array, position: number): void;
}

/** The engine of a net: its own, or that of its parameters; where it has none it goes by its input. */
export function netEngine(net: Layer, x: unknown): Engine {
  const own = (net as { engine?: Engine }).engine ?? net.parameters()[0]?.value.engine;
  return own ?? (x instanceof Tensor ? x.engine : defaultEngine());
}

/** x as rows, checked; `remedy` is what to do where the shape of a flat sample is unknown. Throws ShapeError or ArgumentError. */
export function readSamples(
  net: Layer,
  x: Samples,
  sampleShape: readonly number[] | undefined,
  what: string,
  remedy: string,
): Rows {
  if (!(x instanceof Float32Array || x instanceof Uint8Array)) return readRows(x, netEngine(net, x), `${what}: x`);
  const shape = checkedSampleShape(sampleShape, what) ?? flatSampleShape(net);
  if (shape === undefined) {
    throw new ShapeError(
      `${what}: x is a flat array and the net has no Linear layer in front that tells its shape: expected ${remedy}`,
    );
  }
  const size = sizeOf(shape);
  if (x.length % size !== 0) {
    throw new ShapeError(
      `${what}: x: got ${x.length} values, expected a multiple of ${size} (${showShape(["N", ...shape])})`,
    );
  }
  const count = x.length / size;
  return x instanceof Float32Array ? floatRows(x, count, shape) : byteRows(x, count, shape);
}

function checkedSampleShape(shape: readonly number[] | undefined, what: string): readonly number[] | undefined {
  if (shape === undefined) return undefined;
  checkShape(shape, `${what}: sampleShape`);
  for (const length of shape) checkSize(length, `${what}: sampleShape`);
  return shape;
}

/** [n] of the first dense layer in the net, unless the net takes no such samples: a convolution comes first. */
function flatSampleShape(net: Layer): readonly number[] | undefined {
  const shape = firstDenseShape(net);
  if (shape === undefined) return undefined;
  try {
    // two of them, for batch statistics
    net.shapeAfter([2, ...shape]);
    return shape;
  } catch (error) {
    if (error instanceof ShapeError) return undefined;
    throw error;
  }
}

function firstDenseShape(net: Layer): readonly number[] | undefined {
  const size = net.flatInputSize();
  if (size !== undefined) return [size];
  for (const [, child] of layersInside(net)) {
    const shape = firstDenseShape(child);
    if (shape !== undefined) return shape;
  }
  return undefined;
}

function floatRows(data: Float32Array, count: number, shape: readonly number[]): Rows {
  const size = sizeOf(shape);
  return {
    count,
    shape,
    copy: (index, target, position) => target.set(data.subarray(index * size, (index + 1) * size), position),
  };
}

function byteRows(data: Uint8Array, count: number, shape: readonly number[]): Rows {
  const size = sizeOf(shape);
  return {
    count,
    shape,
    copy(index, target, position) {
      const start = index * size;
      for (let i = 0; i < size; i++) target[position + i] = data[start + i] / 255;
    },
  };
}

/** A Tensor or nested arrays [N, ...]. */
function readRows(values: unknown, engine: Engine, what: string): Rows {
  if (values instanceof Tensor) {
    values.assertUsable();
    checkSameEngine(engine, values.engine, what);
    if (values.shape.length < 2) throw new ShapeError(`${what}: got ${showShape(values.shape)}, expected [N, ...]`);
    const [count, ...shape] = values.shape;
    const size = sizeOf(shape);
    return {
      count,
      shape,
      copy: (index, target, position) => target.set(values.data.subarray(index * size, (index + 1) * size), position),
    };
  }
  if (!Array.isArray(values)) {
    throw new ArgumentError(
      `${what}: got ${show(values)}, expected a Tensor, nested arrays, a Float32Array or a Uint8Array`,
    );
  }
  const { shape: full, values: flat } = readNested(values, what);
  if (full.length < 2 && full[0] !== 0) throw new ShapeError(`${what}: got ${showShape(full)}, expected [N, ...]`);
  const [count, ...shape] = full;
  return floatRows(flat, count, shape);
}

/** Whether the loss takes labels; undefined for a loss of the user's, where the targets decide. */
function takesLabels(loss: Loss): boolean | undefined {
  if (loss === crossEntropy) return true;
  return loss === mseLoss || loss === bceWithLogits ? false : undefined;
}

const isTypedArray = (y: unknown): y is ArrayLike<number> => ArrayBuffer.isView(y) && !(y instanceof DataView);

/** One integer a sample: arrays of an integer type, and flat arrays whose values are all integers. */
function looksLikeLabels(y: Targets): boolean {
  if (y instanceof Tensor) return y.shape.length === 1 && y.data.every(Number.isInteger);
  if (isTypedArray(y)) return !(y instanceof Float32Array || y instanceof Float64Array);
  return Array.isArray(y) && y.every(Number.isInteger);
}

function readTargets(y: Targets, count: number, engine: Engine, loss: Loss, what: string): Int32Array | Rows {
  if (y instanceof Tensor) {
    y.assertUsable();
    checkSameEngine(engine, y.engine, `${what}: y`);
  } else if (typeof y !== "object" || y === null) {
    throw new ArgumentError(`${what}: y: got ${show(y)}, expected labels or targets`);
  }
  if (takesLabels(loss) ?? looksLikeLabels(y)) return labelsOf(y as Labels, count, what);
  const isFlat =
    y instanceof Tensor ? y.shape.length === 1 : isTypedArray(y) || typeof (y as number[])?.[0] === "number";
  const rows = isFlat ? flatTargets(y, count, what) : readRows(y, engine, `${what}: y`);
  if (rows.count !== count) throw new ShapeError(`${what}: y: got ${rows.count} targets, expected ${count}`);
  return rows;
}

function labelsOf(y: Labels, count: number, what: string): Int32Array {
  const values = readLabels(y instanceof Tensor ? y.data : y, undefined, `${what}: y`);
  if (values.length !== count) throw new ShapeError(`${what}: y: got ${values.length} labels, expected ${count}`);
  return values;
}

/** Values in a row, shared out evenly among the samples. */
function flatTargets(y: Targets, count: number, what: string): Rows {
  const values = Float32Array.from((y instanceof Tensor ? y.data : y) as ArrayLike<number>);
  if (count === 0 ? values.length > 0 : values.length % count !== 0) {
    throw new ShapeError(
      `${what}: y: got ${values.length} values, expected a multiple of ${count}, the number of samples`,
    );
  }
  return floatRows(values, count, [count === 0 ? 0 : values.length / count]);
}

/** A data set as batches: each is copied into two buffers of linear memory, which every batch reuses. */
export class Batches {
  readonly count: number;
  readonly hasLabels: boolean;
  readonly #what: string;
  readonly #x: Rows;
  readonly #y: Int32Array | Rows;
  readonly #xBuffer: Buffer;
  readonly #yBuffer: Buffer;

  /** Throws ShapeError, ArgumentError or EngineError; no samples are a ShapeError. */
  constructor(net: Layer, data: Dataset, loss: Loss, what: string) {
    if (typeof data !== "object" || data === null) {
      throw new ArgumentError(`${what}: got ${show(data)}, expected { x, y }`);
    }
    const engine = netEngine(net, data.x);
    this.#what = what;
    this.#x = readSamples(net, data.x, data.sampleShape, what, "sampleShape");
    this.#y = readTargets(data.y, this.#x.count, engine, loss, what);
    this.count = this.#x.count;
    if (this.count === 0) throw new ShapeError(`${what}: got no samples, expected at least one`);
    this.hasLabels = this.#y instanceof Int32Array;
    this.#xBuffer = new Buffer(engine);
    this.#yBuffer = new Buffer(engine);
  }

  /**
   * Throws a ShapeError where the net can tell that it does not take `size` samples at a time; otherwise returns how many outputs it
   * has for a sample, if it can tell that.
   */
  checkShape(net: Layer, size: number): number | undefined {
    const output = net.shapeAfter([size, ...this.#x.shape]);
    return output && sizeOf(output.slice(1));
  }

  /** Throws an ArgumentError or ShapeError where a target does not fit the outputs of a sample; of a user's loss nobody knows. */
  checkTargets(outputs: number, loss: Loss): void {
    if (this.#y instanceof Int32Array) {
      if (takesLabels(loss)) checkLabels(this.#y, this.count, outputs, `${this.#what}: y`);
    } else if (takesLabels(loss) === false && sizeOf(this.#y.shape) !== outputs) {
      throw new ShapeError(
        `${this.#what}: y: got targets of ${showShape(this.#y.shape)}, expected ${outputs} values for each sample`,
      );
    }
  }

  /** The samples that `order` names from `start` on, at most `size` of them. */
  take(order: Uint32Array, start: number, size: number): { x: Tensor; y: BatchTargets; size: number } {
    const indices = order.subarray(start, start + size);
    const y = this.#y instanceof Int32Array ? gatherLabels(this.#y, indices) : gather(this.#y, indices, this.#yBuffer);
    return { x: gather(this.#x, indices, this.#xBuffer), y, size: indices.length };
  }

  dispose(): void {
    this.#xBuffer.dispose();
    this.#yBuffer.dispose();
  }
}

/** Rows in the order of `indices` as a tensor [indices.length, ...shape] in `buffer`. */
export function gather(rows: Rows, indices: Uint32Array, buffer: Buffer): Tensor {
  const size = sizeOf(rows.shape);
  const tensor = buffer.take([indices.length, ...rows.shape]);
  const { data } = tensor;
  for (let i = 0; i < indices.length; i++) rows.copy(indices[i], data, i * size);
  tensor.storage.version++;
  return tensor;
}

function gatherLabels(labels: Int32Array, indices: Uint32Array): Int32Array {
  return Int32Array.from(indices, (index) => labels[index]);
}

/** 0, 1, 2, ... */
export const inOrder = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);
