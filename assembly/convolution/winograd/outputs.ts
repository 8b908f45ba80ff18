// y = Aᵀ M A + bias: the transform of products into outputs.

import { nr } from "../../gemm/mode";
import { storeUpTo4 } from "../../lanes";
import { panelOffset, panelTiles, pointBytes, rowTiles, tileRows } from "./layout";

/** y[channels, height, width] = Aᵀ M A + bias. */
export function transformOutput(channels: i32, height: i32, width: i32, m: usize, bias: usize, y: usize): void {
  const rows = tileRows(height);
  const columns = rowTiles(width);
  const point = pointBytes(channels, panelTiles(height, width));
  const step = (<usize>nr) << 2;
  const panelBytes = <usize>channels * step;
  const row = (<usize>width) << 2;
  for (let c = 0; c < channels; c++) {
    const addend = bias ? v128.load32_splat(bias + ((<usize>c) << 2)) : f32x4.splat(0);
    const from = m + <usize>c * step;
    let tile = 0;
    for (let ty = 0; ty < rows; ty++) {
      const isDouble = 2 * ty + 1 < height;
      for (let tx = 0; tx < columns; tx += 4) {
        const at = from + panelOffset(tile, nr, panelBytes);
        tile += 4;
        const count = min(8, width - 2 * tx);
        if (count > 0) transformTiles(at, point, addend, count, isDouble, row, y + ((<usize>tx) << 3));
      }
      y += isDouble ? 2 * row : row;
    }
  }
}

/** Four tiles: `count` columns of one row of outputs, or of two. */
@inline
function transformTiles(m: usize, point: usize, addend: v128, count: i32, isDouble: bool, row: usize, y: usize): void {
  const m0 = m + 4 * point;
  const m1 = m + 8 * point;
  const m2 = m + 12 * point;
  let top0 = f32x4.add(f32x4.add(v128.load(m), v128.load(m0)), v128.load(m1));
  let low0 = f32x4.sub(f32x4.sub(v128.load(m0), v128.load(m1)), v128.load(m2));
  const top1 = column(m + point, m0 + point, m1 + point);
  const low1 = columnBelow(m0 + point, m1 + point, m2 + point);
  const top2 = column(m + 2 * point, m0 + 2 * point, m1 + 2 * point);
  const low2 = columnBelow(m0 + 2 * point, m1 + 2 * point, m2 + 2 * point);
  const top3 = column(m + 3 * point, m0 + 3 * point, m1 + 3 * point);
  const low3 = columnBelow(m0 + 3 * point, m1 + 3 * point, m2 + 3 * point);
  top0 = f32x4.add(f32x4.add(f32x4.add(top0, top1), top2), addend);
  const topOdd = f32x4.add(f32x4.sub(f32x4.sub(top1, top2), top3), addend);
  storeColumns(top0, topOdd, count, y);
  if (!isDouble) return;
  low0 = f32x4.add(f32x4.add(f32x4.add(low0, low1), low2), addend);
  const lowOdd = f32x4.add(f32x4.sub(f32x4.sub(low1, low2), low3), addend);
  storeColumns(low0, lowOdd, count, y + row);
}


@inline
export function column(a: usize, b: usize, c: usize): v128 {
  return f32x4.add(f32x4.add(v128.load(a), v128.load(b)), v128.load(c));
}


@inline
function columnBelow(b: usize, c: usize, d: usize): v128 {
  return f32x4.sub(f32x4.sub(v128.load(b), v128.load(c)), v128.load(d));
}

/** Interleaves even and odd columns. */
@inline
function storeColumns(even: v128, odd: v128, count: i32, y: usize): void {
  const first = v128.shuffle<f32>(even, odd, 0, 4, 1, 5);
  const second = v128.shuffle<f32>(even, odd, 2, 6, 3, 7);
  if (count == 8) {
    v128.store(y, first);
    v128.store(y, second, 16);
  } else {
    storeUpTo4(y, first, min(count, 4));
    if (count > 4) storeUpTo4(y + 16, second, count - 4);
  }
}
