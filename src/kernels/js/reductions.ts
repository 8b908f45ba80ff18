import { Scratch } from "./scratch.js";

const sums = new Scratch();

/** y[j] (+)= Σ_i x[i, j] for x[rows, n]: double sums kept in memory, four rows a pass to touch them less often. */
export function columnSums(
  f32: Float32Array,
  rows: number,
  n: number,
  x: number,
  y: number,
  accumulate: boolean,
): void {
  const sum = sums.take(n);
  sum.fill(0, 0, n);
  let q = x;
  let i = 0;
  for (; i + 4 <= rows; i += 4, q += 3 * n) {
    for (let j = 0; j < n; j++, q++) sum[j] = sum[j] + f32[q] + f32[q + n] + f32[q + 2 * n] + f32[q + 3 * n];
  }
  for (; i < rows; i++) {
    for (let j = 0; j < n; j++, q++) sum[j] += f32[q];
  }
  for (let j = 0; j < n; j++) f32[y + j] = accumulate ? f32[y + j] + sum[j] : sum[j];
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
