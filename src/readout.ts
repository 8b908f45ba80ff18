// A net's outputs as plain values, outside the linear memory.

import { show } from "./checks.js";
import { exp } from "./deterministic-math.js";
import { ArgumentError, ShapeError } from "./errors.js";
import type { Floats } from "./host-types.js";
import { isTensor, type Tensor } from "./tensor.js";
import { copyOf, isFloatArray } from "./values.js";

/** A copy of outputs, in rows: along a Tensor's last axis; a flat array is one row. */
interface Rows {
  readonly values: Floats;
  readonly length: number;
  readonly isOne: boolean;
}

function readRows(x: unknown, what: string): Rows {
  if (isTensor(x)) {
    const { shape } = x;
    return { values: x.liveView().slice(), length: shape[shape.length - 1] ?? 1, isOne: shape.length < 2 };
  }
  if (isFloatArray(x)) {
    const values = copyOf(x, what);
    return { values, length: values.length, isOne: true };
  }
  throw new ArgumentError(`${what}: got ${show(x)}, expected a Tensor or a Float32Array`);
}

/**
 * exp(x) / Σ exp(x) over the last axis (torch.nn.functional.softmax), computed in double: as many values as x has, in its order. A flat
 * array is one row. Throws ArgumentError for anything but a Tensor, Float32Array or Float64Array.
 */
export function softmax(x: Tensor | Float32Array | Float64Array): Floats {
  const { values, length } = readRows(x, "softmax");
  for (let start = 0; start < values.length; start += length) {
    const row = values.subarray(start, start + length);
    const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const powers = Array.from(row, (value) => exp(value - largest));
    const sum = powers.reduce((total, power) => total + power, 0);
    for (let i = 0; i < length; i++) row[i] = powers[i] / sum;
  }
  return values;
}

/**
 * The place of the largest value along the last axis (torch.argmax): a number for a Tensor [K] or a flat array, an array of N numbers for a
 * Tensor [N, K]. Of equals the first counts; a NaN is the largest, as in PyTorch. Throws ArgumentError for anything but a Tensor, Float32Array
 * or Float64Array, ShapeError for empty rows.
 */
export function argmax(x: Float32Array | Float64Array): number;
export function argmax(x: Tensor): number | number[];
export function argmax(x: Tensor | Float32Array | Float64Array): number | number[] {
  const { values, length, isOne } = readRows(x, "argmax");
  if (length === 0) throw new ShapeError("argmax: got rows of no values, expected at least one");
  if (isOne) return largestAt(values, 0, length);
  return Array.from({ length: values.length / length }, (_, row) => largestAt(values, row * length, length));
}

/** The place of the largest value of a row: the first of equals, and NaN above all. */
export function largestAt(values: Float32Array, start: number, length: number): number {
  let best = 0;
  for (let i = 0; i < length; i++) {
    const value = values[start + i];
    if (Number.isNaN(value)) return i;
    if (value > values[start + best]) best = i;
  }
  return best;
}
