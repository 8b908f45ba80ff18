import { Scratch } from "./scratch.js";

const sums = new Scratch();

/** y[c] (+)= Σ over r and i of x[r, c, i], x[rows, channels, inner]. */
export function channelSums(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  y: number,
  accumulate: boolean,
): void {
  const total = sums.take(channels);
  channelTotals(f32, rows, channels, inner, x, total);
  addSums(f32, channels, total, 1, y, accumulate);
}

/** totals[c] = Σ over r and i of x[r, c, i] */
export function channelTotals(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  totals: Float64Array,
): void {
  totals.fill(0, 0, channels);
  if (inner === 1) totalsOfColumns(f32, rows, channels, x, totals);
  else totalsOfPlanes(f32, rows, channels, inner, x, totals);
}

/** Neighbours belong to different sums, which are kept in memory: four rows a pass to touch them less often. */
function totalsOfColumns(f32: Float32Array, rows: number, n: number, x: number, totals: Float64Array): void {
  let q = x;
  let i = 0;
  for (; i + 4 <= rows; i += 4, q += 3 * n) {
    for (let j = 0; j < n; j++, q++) {
      totals[j] = totals[j] + f32[q] + f32[q + n] + f32[q + 2 * n] + f32[q + 3 * n];
    }
  }
  for (; i < rows; i++) {
    for (let j = 0; j < n; j++, q++) totals[j] += f32[q];
  }
}

/** A plane has one sum: four of them in registers, because one alone waits for the latency of its additions. */
function totalsOfPlanes(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  totals: Float64Array,
): void {
  let q = x;
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < channels; c++) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      const end = q + inner;
      for (; q + 4 <= end; q += 4) {
        s0 += f32[q];
        s1 += f32[q + 1];
        s2 += f32[q + 2];
        s3 += f32[q + 3];
      }
      for (; q < end; q++) s0 += f32[q];
      totals[c] += s0 + s1 + (s2 + s3);
    }
  }
}

/** to[i] (+)= from[i · stride]: double sums become gradients, rounded once. */
export function addSums(
  f32: Float32Array,
  n: number,
  from: Float64Array,
  stride: number,
  to: number,
  accumulate: boolean,
): void {
  for (let i = 0; i < n; i++) f32[to + i] = accumulate ? f32[to + i] + from[i * stride] : from[i * stride];
}

/** x[i] = value */
export function fill(f32: Float32Array, n: number, x: number, value: number): void {
  f32.fill(value, x, x + n);
}

/** y[i] += scale · x[i]; x and y may be the same. */
export function addScaled(f32: Float32Array, n: number, x: number, y: number, scale: number): void {
  for (let i = 0; i < n; i++) f32[y + i] += scale * f32[x + i];
}

/** x[i] = factor · x[i] */
export function scale(f32: Float32Array, n: number, x: number, factor: number): void {
  for (let i = 0; i < n; i++) f32[x + i] *= factor;
}

/** z[i] (+)= factor · x[i] · y[i] */
export function addProduct(
  f32: Float32Array,
  n: number,
  factor: number,
  x: number,
  y: number,
  z: number,
  accumulate: boolean,
): void {
  for (let i = 0; i < n; i++) {
    const product = factor * f32[x + i] * f32[y + i];
    f32[z + i] = accumulate ? f32[z + i] + product : product;
  }
}

/** Σ x[i]² */
export function sumOfSquares(f32: Float32Array, n: number, x: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += f32[x + i] * f32[x + i];
  return sum;
}
