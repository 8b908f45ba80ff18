// The ir loop: tiles below each other, the tallest first, smaller ones for the rows that remain; or columns of tiles side by side, row by
// row. scripts/tiles.mjs writes the tiles; `useWide` and `useTall` choose among them. In all of them an element is the same sum in the same order.

import { isTall } from "./mode";
import { TALL_MR, MR, WIDE_NR } from "./sizes";
import { rows1x8, rows2x8, rows4x16, rows4x8, rows6x16, rows6x8 } from "./tiles";

/** `m` rows of `width` (8 or 16) columns with A read along its rows, `aRow` bytes apart. */
export function tileColumn(
  width: i32,
  m: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  tilesOf(1, width, m, k, a, aRow, b, bStep, 0, c, cRow, addend, addendRow);
}

/**
 * `count` such columns side by side, their panels of B `bNext` bytes apart: all tiles of a few rows of A before those of the next rows, so
 * that C is written along its rows.
 */
export function tilesOf(
  count: i32,
  width: i32,
  m: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bStep: usize,
  bNext: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const right = (<usize>width) << 2;
  while (m > 0) {
    const rows = tileRows(m);
    // all tiles of this height in one column, below each other
    const down = count > 1 ? 1 : rows == TALL_MR ? tallTiles(m) : rows == MR ? m / MR : 1;
    const tiles = max(count, down);
    const r = <usize>rows;
    let aNext: usize = 0;
    let cNext = right;
    let addendNext = right;
    if (count == 1) {
      aNext = aRow * r;
      bNext = 0;
      cNext = cRow * r;
      addendNext = addendRow * r;
    }
    if (ASC_FEATURE_RELAXED_SIMD && rows == TALL_MR) {
      if (width == WIDE_NR)
        rows6x16(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
      else rows6x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
    } else if (rows == MR) {
      if (width == WIDE_NR)
        rows4x16(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
      else rows4x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
    } else {
      for (let x: usize = 0; x < right; x += 32) {
        const plus = addend ? addend + x : 0;
        if (rows == 2)
          rows2x8(tiles, k, a, aRow, aNext, b + x, bStep, bNext, c + x, cRow, cNext, plus, addendRow, addendNext);
        else rows1x8(tiles, k, a, aRow, aNext, b + x, bStep, bNext, c + x, cRow, cNext, plus, addendRow, addendNext);
      }
    }
    const done = r * <usize>down;
    m -= <i32>done;
    a += aRow * done;
    c += cRow * done;
    if (addend) addend += addendRow * done;
  }
}

/** The height of the next tile where `m` rows are left. */
function tileRows(m: i32): i32 {
  if (ASC_FEATURE_RELAXED_SIMD && isTall && tallTiles(m) > 0) return TALL_MR;
  return m >= MR ? MR : m >= 2 ? 2 : 1;
}

/** As many as do not leave two or three rows: two tiles of four are faster than one of six and a flat one. */
@inline
function tallTiles(m: i32): i32 {
  const tiles = m / TALL_MR;
  const rest = m - tiles * TALL_MR;
  return tiles > 0 && (rest == 2 || rest == 3) ? tiles - 1 : tiles;
}
