import { Buffer } from "../buffers.js";
import { checkSize, show, showShape } from "../checks.js";
import { defaultEngine, type Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import type { Layer } from "../layers/layer.js";
import { checkNested, checkShape, copyNested, type NestedNumbers, nestedShape, sizeOf, Tensor } from "../tensor.js";

/** Samples: a Tensor or nested arrays [N, ...], or a flat array with the shape of a sample (0..255 becomes 0..1 in a Uint8Array). */
export type Samples = Tensor | Float32Array | Uint8Array | readonly NestedNumbers[];

/** What a net is trained towards: labels, or targets in the shapes that samples may have. */
export type Targets = Samples | ArrayLike<number>;

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

const BYTE_TO_UNIT = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** The engine of a net: its own, or that of its parameters. */
export function netEngine(net: Layer): Engine {
  return (net as { engine?: Engine }).engine ?? net.parameters()[0]?.value.engine ?? defaultEngine();
}

/** `sampleShape` as given, or the width of the net's first dense layer. */
function sampleShapeFor(net: Layer, sampleShape: readonly number[] | undefined, what: string): readonly number[] {
  if (sampleShape !== undefined) {
    checkShape(sampleShape, `${what}: sampleShape`);
    for (const length of sampleShape) checkSize(length, `${what}: sampleShape`);
    return sampleShape;
  }
  const width = net.flatInputSize();
  if (width === undefined) {
    throw new ShapeError(`${what}: x is flat and the net's first layer is no Linear: expected sampleShape`);
  }
  return [width];
}

/** x as rows, checked. Throws ShapeError or ArgumentError. */
export function readSamples(net: Layer, x: Samples, sampleShape: readonly number[] | undefined, what: string): Rows {
  if (x instanceof Float32Array || x instanceof Uint8Array) {
    const shape = sampleShapeFor(net, sampleShape, what);
    const size = sizeOf(shape);
    if (x.length % size !== 0) {
      throw new ShapeError(
        `${what}: x: got ${x.length} values, expected a multiple of ${size} (${showShape(["N", ...shape])})`,
      );
    }
    return flatRows(x, x.length / size, shape);
  }
  return readRows(x, `${what}: x`);
}

function flatRows(data: Float32Array | Uint8Array, count: number, shape: readonly number[]): Rows {
  const size = sizeOf(shape);
  if (data instanceof Float32Array) {
    return {
      count,
      shape,
      copy: (index, target, position) => target.set(data.subarray(index * size, (index + 1) * size), position),
    };
  }
  return {
    count,
    shape,
    copy(index, target, position) {
      const start = index * size;
      for (let i = 0; i < size; i++) target[position + i] = BYTE_TO_UNIT[data[start + i]];
    },
  };
}

function readRows(values: Samples | ArrayLike<number>, what: string): Rows {
  if (values instanceof Tensor) {
    values.assertUsable();
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
  const full = nestedShape(values);
  checkNested(values, full, what);
  if (full.length < 2 && full[0] !== 0) throw new ShapeError(`${what}: got ${showShape(full)}, expected [N, ...]`);
  const [count, ...shape] = full;
  const size = sizeOf(shape);
  return {
    count,
    shape,
    copy: (index, target, position) => copyNested(values[index], target.subarray(position, position + size)),
  };
}

const isIntegerArray = (y: unknown): y is ArrayLike<number> =>
  ArrayBuffer.isView(y) && !(y instanceof DataView) && !(y instanceof Float32Array) && !(y instanceof Float64Array);

const isFlatIntegers = (y: unknown): boolean => Array.isArray(y) && y.every((value) => Number.isInteger(value));

/** Labels where y is one integer a sample, rows otherwise (a flat Float32Array is shared out evenly). */
function readTargets(y: Targets, count: number, what: string): Int32Array | Rows {
  const isTensorOfLabels = y instanceof Tensor && y.shape.length === 1;
  if (isIntegerArray(y) || isFlatIntegers(y) || isTensorOfLabels) {
    const values = (y instanceof Tensor ? y.data : y) as ArrayLike<number>;
    if (values.length !== count) throw new ShapeError(`${what}: y: got ${values.length} labels, expected ${count}`);
    for (let i = 0; i < count; i++) {
      if (!Number.isInteger(values[i])) {
        throw new ArgumentError(`${what}: y: got the label ${show(values[i])} at ${i}, expected an integer`);
      }
    }
    return Int32Array.from(values);
  }
  if (y instanceof Float32Array) {
    if (count === 0 ? y.length > 0 : y.length % count !== 0) {
      throw new ShapeError(
        `${what}: y: got ${y.length} values, expected a multiple of ${count}, the number of samples`,
      );
    }
    return flatRows(y, count, [count === 0 ? 0 : y.length / count]);
  }
  const isFlat = Array.isArray(y) && typeof y[0] === "number";
  const rows = isFlat
    ? flatRows(Float32Array.from(y as number[]), y.length, [1])
    : readRows(y as Samples, `${what}: y`);
  if (rows.count !== count) throw new ShapeError(`${what}: y: got ${rows.count} targets, expected ${count}`);
  return rows;
}

/** A data set as batches: each is copied into two buffers of linear memory, which every batch reuses. */
export class Batches {
  readonly count: number;
  readonly hasLabels: boolean;
  readonly #x: Rows;
  readonly #y: Int32Array | Rows;
  readonly #xBuffer: Buffer;
  readonly #yBuffer: Buffer;

  constructor(net: Layer, data: Dataset, what: string) {
    if (typeof data !== "object" || data === null)
      throw new ArgumentError(`${what}: got ${show(data)}, expected { x, y }`);
    const engine = netEngine(net);
    this.#x = readSamples(net, data.x, data.sampleShape, what);
    this.#y = readTargets(data.y, this.#x.count, what);
    this.count = this.#x.count;
    this.hasLabels = this.#y instanceof Int32Array;
    this.#xBuffer = new Buffer(engine);
    this.#yBuffer = new Buffer(engine);
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
