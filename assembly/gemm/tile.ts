// The ir loop: a column of tiles, the tallest first, smaller ones for the rows that remain. scripts/tiles.mjs writes the tiles; `useWide` and
// `useTall` choose among them. In all of them an element is the same sum in the same order.

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
  while (m > 0) {
    const rows = tileRows(m);
    const tiles = rows == TALL_MR ? tallTiles(m) : rows == MR ? m / MR : 1;
    const r = <usize>rows;
    tilesOf(rows, width, tiles, k, a, aRow, aRow * r, b, bStep, 0, c, cRow, cRow * r, addend, addendRow, addendRow * r);
    const done = <usize>(tiles * rows);
    m -= tiles * rows;
    a += aRow * done;
    c += cRow * done;
    if (addend) addend += addendRow * done;
  }
}

/**
 * The ir loop around the jr loop: `tiles` panels of B, `bNext` bytes apart, side by side for a few rows of A after the others, so that C
 * is written along its rows.
 */
export function tilesAlong(
  width: i32,
  tiles: i32,
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
  const next = (<usize>width) << 2;
  while (m > 0) {
    const rows = tileRows(m);
    tilesOf(rows, width, tiles, k, a, aRow, 0, b, bStep, bNext, c, cRow, next, addend, addendRow, next);
    m -= rows;
    a += aRow * <usize>rows;
    c += cRow * <usize>rows;
    if (addend) addend += addendRow * <usize>rows;
  }
}

/** The height of the next tile where `m` rows are left. */
function tileRows(m: i32): i32 {
  if (ASC_FEATURE_RELAXED_SIMD && isTall && tallTiles(m) > 0) return TALL_MR;
  return m >= MR ? MR : m >= 2 ? 2 : 1;
}

/** Tiles of `rows` by `width`; flat ones of 8 columns beside each other. */
function tilesOf(
  rows: i32,
  width: i32,
  tiles: i32,
  k: i32,
  a: usize,
  aRow: usize,
  aNext: usize,
  b: usize,
  bStep: usize,
  bNext: usize,
  c: usize,
  cRow: usize,
  cNext: usize,
  addend: usize,
  addendRow: usize,
  addendNext: usize,
): void {
  const isWide = width == WIDE_NR;
  if (ASC_FEATURE_RELAXED_SIMD && rows == TALL_MR) {
    if (isWide) rows6x16(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
    else rows6x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
  } else if (rows == MR) {
    if (isWide) rows4x16(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
    else rows4x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
  } else {
    for (let x: usize = 0; x < (<usize>width) << 2; x += 32, b += 32, c += 32) {
      if (rows == 2) rows2x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
      else rows1x8(tiles, k, a, aRow, aNext, b, bStep, bNext, c, cRow, cNext, addend, addendRow, addendNext);
      if (addend) addend += 32;
    }
  }
}

/** As many as leave no two or three rows: two tiles of four are faster than one of six and a flat one. */
@inline
function tallTiles(m: i32): i32 {
  const tiles = m / TALL_MR;
  const rest = m - tiles * TALL_MR;
  return tiles > 0 && (rest == 2 || rest == 3) ? tiles - 1 : tiles;
}
