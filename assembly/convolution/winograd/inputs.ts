// V = Bᵀ d B: the transform of patches of an image, whose even and odd columns lie apart.

import { nr } from "../../gemm/mode";
import { wholePanels } from "../geometry";
import { copyColumns, copyRows, panelOffset, pointBytes, POINTS, rowTiles, tileCount, tileRows } from "./layout";

/** V[point][panel][channel][width] of a copy. */
export function transformImage(channels: i32, height: i32, width: i32, copy: usize, v: usize): void {
  const tiles = tileCount(height, width);
  const point = pointBytes(channels, wholePanels(tiles));
  const step = (<usize>nr) << 2;
  const panelBytes = <usize>channels * step;
  for (let tile = tiles; tile % nr != 0; tile += 4) {
    clearTiles(channels, point, step, v + panelOffset(tile, nr, panelBytes));
  }
  transformPlanes(channels, height, width, copy, point, nr, step, panelBytes, v);
}

/** V[point][channel][tile] of a copy, for dW: a single panel for all tiles. */
export function transformImageRows(channels: i32, height: i32, width: i32, copy: usize, v: usize): void {
  const tiles = tileCount(height, width);
  transformPlanes(channels, height, width, copy, pointBytes(channels, tiles), tiles, (<usize>tiles) << 2, 0, v);
}

/** Bᵀ d B of every tile, in panels of `columns` tiles, `panelBytes` apart; a panel has a row of `step` bytes for each channel. */
function transformPlanes(
  channels: i32,
  height: i32,
  width: i32,
  copy: usize,
  point: usize,
  columns: i32,
  step: usize,
  panelBytes: usize,
  v: usize,
): void {
  const row = (<usize>copyColumns(width)) << 2;
  const half = row * <usize>copyRows(height);
  const end = (<usize>rowTiles(width)) << 2;
  for (let c = 0; c < channels; c++) {
    let even = copy;
    let tile = 0;
    for (let y = tileRows(height); y > 0; y--) {
      for (let x: usize = 0; x < end; x += 16) {
        transformPatches(even + x, even + half + x, row, point, v + panelOffset(tile, columns, panelBytes));
        tile += 4;
      }
      even += 2 * row;
    }
    copy += 2 * half;
    v += step;
  }
}

/** Zeros where the last panel has no tiles: computing with leftover values might be slow. */
function clearTiles(channels: i32, point: usize, step: usize, at: usize): void {
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let c: usize = 0; c < <usize>channels; c++) v128.store(at + i * point + c * step, zero);
  }
}

/** Bᵀ d B of four tiles, whose patches' even and odd columns begin at `even` and `odd`. */
@inline
function transformPatches(even: usize, odd: usize, row: usize, point: usize, to: usize): void {
  transformColumn(false, even, even + 4, row, point, to);
  transformColumn(true, odd, even + 4, row, point, to + point);
  transformColumn(false, even + 4, odd, row, point, to + 2 * point);
  transformColumn(false, odd, odd + 4, row, point, to + 3 * point);
}

/** One column j of Bᵀ d B for four tiles: a ± b down the four rows of a patch, then combined. */
@inline
function transformColumn(ADDS: bool, a: usize, b: usize, row: usize, point: usize, to: usize): void {
  const t0 = combine(ADDS, a, b);
  const t1 = combine(ADDS, a + row, b + row);
  const t2 = combine(ADDS, a + 2 * row, b + 2 * row);
  const t3 = combine(ADDS, a + 3 * row, b + 3 * row);
  v128.store(to, f32x4.sub(t0, t2));
  v128.store(to + 4 * point, f32x4.add(t1, t2));
  v128.store(to + 8 * point, f32x4.sub(t2, t1));
  v128.store(to + 12 * point, f32x4.sub(t1, t3));
}


@inline
function combine(ADDS: bool, a: usize, b: usize): v128 {
  return ADDS ? f32x4.add(v128.load(a), v128.load(b)) : f32x4.sub(v128.load(a), v128.load(b));
}
