import type { TensorBuffer } from "../buffers.js";
import { isArray, reading, showShape } from "../checks.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  copyValues,
  isByteArray,
  lengthOf,
  lengthOfItems,
  type NumberArray,
  numberOf,
  readNested,
  rowReader,
} from "../values.js";
import type { Steps } from "./turns.js";

/** Writes row `index` to `target` from `position` on. */
export type CopyRow = (index: number, target: Float32Array, position: number) => void;

/** Rows of numbers outside the linear memory, which only batches enter. Every batch is read anew, and checked as it is copied. */
export interface Rows {
  /** What error messages begin with. */
  readonly what: string;
  readonly count: number;
  /** The shape of one row. */
  readonly shape: readonly number[];
  /** Whether single values may be wrong, as in arrays; in typed arrays and tensors all are numbers. */
  readonly mayBeWrong: boolean;
  /** Throws if there are fewer rows than before. The result is good for one batch. */
  open(): CopyRow;
}

/** Flat values that are cut into rows. Nothing else runs while a batch is read, so its length is checked once, when it is opened. */
interface FlatSource {
  /** How many values it has now. */
  length(): number;
  readonly mayBeWrong: boolean;
  open(): CopyRow;
}

/** A row of fewer values is copied one by one: a view would cost more. */
const SHORT_ROW = 32;

function typedSource(values: NumberArray, size: number, what: string): FlatSource {
  const copyBytes: CopyRow = (index, target, position) => {
    const start = index * size;
    for (let i = 0; i < size; i++) target[position + i] = values[start + i] / 255;
  };
  const copyShort: CopyRow = (index, target, position) => {
    const start = index * size;
    for (let i = 0; i < size; i++) target[position + i] = values[start + i];
  };
  const copyLong: CopyRow = (index, target, position) =>
    copyValues(values, index * size, size, target.subarray(position, position + size), what);
  const copy = isByteArray(values) ? copyBytes : size < SHORT_ROW ? copyShort : copyLong;
  return {
    length: () => lengthOf(values, what),
    mayBeWrong: false,
    open: () => copy,
  };
}

function listSource(values: readonly unknown[], size: number, what: string): FlatSource {
  return {
    length: () => lengthOfItems(values, what),
    mayBeWrong: true,
    open: () => (index, target, position) => {
      const start = index * size;
      for (let i = 0; i < size; i++) target[position + i] = numberOf(values[start + i], [values.length], what);
    },
  };
}

function tensorSource(tensor: Tensor, size: number): FlatSource {
  return {
    length: () => tensor.size,
    mayBeWrong: false,
    open() {
      const { data } = tensor;
      return (index, target, position) => target.set(data.subarray(index * size, (index + 1) * size), position);
    },
  };
}

/** Flat values, cut into rows of this shape. Throws a ShapeError if their number is no multiple of its size. */
export function flatRows(
  values: Tensor | NumberArray | readonly unknown[],
  shape: readonly number[],
  what: string,
): Rows {
  const size = sizeOf(shape);
  const source = isArray(values)
    ? listSource(values, size, what)
    : ArrayBuffer.isView(values)
      ? typedSource(values, size, what)
      : tensorSource(values as Tensor, size);
  const length = source.length();
  if (length % size !== 0) {
    throw new ShapeError(
      `${what}: got ${length} values, expected a multiple of ${size} (${showShape(["N", ...shape])})`,
    );
  }
  return rowsOf(source, length, length / size, shape, what);
}

/** Flat values, cut into `count` rows of the same length. */
export function sharedRows(
  values: Tensor | NumberArray | readonly unknown[],
  length: number,
  count: number,
  what: string,
): Rows {
  if (count === 0 ? length > 0 : length === 0 || length % count !== 0) {
    throw new ShapeError(`${what}: got ${length} values, expected a multiple of ${count}, the number of samples`);
  }
  return flatRows(values, [count === 0 ? 1 : length / count], what);
}

function rowsOf(source: FlatSource, length: number, count: number, shape: readonly number[], what: string): Rows {
  return {
    what,
    count,
    shape,
    mayBeWrong: source.mayBeWrong,
    open() {
      assertThere(source.length(), length, "values", what);
      return source.open();
    },
  };
}

/** Throws if there is less than before. */
export function assertThere(current: number, before: number, noun: string, what: string): void {
  if (current < before) {
    throw new ArgumentError(
      `${what}: has ${current} ${noun} and had ${before}: data that are in use must keep their length`,
    );
  }
}

/** A Tensor [N, ...]. */
export function tensorRows(tensor: Tensor, what: string): Rows {
  const [count, ...shape] = checkAxes(tensor.shape, what);
  return rowsOf(tensorSource(tensor, sizeOf(shape)), tensor.size, count, shape, what);
}

/** Nested arrays [N, ...]. All rows must have the shape of the first. */
export function nestedRows(items: readonly unknown[], what: string): Rows {
  return reading(what, () => {
    const count = lengthOfItems(items, what);
    const shape = count === 0 ? [0] : readNested(items[0], what).shape;
    const copyRow = rowReader(checkAxes([count, ...shape], what), what);
    return {
      what,
      count,
      shape,
      mayBeWrong: true,
      open() {
        assertThere(lengthOfItems(items, what), count, "samples", what);
        return (index, target, position) => copyRow(items[index], target, position);
      },
    };
  });
}

function checkAxes(shape: readonly number[], what: string): readonly number[] {
  if (shape.length < 2) throw new ShapeError(`${what}: got ${showShape(shape)}, expected [N, ...]`);
  return shape;
}

/** The same values in rows of another shape. */
export function reshaped(rows: Rows, shape: readonly number[]): Rows {
  if (sizeOf(rows.shape) !== sizeOf(shape)) {
    throw new ShapeError(
      `${rows.what}: got samples of ${showShape(rows.shape)}, expected ${showShape(shape)}, the sampleShape`,
    );
  }
  return { ...rows, shape };
}

/** The rows of a batch: `size` of them from place `start` on, in `order` or as they come. */
export interface Selection {
  readonly order: Uint32Array | undefined;
  readonly start: number;
  readonly size: number;
}

/** Copies selected rows into `buffer`, as a tensor [size, ...shape] unless another shape is given. */
export function gather(
  rows: Rows,
  { order, start, size }: Selection,
  buffer: TensorBuffer,
  shape: readonly number[] = [size, ...rows.shape],
): Tensor {
  const values = sizeOf(rows.shape);
  const tensor = buffer.take(shape);
  reading(rows.what, () => {
    const copy = rows.open();
    const { data } = tensor;
    for (let i = 0; i < size; i++) copy(order === undefined ? start + i : order[start + i], data, i * values);
  });
  tensor.markWritten();
  return tensor;
}

/** How many values are checked between two turns of the event loop. */
export const VALUES_A_SLICE = 1 << 16;

/** Checks every row; yields now and then. */
export function* checkRows(rows: Rows): Steps {
  if (!rows.mayBeWrong) return;
  const row = new Float32Array(sizeOf(rows.shape));
  const step = Math.ceil(VALUES_A_SLICE / (row.length + 1));
  for (let start = 0; start < rows.count; start += step) {
    const end = Math.min(start + step, rows.count);
    reading(rows.what, () => {
      const copy = rows.open();
      for (let index = start; index < end; index++) copy(index, row, 0);
    });
    yield;
  }
}
