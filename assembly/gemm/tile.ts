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
  let done: usize = 0;
  if (ASC_FEATURE_RELAXED_SIMD) {
    const tiles = isTall ? tallTiles(m) : 0;
    if (tiles > 0) {
      if (width == WIDE_NR) rows6x16(tiles, k, a, aRow, b, bStep, c, cRow, addend, addendRow);
      else rows6x8(tiles, k, a, aRow, b, bStep, c, cRow, addend, addendRow);
      done = <usize>(tiles * TALL_MR);
    }
  }
  const tiles = (m - <i32>done) >> 2;
  if (tiles > 0) {
    const from = a + done * aRow;
    const to = c + done * cRow;
    const plus = below(addend, addendRow, done);
    if (width == WIDE_NR) rows4x16(tiles, k, from, aRow, b, bStep, to, cRow, plus, addendRow);
    else rows4x8(tiles, k, from, aRow, b, bStep, to, cRow, plus, addendRow);
    done += <usize>(tiles * MR);
  }
  const rest = m - <i32>done;
  if (rest == 0) return;
  a += done * aRow;
  c += done * cRow;
  addend = below(addend, addendRow, done);
  for (let x: usize = 0; x < (<usize>width) << 2; x += 32, b += 32, c += 32) {
    if (rest & 2) rows2x8(1, k, a, aRow, b, bStep, c, cRow, addend, addendRow);
    if (rest & 1) {
      const row = <usize>(rest & 2);
      const last = below(addend, addendRow, row);
      rows1x8(1, k, a + row * aRow, aRow, b, bStep, c + row * cRow, cRow, last, addendRow);
    }
    if (addend) addend += 32;
  }
}

/** As many as leave no two or three rows: two tiles of four are faster than one of six and a flat one. */
@inline
function tallTiles(m: i32): i32 {
  const tiles = m / TALL_MR;
  const rest = m - tiles * TALL_MR;
  return tiles > 0 && (rest == 2 || rest == 3) ? tiles - 1 : tiles;
}

/** The addend some rows further down; none stays none. */
@inline
function below(addend: usize, addendRow: usize, rows: usize): usize {
  return addend ? addend + rows * addendRow : 0;
}
