// A·Bᵀ by dot products along k, where A and B both lie contiguous: for few rows or few columns, without any packing.
//
//   C[i, j] = Σ_k A[i, k] · B[j, k] (+ bias[j], or + C[i, j])
//
// A tile of R x Q outputs holds R·Q vectors of four partial sums (k mod 4); they are summed at the end, (0 + 1) + (2 + 3), and the
// last k mod 4 products are added one by one. One row of A: two vectors of k a turn, so that additions do not wait for each other.

import { multiplyAdd, sum, sums4 } from "../lanes";
import { DOT_ROWS } from "./sizes";

export function dots(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  bias: usize,
  accumulate: bool,
): void {
  for (let i0 = 0; i0 < m; i0 += DOT_ROWS) {
    const rows = min(DOT_ROWS, m - i0);
    let pb = b;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const pc = c + ((<usize>j) << 2);
      const addend = accumulate ? pc : bias ? bias + ((<usize>j) << 2) : 0;
      const addendRow = accumulate ? cRow : 0;
      const pairs = rows >> 1;
      if (pairs > 0) dots2x4(pairs, k, a, aRow, pb, bRow, pc, cRow, addend, addendRow);
      if (rows & 1) {
        const i = <usize>(rows - 1);
        dots1x4(k, a + i * aRow, pb, bRow, pc + i * cRow, addend ? addend + i * addendRow : 0);
      }
      pb += bRow << 2;
    }
    for (; j < n; j++) {
      for (let i: usize = 0; i < <usize>rows; i++) {
        const pc = c + i * cRow + ((<usize>j) << 2);
        const value = dot(k, a + i * aRow, pb);
        store<f32>(pc, accumulate ? load<f32>(pc) + value : bias ? value + load<f32>(bias + ((<usize>j) << 2)) : value);
      }
      pb += bRow;
    }
    a += <usize>rows * aRow;
    c += <usize>rows * cRow;
  }
}

/** Adds the products that do not fill a vector to four sums, and the addend. */
@inline
function finish(sums: v128, x: usize, end: usize, a: usize, b: usize, bRow: usize, c: usize, addend: usize): void {
  for (; x < end; x += 4) {
    const column = b + x;
    let values = v128.load_zero<f32>(column);
    values = v128.load_lane<f32>(column + bRow, values, 1);
    values = v128.load_lane<f32>(column + (bRow << 1), values, 2);
    values = v128.load_lane<f32>(column + bRow * 3, values, 3);
    sums = multiplyAdd(v128.load32_splat(a + x), values, sums);
  }
  v128.store(c, addend ? f32x4.add(sums, v128.load(addend)) : sums);
}

function dots2x4(
  pairs: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const b1 = b + bRow;
  const b2 = b1 + bRow;
  const b3 = b2 + bRow;
  const whole = (<usize>(k & ~3)) << 2;
  const end = (<usize>k) << 2;
  for (; pairs > 0; pairs--) {
    const a1 = a + aRow;
    let c00 = f32x4.splat(0);
    let c01 = c00;
    let c02 = c00;
    let c03 = c00;
    let c10 = c00;
    let c11 = c00;
    let c12 = c00;
    let c13 = c00;
    for (let x: usize = 0; x < whole; x += 16) {
      const x0 = v128.load(a + x);
      const x1 = v128.load(a1 + x);
      let y = v128.load(b + x);
      c00 = multiplyAdd(x0, y, c00);
      c10 = multiplyAdd(x1, y, c10);
      y = v128.load(b1 + x);
      c01 = multiplyAdd(x0, y, c01);
      c11 = multiplyAdd(x1, y, c11);
      y = v128.load(b2 + x);
      c02 = multiplyAdd(x0, y, c02);
      c12 = multiplyAdd(x1, y, c12);
      y = v128.load(b3 + x);
      c03 = multiplyAdd(x0, y, c03);
      c13 = multiplyAdd(x1, y, c13);
    }
    finish(sums4(c00, c01, c02, c03), whole, end, a, b, bRow, c, addend);
    finish(sums4(c10, c11, c12, c13), whole, end, a1, b, bRow, c + cRow, addend ? addend + addendRow : 0);
    a += aRow << 1;
    c += cRow << 1;
    if (addend) addend += addendRow << 1;
  }
}

function dots1x4(k: i32, a: usize, b: usize, bRow: usize, c: usize, addend: usize): void {
  const b1 = b + bRow;
  const b2 = b1 + bRow;
  const b3 = b2 + bRow;
  const end = (<usize>k) << 2;
  let c0 = f32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  let d0 = c0;
  let d1 = c0;
  let d2 = c0;
  let d3 = c0;
  let x: usize = 0;
  for (; x + 32 <= end; x += 32) {
    const u = v128.load(a + x);
    const v = v128.load(a + x, 16);
    c0 = multiplyAdd(u, v128.load(b + x), c0);
    d0 = multiplyAdd(v, v128.load(b + x, 16), d0);
    c1 = multiplyAdd(u, v128.load(b1 + x), c1);
    d1 = multiplyAdd(v, v128.load(b1 + x, 16), d1);
    c2 = multiplyAdd(u, v128.load(b2 + x), c2);
    d2 = multiplyAdd(v, v128.load(b2 + x, 16), d2);
    c3 = multiplyAdd(u, v128.load(b3 + x), c3);
    d3 = multiplyAdd(v, v128.load(b3 + x, 16), d3);
  }
  if (x + 16 <= end) {
    const u = v128.load(a + x);
    c0 = multiplyAdd(u, v128.load(b + x), c0);
    c1 = multiplyAdd(u, v128.load(b1 + x), c1);
    c2 = multiplyAdd(u, v128.load(b2 + x), c2);
    c3 = multiplyAdd(u, v128.load(b3 + x), c3);
    x += 16;
  }
  const sums = sums4(f32x4.add(c0, d0), f32x4.add(c1, d1), f32x4.add(c2, d2), f32x4.add(c3, d3));
  finish(sums, x, end, a, b, bRow, c, addend);
}

function dot(k: i32, a: usize, b: usize): f32 {
  const whole = (<usize>(k & ~3)) << 2;
  const end = (<usize>k) << 2;
  let sums = f32x4.splat(0);
  let x: usize = 0;
  for (; x < whole; x += 16) sums = multiplyAdd(v128.load(a + x), v128.load(b + x), sums);
  let total = sum(sums);
  for (; x < end; x += 4) total += load<f32>(a + x) * load<f32>(b + x);
  return total;
}
