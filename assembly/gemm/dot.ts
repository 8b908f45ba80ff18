// A·Bᵀ by dot products along k, where A and B both lie contiguous: for few rows or few columns, without any packing.
//
//   C[i, j] = Σ_k A[i, k] · B[j, k] (+ bias[j], or + C[i, j])
//
// Tiles leave eight partial sums of each output, k mod 8, in scratch. A second pass adds them up, s_l + s_(l + 4) and then (0 + 1) + (2 +
// 3), and adds the last k mod 8 products one by one. It transposes, so it is kept apart from the stores that V8 merges.

import { fillNone, multiplyAdd, sums4 } from "../lanes";
import { isWide } from "./mode";
import { DOT_MC, DOT_NC, DOT_PART, DOT_PARTS_FROM_M } from "./sizes";
import { dots1x4, dots1x8, dots2x2, dots2x4, dots2x4half } from "./tiles";
import { block } from "./work";

/** Bytes of an output's partial sums. */
const SUMS: usize = 32;
const SUMS_ROW: usize = SUMS * <usize>DOT_NC;

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
  const eighths = k >> 3;
  const mostEighths = (m < DOT_PARTS_FROM_M ? k : DOT_PART) >> 3;
  if (eighths == 0) memory.fill(block, 0, SUMS_ROW * <usize>DOT_MC);
  for (let jc = 0; jc < n; jc += DOT_NC) {
    const columns = min(DOT_NC, n - jc);
    const pb = b + <usize>jc * bRow;
    const x = (<usize>jc) << 2;
    for (let ic = 0; ic < m; ic += DOT_MC) {
      const rows = min(DOT_MC, m - ic);
      const pa = a + <usize>ic * aRow;
      const to = c + <usize>ic * cRow + x;
      if (eighths > 0) fillNone(block, rows * DOT_NC * 8);
      for (let part = 0; part < eighths; part += mostEighths) {
        const xPart = (<usize>part) << 5;
        partialSums(rows, columns, min(mostEighths, eighths - part), pa + xPart, aRow, pb + xPart, bRow);
      }
      const addend = accumulate ? to : bias ? bias + x : 0;
      addUp(rows, columns, k, pa, aRow, pb, bRow, to, cRow, addend, accumulate ? cRow : 0);
    }
  }
}

/** Rows by twos, the last one alone. */
function partialSums(rows: i32, columns: i32, eighths: i32, a: usize, aRow: usize, b: usize, bRow: usize): void {
  const last = <usize>(rows & ~1);
  if (rows > 1) sumsOfPairs(rows >> 1, columns, eighths, a, aRow, b, bRow);
  if (rows & 1) sumsOfRow(columns, eighths, a + last * aRow, b, bRow, block + last * SUMS_ROW);
}

/** Columns by fours, the last by twos; a single one takes both places. */
function sumsOfPairs(pairs: i32, columns: i32, eighths: i32, a: usize, aRow: usize, b: usize, bRow: usize): void {
  let sums = block;
  for (; columns >= 4; columns -= 4) {
    if (isWide()) {
      dots2x4(pairs, eighths, a, aRow, b, bRow, sums, SUMS_ROW);
    } else {
      dots2x4half(pairs, eighths, a, aRow, b, bRow, sums, SUMS_ROW);
      dots2x4half(pairs, eighths, a + 16, aRow, b + 16, bRow, sums + 16, SUMS_ROW);
    }
    b += bRow << 2;
    sums += SUMS << 2;
  }
  for (; columns > 0; columns -= 2) {
    dots2x2(pairs, eighths, a, aRow, b, columns > 1 ? bRow : 0, sums, SUMS_ROW);
    b += bRow << 1;
    sums += SUMS << 1;
  }
}

/** One row takes both places with the columns that are left over. */
function sumsOfRow(columns: i32, eighths: i32, a: usize, b: usize, bRow: usize, sums: usize): void {
  for (; isWide() && columns >= 8; columns -= 8) {
    dots1x8(1, eighths, a, 0, b, bRow, sums, 0);
    b += bRow << 3;
    sums += SUMS << 3;
  }
  for (; columns >= 4; columns -= 4) {
    dots1x4(1, eighths, a, 0, b, bRow, sums, 0);
    b += bRow << 2;
    sums += SUMS << 2;
  }
  for (; columns > 0; columns -= 2) {
    dots2x2(1, eighths, a, 0, b, columns > 1 ? bRow : 0, sums, 0);
    b += bRow << 1;
    sums += SUMS << 1;
  }
}

/** Partial sums and the products past the last eight of k -> C. */
function addUp(
  rows: i32,
  columns: i32,
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
  const whole = (<usize>(k & ~7)) << 2;
  const end = (<usize>k) << 2;
  let row = block;
  for (; rows > 0; rows--) {
    let sums = row;
    let j: usize = 0;
    let pb = b;
    for (; j + 16 <= (<usize>columns) << 2; j += 16) {
      let total = sums4(eight(sums), eight(sums + SUMS), eight(sums + 2 * SUMS), eight(sums + 3 * SUMS));
      for (let x = whole; x < end; x += 4) {
        let values = v128.load_zero<f32>(pb + x);
        values = v128.load_lane<f32>(pb + bRow + x, values, 1);
        values = v128.load_lane<f32>(pb + (bRow << 1) + x, values, 2);
        values = v128.load_lane<f32>(pb + bRow * 3 + x, values, 3);
        total = multiplyAdd(v128.load32_splat(a + x), values, total);
      }
      v128.store(c + j, addend ? f32x4.add(total, v128.load(addend + j)) : total);
      sums += SUMS << 2;
      pb += bRow << 2;
    }
    for (; j < (<usize>columns) << 2; j += 4) {
      // lane 0 of the same sums, so that a column's bits do not depend on the number of columns
      let total = sums4(eight(sums), eight(sums), eight(sums), eight(sums));
      for (let x = whole; x < end; x += 4) {
        total = multiplyAdd(v128.load32_splat(a + x), v128.load32_splat(pb + x), total);
      }
      const value = f32x4.extract_lane(total, 0);
      store<f32>(c + j, addend ? value + load<f32>(addend + j) : value);
      sums += SUMS;
      pb += bRow;
    }
    row += SUMS_ROW;
    a += aRow;
    c += cRow;
    if (addend) addend += addendRow;
  }
}

/** s_l + s_(l + 4) */
@inline
function eight(sums: usize): v128 {
  return f32x4.add(v128.load(sums), v128.load(sums, 16));
}
