// Batch 1: products of a vector. Each element of the matrix is used once, so that packing would only cost.

import { multiplyAdd, storeFour } from "../lanes";
import { isWide } from "./mode";
import { rows1x32, rows1x64, rows1x8 } from "./tiles";

/** y[n] = x[k] · B[k, n] (+ bias, or + y): many columns of sums in registers run down the rows of B; then 8, then single columns. */
export function vectorTimesMatrix(n: i32, k: i32, x: usize, b: usize, bRow: usize, y: usize, addend: usize): void {
  const end = (<usize>n) << 2;
  let j: usize = 0;
  if (isWide()) {
    for (; j + 256 <= end; j += 256) rows1x64(1, k, x, 0, b + j, bRow, y + j, 0, addend ? addend + j : 0, 0);
  }
  for (; j + 128 <= end; j += 128) rows1x32(1, k, x, 0, b + j, bRow, y + j, 0, addend ? addend + j : 0, 0);
  for (; j + 32 <= end; j += 32) rows1x8(1, k, x, 0, b + j, bRow, y + j, 0, addend ? addend + j : 0, 0);
  for (; j < end; j += 4) {
    // in lanes, so that a column's bits do not depend on how many there are
    let sums = f32x4.mul(v128.load32_splat(x), v128.load32_splat(b + j));
    for (let i: usize = 1; i < <usize>k; i++) {
      sums = multiplyAdd(v128.load32_splat(x + (i << 2)), v128.load32_splat(b + i * bRow + j), sums);
    }
    const value = f32x4.extract_lane(sums, 0);
    store<f32>(y + j, addend ? load<f32>(addend + j) + value : value);
  }
}

/** C[m, n] = x yᵀ, x read `xStep` apart (+ bias for each row, or + C). */
export function outerProduct(
  m: i32,
  n: i32,
  x: usize,
  xStep: usize,
  y: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const end = (<usize>n) << 2;
  const whole = end & ~63;
  for (; m > 0; m--) {
    const s = v128.load32_splat(x);
    if (addend) {
      for (let j: usize = 0; j < whole; j += 64) {
        const r0 = multiplyAdd(s, v128.load(y + j), v128.load(addend + j));
        const r1 = multiplyAdd(s, v128.load(y + j, 16), v128.load(addend + j, 16));
        const r2 = multiplyAdd(s, v128.load(y + j, 32), v128.load(addend + j, 32));
        const r3 = multiplyAdd(s, v128.load(y + j, 48), v128.load(addend + j, 48));
        storeFour(c + j, r0, r1, r2, r3);
      }
    } else {
      for (let j: usize = 0; j < whole; j += 64) {
        const r0 = f32x4.mul(s, v128.load(y + j));
        const r1 = f32x4.mul(s, v128.load(y + j, 16));
        const r2 = f32x4.mul(s, v128.load(y + j, 32));
        const r3 = f32x4.mul(s, v128.load(y + j, 48));
        storeFour(c + j, r0, r1, r2, r3);
      }
    }
    for (let j = whole; j < end; j += 4) {
      const value = v128.load32_splat(y + j);
      const result = addend ? multiplyAdd(s, value, v128.load32_splat(addend + j)) : f32x4.mul(s, value);
      v128.store_lane<f32>(c + j, result, 0);
    }
    x += xStep;
    c += cRow;
    if (addend) addend += addendRow;
  }
}
