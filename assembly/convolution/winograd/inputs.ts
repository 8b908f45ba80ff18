// V = Bᵀ d B: the transform of patches of an image.
//
// Over columns first, whose even and odd ones part by shuffles, then over rows, where neighbouring tiles are neighbours in memory: there V8
// merges vectors. A few channels at a time, whose numbers stay in L1 in between.

import { nr } from "../../gemm/mode";
import { NR } from "../../gemm/sizes";
import { storePair } from "../../lanes";
import { wholePanels } from "../geometry";
import {
  CHANNELS,
  columnsPartBytes,
  frameBytes,
  frameColumns,
  frameRows,
  pointBytes,
  rowTiles,
  tileCount,
  tileRows,
} from "./layout";

/** V[point][panel][channel][width] of an image's planes, for tiles of height x width. */
export function transformImage(
  channels: i32,
  sourceHeight: i32,
  sourceWidth: i32,
  paddingHeight: i32,
  paddingWidth: i32,
  source: usize,
  height: i32,
  width: i32,
  scratch: usize,
  v: usize,
): void {
  const tiles = tileCount(height, width);
  const point = pointBytes(channels, wholePanels(tiles));
  const row = (<usize>rowTiles(width)) << 2;
  const part = columnsPartBytes(height, width);
  const step = (<usize>nr) << 2;
  const frames = <usize>frameBytes(height, width);
  const columns = scratch + frames;
  memory.fill(scratch, 0, frames);
  for (let c = 0; c < channels; c += CHANNELS) {
    const count = min(CHANNELS, channels - c);
    combineColumns(
      count,
      sourceHeight,
      sourceWidth,
      paddingHeight,
      paddingWidth,
      source,
      height,
      width,
      scratch,
      columns,
    );
    source += (<usize>(count * sourceHeight * sourceWidth)) << 2;
    let from = columns;
    let to = v + <usize>c * step;
    for (let tile = 0; tile < tiles; tile += nr) {
      const end = (<usize>min(nr, tiles - tile)) << 2;
      for (let x: usize = 0; x < end; x += 32) combineRows(count, from + x, 8 * part, row, part, point, to + x, step);
      from += step;
      to += <usize>channels * step;
    }
  }
}

/** V[point][channel][tile], for dW. What is stored past a channel's last tile is overwritten by the next channel. */
export function transformImageRows(
  channels: i32,
  sourceHeight: i32,
  sourceWidth: i32,
  paddingHeight: i32,
  paddingWidth: i32,
  source: usize,
  height: i32,
  width: i32,
  scratch: usize,
  v: usize,
): void {
  const tiles = tileCount(height, width);
  const point = pointBytes(channels, tiles);
  const row = (<usize>rowTiles(width)) << 2;
  const part = columnsPartBytes(height, width);
  const frames = <usize>frameBytes(height, width);
  const columns = scratch + frames;
  memory.fill(scratch, 0, frames);
  for (let c = 0; c < channels; c += CHANNELS) {
    const count = min(CHANNELS, channels - c);
    combineColumns(
      count,
      sourceHeight,
      sourceWidth,
      paddingHeight,
      paddingWidth,
      source,
      height,
      width,
      scratch,
      columns,
    );
    source += (<usize>(count * sourceHeight * sourceWidth)) << 2;
    for (let i = 0; i < count; i++) {
      combineRows((tiles + NR - 1) / NR, columns + <usize>i * 8 * part, 32, row, part, point, v, 32);
      v += (<usize>tiles) << 2;
    }
  }
}

/** d B of whole planes, target[channel][column of B][parity of d's row][half of d's row][tile]. */
function combineColumns(
  channels: i32,
  sourceHeight: i32,
  sourceWidth: i32,
  paddingHeight: i32,
  paddingWidth: i32,
  source: usize,
  height: i32,
  width: i32,
  frame: usize,
  target: usize,
): void {
  const rows = frameRows(height);
  const pitch = frameColumns(width);
  const row = (<usize>rowTiles(width)) << 2;
  const part = columnsPartBytes(height, width);
  copyPlanes(
    channels,
    sourceHeight,
    sourceWidth,
    source,
    frame + ((<usize>(paddingHeight * pitch + paddingWidth)) << 2),
    (<usize>pitch) << 2,
    (<usize>(rows * pitch)) << 2,
  );
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows; y += 2) {
      combineRow(row, frame, part, target);
      frame += (<usize>pitch) << 2;
      combineRow(row, frame, part, target + part);
      frame += (<usize>pitch) << 2;
      target += row;
    }
    target += 7 * part;
  }
}

/** Copies planes into frames. */
function copyPlanes(
  channels: i32,
  height: i32,
  width: i32,
  source: usize,
  target: usize,
  targetRow: usize,
  targetPlane: usize,
): void {
  const bytes = (<usize>width) << 2;
  const whole = bytes & ~15;
  for (; channels > 0; channels--) {
    let to = target;
    for (let y = 0; y < height; y++) {
      let x: usize = 0;
      for (; x < whole; x += 16) v128.store(to + x, v128.load(source + x));
      for (; x < bytes; x += 4) store<f32>(to + x, load<f32>(source + x));
      source += bytes;
      to += targetRow;
    }
    target += targetPlane;
  }
}

/** One row of patches, four tiles at a time. */
function combineRow(row: usize, from: usize, part: usize, to: usize): void {
  for (let x: usize = 0; x < row; x += 16) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 8);
    const d = v128.load(from, 24);
    const d0 = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
    const d1 = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
    const d2 = v128.shuffle<f32>(c, d, 0, 2, 4, 6);
    const d3 = v128.shuffle<f32>(c, d, 1, 3, 5, 7);
    v128.store(to + x, f32x4.sub(d0, d2));
    v128.store(to + 2 * part + x, f32x4.add(d1, d2));
    v128.store(to + 4 * part + x, f32x4.sub(d2, d1));
    v128.store(to + 6 * part + x, f32x4.sub(d1, d3));
    from += 32;
  }
}

/** Bᵀ (d B) of eight tiles, `count` times. */
function combineRows(
  count: i32,
  from: usize,
  fromStep: usize,
  row: usize,
  part: usize,
  point: usize,
  to: usize,
  toStep: usize,
): void {
  for (let j = 0; j < 4; j++) {
    let at = from;
    let target = to;
    for (let i = count; i > 0; i--) {
      const low = at + part;
      const d0 = v128.load(at);
      const e0 = v128.load(at, 16);
      const d1 = v128.load(low);
      const e1 = v128.load(low, 16);
      const d2 = v128.load(at + row);
      const e2 = v128.load(at + row, 16);
      const d3 = v128.load(low + row);
      const e3 = v128.load(low + row, 16);
      storePair(target, f32x4.sub(d0, d2), f32x4.sub(e0, e2));
      storePair(target + 4 * point, f32x4.add(d1, d2), f32x4.add(e1, e2));
      storePair(target + 8 * point, f32x4.sub(d2, d1), f32x4.sub(e2, e1));
      storePair(target + 12 * point, f32x4.sub(d1, d3), f32x4.sub(e1, e3));
      at += fromStep;
      target += toStep;
    }
    from += 2 * part;
    to += point;
  }
}
