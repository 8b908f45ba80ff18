// Packing: the operands of a tile, laid out in the order in which the tile reads them, and results back from where tiles left them.
//
// Functions that transpose hold shuffles, and store nothing to neighbouring addresses: V8 13.6 widens functions with both to wrong code.

import { copyRow, Narrow, rowOf, Wide } from "../lanes";
import { NR } from "./sizes";

/** B[k, n]: `width` (8 or 16) neighbouring columns of k rows -> panel[k][width]. */
export function packColumns(width: i32, k: i32, source: usize, row: usize, panel: usize): void {
  if (width == NR) packColumnsOf<Narrow>(k, source, row, panel);
  else packColumnsOf<Wide>(k, source, row, panel);
}

function packColumnsOf<W>(k: i32, source: usize, row: usize, panel: usize): void {
  for (; k > 0; k--, source += row, panel += rowOf<W>()) copyRow<W>(source, panel);
}

/** B[k, n]: several such panels at once, `panelBytes` apart: each row is read along, whole cache lines at a time. */
export function packGroup(
  panels: i32,
  width: i32,
  k: i32,
  source: usize,
  row: usize,
  target: usize,
  panelBytes: usize,
): void {
  const step = (<usize>width) << 2;
  for (; k > 0; k--) {
    let from = source;
    let to = target;
    for (let p = 0; p < panels; p++) {
      for (let x: usize = 0; x < step; x += 32) copyRow<Narrow>(from + x, to + x);
      from += step;
      to += panelBytes;
    }
    source += row;
    target += step;
  }
}

/** B[k, n]: the last `count` < 8 columns -> panel[k][8]; the others become 0 and their results are dropped. */
export function packColumnsEdge(count: i32, k: i32, source: usize, row: usize, panel: usize): void {
  for (; k > 0; k--) {
    for (let x: usize = 0; x < 32; x += 4) {
      store<f32>(panel + x, x < (<usize>count) << 2 ? load<f32>(source + x) : 0);
    }
    source += row;
    panel += 32;
  }
}

/** B[n, k]: `count` (1 to width) rows -> panel[k][width], transposed. A missing row repeats the last; its results are dropped. */
export function packRows(count: i32, width: i32, k: i32, source: usize, row: usize, panel: usize): void {
  const step = (<usize>width) << 2;
  for (let i = 0; i < width; i += 4) {
    // in place of missing rows the first one again
    const first = i < count ? i : 0;
    packRows4(min(count - first, 4), k, source + <usize>first * row, row, panel + ((<usize>i) << 2), step);
  }
}

/** A column of the 4x4 block with the rows a, b, c, d: a row of its transpose. */
@inline
export function column(I: i32, a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = I < 2 ? v128.shuffle<f32>(a, b, 0, 4, 1, 5) : v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd = I < 2 ? v128.shuffle<f32>(c, d, 0, 4, 1, 5) : v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  return I & 1 ? v128.shuffle<f64>(ab, cd, 1, 3) : v128.shuffle<f64>(ab, cd, 0, 2);
}

/** 1 to 4 rows -> 4 of the panel's columns. */
function packRows4(count: i32, k: i32, row0: usize, row: usize, panel: usize, step: usize): void {
  const row1 = count > 1 ? row0 + row : row0;
  const row2 = count > 2 ? row1 + row : row1;
  const row3 = count > 3 ? row2 + row : row2;
  const step2 = step << 1;
  const step3 = step2 + step;
  const end = (<usize>k) << 2;
  let x: usize = 0;
  for (; x + 16 <= end; x += 16) {
    const a = v128.load(row0 + x);
    const b = v128.load(row1 + x);
    const c = v128.load(row2 + x);
    const d = v128.load(row3 + x);
    v128.store(panel, column(0, a, b, c, d));
    v128.store(panel + step, column(1, a, b, c, d));
    v128.store(panel + step2, column(2, a, b, c, d));
    v128.store(panel + step3, column(3, a, b, c, d));
    panel += step << 2;
  }
  for (; x < end; x += 4) {
    store<f32>(panel, load<f32>(row0 + x));
    store<f32>(panel, load<f32>(row1 + x), 4);
    store<f32>(panel, load<f32>(row2 + x), 8);
    store<f32>(panel, load<f32>(row3 + x), 12);
    panel += step;
  }
}

/**
 * target[count, n] = source[n, count]ᵀ (+ bias, or + target), the rows of source `step` bytes apart: for results computed transposed, on
 * their way into C, or a stored A[k, m], on its way into rows.
 */
export function unpackRows(
  count: i32,
  n: i32,
  source: usize,
  step: usize,
  target: usize,
  row: usize,
  bias: usize,
  accumulate: bool,
): void {
  const whole = n & ~3;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const from = source + ((<usize>i) << 2);
    unpackRows4(whole, from, step, target, row, bias, accumulate);
    for (let r: usize = 0; r < 4; r++) {
      unpackRow(whole, n, from + (r << 2), step, target + r * row, bias, accumulate);
    }
    target += row << 2;
  }
  for (; i < count; i++) {
    unpackRow(0, n, source + ((<usize>i) << 2), step, target, bias, accumulate);
    target += row;
  }
}

/** Four rows, n a multiple of four: blocks of 4x4 in registers. */
function unpackRows4(n: i32, source: usize, step: usize, c0: usize, row: usize, bias: usize, accumulate: bool): void {
  const c1 = c0 + row;
  const c2 = c1 + row;
  const c3 = c2 + row;
  const step2 = step << 1;
  const step3 = step2 + step;
  const end = (<usize>n) << 2;
  for (let x: usize = 0; x < end; x += 16) {
    const a = v128.load(source);
    const b = v128.load(source + step);
    const c = v128.load(source + step2);
    const d = v128.load(source + step3);
    let r0 = column(0, a, b, c, d);
    let r1 = column(1, a, b, c, d);
    let r2 = column(2, a, b, c, d);
    let r3 = column(3, a, b, c, d);
    if (accumulate) {
      r0 = f32x4.add(v128.load(c0 + x), r0);
      r1 = f32x4.add(v128.load(c1 + x), r1);
      r2 = f32x4.add(v128.load(c2 + x), r2);
      r3 = f32x4.add(v128.load(c3 + x), r3);
    } else if (bias) {
      const q = v128.load(bias + x);
      r0 = f32x4.add(r0, q);
      r1 = f32x4.add(r1, q);
      r2 = f32x4.add(r2, q);
      r3 = f32x4.add(r3, q);
    }
    v128.store(c0 + x, r0);
    v128.store(c1 + x, r1);
    v128.store(c2 + x, r2);
    v128.store(c3 + x, r3);
    source += step << 2;
  }
}

/** One row, from column `j` on. */
function unpackRow(j: i32, n: i32, source: usize, step: usize, c: usize, bias: usize, accumulate: bool): void {
  for (; j < n; j++) {
    const x = (<usize>j) << 2;
    let value = load<f32>(source + <usize>j * step);
    if (accumulate) value += load<f32>(c + x);
    else if (bias) value += load<f32>(bias + x);
    store<f32>(c + x, value);
  }
}
