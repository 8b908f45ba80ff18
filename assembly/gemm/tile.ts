// A column of tiles, whatever its height: the tallest tiles first, smaller ones for the rows that remain. The tiles themselves are written by
// scripts/tiles.mjs. Which sizes there are in effect depends on what V8 makes of them: `useWide` and `useTall`. Each element is the same sum in
// the same order in all of them.

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
    const plus = at(addend, addendRow, done, 0);
    if (width == WIDE_NR) rows4x16(tiles, k, from, aRow, b, bStep, to, cRow, plus, addendRow);
    else rows4x8(tiles, k, from, aRow, b, bStep, to, cRow, plus, addendRow);
    done += <usize>(tiles * MR);
  }
  for (let x: usize = 0; x < (<usize>width) << 2; x += 32) {
    let row = done;
    if ((m - <i32>done) & 2) {
      rows2x8(
        1,
        k,
        a + row * aRow,
        aRow,
        b + x,
        bStep,
        c + row * cRow + x,
        cRow,
        at(addend, addendRow, row, x),
        addendRow,
      );
      row += 2;
    }
    if ((m - <i32>done) & 1) {
      rows1x8(
        1,
        k,
        a + row * aRow,
        aRow,
        b + x,
        bStep,
        c + row * cRow + x,
        cRow,
        at(addend, addendRow, row, x),
        addendRow,
      );
    }
  }
}

/** As many as leave no rest of two or three rows: two tiles of four are better than one of six and a flat one. */
@inline
function tallTiles(m: i32): i32 {
  const tiles = m / TALL_MR;
  const rest = m - tiles * TALL_MR;
  return tiles > 0 && (rest == 2 || rest == 3) ? tiles - 1 : tiles;
}

/** The addend's address some rows and bytes further; none stays none. */
@inline
function at(addend: usize, addendRow: usize, rows: usize, bytes: usize): usize {
  return addend ? addend + rows * addendRow + bytes : 0;
}
