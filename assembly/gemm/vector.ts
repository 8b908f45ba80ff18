// Few rows of A, mostly one: each element of B is used so seldom that packing would only cost. And k = 1, the outer product.

import { multiplyAdd, storeFour } from "../lanes";
import { isWide } from "./mode";
import { ALONG_FLOATS, ALONG_ROWS } from "./sizes";
import { rows1x32, rows1x64, rows1x8 } from "./tiles";
import { block } from "./work";

/**
 * C[m, n] = A[m, k] · B[k, n] (+ bias, or + C) for few rows of A and a large B, which comes from memory and is fast only when read in
 * order. Some rows of B at a time are added to sums[n / 16][m][16] in scratch; the last columns, fewer than 16, go down B.
 */
export function alongRows(
  m: i32,
  n: i32,
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
  const whole = n & ~15;
  const mostN = (ALONG_FLOATS / m) & ~15;
  for (let jc = 0; jc < whole; jc += mostN) {
    const blocks = min(mostN, whole - jc) >> 4;
    const x = (<usize>jc) << 2;
    for (let r = 0; r < k; r += ALONG_ROWS) {
      const rows = min(ALONG_ROWS, k - r);
      addRows(m, blocks, rows, r == 0, a + ((<usize>r) << 2), aRow, b + <usize>r * bRow + x, bRow);
    }
    storeSums(m, blocks, c + x, cRow, addend ? addend + x : 0, addendRow);
  }
  if (whole == n) return;
  const x = (<usize>whole) << 2;
  for (; m > 0; m--) {
    vectorTimesMatrix(n - whole, k, a, b + x, bRow, c + x, addend ? addend + x : 0);
    a += aRow;
    c += cRow;
    if (addend) addend += addendRow;
  }
}

/** B's columns are read evenly, and used by all rows of A: the processor fetches ahead while it computes. */
function addRows(m: i32, blocks: i32, rows: i32, isFirst: bool, a: usize, aRow: usize, b: usize, bRow: usize): void {
  // -0 + a · b is a · b, also where that is -0
  const none = f32x4.splat(-0.0);
  const end = (<usize>rows) << 2;
  let sums = block;
  for (; blocks > 0; blocks--, b += 64) {
    let x = a;
    for (let i = 0; i < m; i++, x += aRow, sums += 64) {
      let c0 = none;
      let c1 = none;
      let c2 = none;
      let c3 = none;
      if (!isFirst) {
        c0 = v128.load(sums);
        c1 = v128.load(sums, 16);
        c2 = v128.load(sums, 32);
        c3 = v128.load(sums, 48);
      }
      let pb = b;
      for (let r: usize = 0; r < end; r += 4, pb += bRow) {
        const s = v128.load32_splat(x + r);
        c0 = multiplyAdd(s, v128.load(pb), c0);
        c1 = multiplyAdd(s, v128.load(pb, 16), c1);
        c2 = multiplyAdd(s, v128.load(pb, 32), c2);
        c3 = multiplyAdd(s, v128.load(pb, 48), c3);
      }
      storeFour(sums, c0, c1, c2, c3);
    }
  }
}

function storeSums(m: i32, blocks: i32, c: usize, cRow: usize, addend: usize, addendRow: usize): void {
  let sums = block;
  for (; blocks > 0; blocks--, c += 64) {
    let to = c;
    let plus = addend;
    for (let i = 0; i < m; i++, to += cRow) {
      for (let j: usize = 0; j < 64; j += 16, sums += 16) {
        const sum = v128.load(sums);
        v128.store(to + j, plus ? f32x4.add(v128.load(plus + j), sum) : sum);
      }
      if (plus) plus += addendRow;
    }
    if (addend) addend += 64;
  }
}

/** y[n] = x[k] · B[k, n] (+ bias, or + y): many columns of sums in registers run down the rows of B; then 8, then single columns. */
export function vectorTimesMatrix(n: i32, k: i32, x: usize, b: usize, bRow: usize, y: usize, addend: usize): void {
  const end = (<usize>n) << 2;
  let j: usize = 0;
  if (isWide()) {
    for (; j + 256 <= end; j += 256)
      rows1x64(1, k, x, 0, 0, b + j, bRow, 0, y + j, 0, 0, addend ? addend + j : 0, 0, 0);
  }
  for (; j + 128 <= end; j += 128) rows1x32(1, k, x, 0, 0, b + j, bRow, 0, y + j, 0, 0, addend ? addend + j : 0, 0, 0);
  for (; j + 32 <= end; j += 32) rows1x8(1, k, x, 0, 0, b + j, bRow, 0, y + j, 0, 0, addend ? addend + j : 0, 0, 0);
  for (; j < end; j += 4) {
    // in lanes, so that a column's bits do not depend on the number of columns
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
