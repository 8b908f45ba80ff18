// Few rows of A, mostly one: each element of B is used so seldom that packing would only cost. And k = 1, the outer product.

import { fillNone, multiplyAdd, storeFour } from "../lanes";
import { isWide, nr } from "./mode";
import { ALONG_FLOATS, ALONG_ROWS, MR, WIDE_NR } from "./sizes";
import { adds1x16, adds1x8, adds4x16, adds4x8, rows1x32, rows1x64, rows1x8 } from "./tiles";
import { block } from "./work";

/**
 * C[m, n] = A[m, k] · B[k, n] (+ bias, or + C) for few rows of A and a large B, which comes from memory and is fast only when read in
 * order. Some rows of B at a time are added to sums[n / width][m][width] in scratch; the last columns, fewer than `width`, go down B.
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
  const width = m < MR ? WIDE_NR : nr;
  const whole = n - (n % width);
  const mostN = (ALONG_FLOATS / m) & ~(WIDE_NR - 1);
  for (let jc = 0; jc < whole; jc += mostN) {
    const columns = min(mostN, whole - jc);
    const x = (<usize>jc) << 2;
    fillNone(block, m * columns);
    for (let r = 0; r < k; r += ALONG_ROWS) {
      addRows(m, columns, width, min(ALONG_ROWS, k - r), a + ((<usize>r) << 2), aRow, b + <usize>r * bRow + x, bRow);
    }
    storeSums(m, columns, width, c + x, cRow, addend ? addend + x : 0, addendRow);
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

/** Rows of A by fours, then the others. */
function addRows(m: i32, columns: i32, width: i32, k: i32, a: usize, aRow: usize, b: usize, bRow: usize): void {
  const blocks = columns / width;
  const next = (<usize>(m * width)) << 2;
  const tiles = m / MR;
  const rest = m % MR;
  if (tiles > 0) {
    if (width == WIDE_NR) adds4x16(blocks, tiles, k, a, aRow, b, bRow, block, next);
    else adds4x8(blocks, tiles, k, a, aRow, b, bRow, block, next);
  }
  if (rest == 0) return;
  const pa = a + <usize>(m - rest) * aRow;
  const sums = block + ((<usize>((m - rest) * width)) << 2);
  if (width == WIDE_NR) adds1x16(blocks, rest, k, pa, aRow, b, bRow, sums, next);
  else adds1x8(blocks, rest, k, pa, aRow, b, bRow, sums, next);
}

function storeSums(m: i32, columns: i32, width: i32, c: usize, cRow: usize, addend: usize, addendRow: usize): void {
  const right = (<usize>width) << 2;
  let sums = block;
  for (; columns > 0; columns -= width, c += right) {
    let to = c;
    let plus = addend;
    for (let i = 0; i < m; i++, to += cRow) {
      for (let j: usize = 0; j < right; j += 16, sums += 16) {
        const sum = v128.load(sums);
        v128.store(to + j, plus ? f32x4.add(v128.load(plus + j), sum) : sum);
      }
      if (plus) plus += addendRow;
    }
    if (addend) addend += right;
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
