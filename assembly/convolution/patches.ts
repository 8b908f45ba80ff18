// Patches, the inputs that the outputs of a convolution read: from an image to its padded copy, and from there to panels or rows.

import { panel } from "../gemm/work";
import { NR } from "../gemm/sizes";
import { own } from "../thread";
import { copyRow, Narrow, rowOf, Wide } from "../lanes";

/** The rows that a panel's outputs lie in: for each the address of its first output's patch, and where it goes in the panel. */
const segments: usize = memory.data(8 * 16, 16);

/**
 * target[c][r][s][y][x] = source[c][y · strideHeight + r + firstRow][x · strideWidth + s + firstColumn], 0 outside the source.
 */
export function splitImage(
  channels: i32,
  height: i32,
  width: i32,
  source: usize,
  strideHeight: i32,
  strideWidth: i32,
  phasesHeight: i32,
  phasesWidth: i32,
  firstRow: i32,
  firstColumn: i32,
  copyHeight: i32,
  copyWidth: i32,
  target: usize,
): void {
  const row = (<usize>width) << 2;
  const copyRow = (<usize>copyWidth) << 2;
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < phasesHeight; r++) {
      for (let s = 0; s < phasesWidth; s++) {
        const first = s + firstColumn;
        for (let y = 0; y < copyHeight; y++) {
          const from = y * strideHeight + r + firstRow;
          if (from < 0 || from >= height) memory.fill(target, 0, copyRow);
          else if (strideWidth == 1) copyShifted(copyWidth, width, first, source + <usize>from * row, target);
          else copyEvery(strideWidth, copyWidth, width, first, source + <usize>from * row, target);
          target += copyRow;
        }
      }
    }
    source += <usize>height * row;
  }
}

/** target[x] = source[x + first] for x < count, 0 outside 0 .. length - 1. */
function copyShifted(count: i32, length: i32, first: i32, source: usize, target: usize): void {
  const zeros = min(count, max(0, -first));
  const end = max(zeros, min(count, length - first));
  const from = source + ((<usize>first) << 2);
  for (let x: usize = 0; x < (<usize>zeros) << 2; x += 4) store<f32>(target + x, 0);
  const vectors = zeros + ((end - zeros) & ~3);
  for (let x = (<usize>zeros) << 2; x < (<usize>vectors) << 2; x += 16) v128.store(target + x, v128.load(from + x));
  for (let x = (<usize>vectors) << 2; x < (<usize>end) << 2; x += 4) store<f32>(target + x, load<f32>(from + x));
  for (let x = (<usize>end) << 2; x < (<usize>count) << 2; x += 4) store<f32>(target + x, 0);
}

/** target[x] = source[x · stride + first] for x < count, 0 outside 0 .. length - 1. */
function copyEvery(stride: i32, count: i32, length: i32, first: i32, source: usize, target: usize): void {
  for (; count > 0; count--, first += stride) {
    if (stride == 2 && first >= 0 && count >= 4 && first + 6 < length) {
      const vectors = min(count >> 2, (length - first + 1) >> 3);
      copyEverySecond(vectors, source + ((<usize>first) << 2), target);
      target += (<usize>vectors) << 4;
      count -= vectors << 2;
      first += vectors << 3;
      if (count == 0) return;
    }
    store<f32>(target, first >= 0 && first < length ? load<f32>(source + ((<usize>first) << 2)) : 0);
    target += 4;
  }
}

/** Four at a time, out of seven that are read. */
function copyEverySecond(vectors: i32, source: usize, target: usize): void {
  for (; vectors > 0; vectors--) {
    v128.store(target, v128.shuffle<f32>(v128.load(source), v128.load(source, 12), 0, 2, 5, 7));
    source += 32;
    target += 16;
  }
}

/**
 * panel[k][width] (8 or 16): for each of the k taps, what `count` (1 to width) outputs from the p-th on read. Outputs come in rows of
 * `row`, whose patches begin `pitch` floats apart. The columns from `count` on hold arbitrary values.
 */
export function packPatches(
  count: i32,
  width: i32,
  k: i32,
  source: usize,
  p: i32,
  row: i32,
  pitch: i32,
  taps: usize,
): void {
  const y = p / row;
  const x = p - y * row;
  let from = source + ((<usize>(y * pitch + x)) << 2);
  let reach = row - x;
  if (reach >= count) {
    if (width == NR) packRow<Narrow>(k, from, taps, panel);
    else packRow<Wide>(k, from, taps, panel);
    return;
  }
  let end = own(segments);
  store<usize>(end, from);
  store<usize>(end, 0, 4);
  from -= (<usize>x) << 2;
  for (end += 8; reach < count; reach += row) {
    from += (<usize>pitch) << 2;
    store<usize>(end, from);
    store<usize>(end, (<usize>reach) << 2, 4);
    end += 8;
  }
  if (width == NR) packRows<Narrow>(k, end, taps, panel);
  else packRows<Wide>(k, end, taps, panel);
}

/** Outputs in one row. */
function packRow<W>(k: i32, from: usize, taps: usize, target: usize): void {
  for (; k > 0; k--) {
    copyRow<W>(from + load<u32>(taps), target);
    taps += 4;
    target += rowOf<W>();
  }
}

/** Outputs in several rows. Each segment is stored as long as the panel; the next overwrites the excess. */
function packRows<W>(k: i32, end: usize, taps: usize, target: usize): void {
  const first = own(segments);
  for (; k > 0; k--) {
    const tap = load<u32>(taps);
    for (let segment = first; segment < end; segment += 8) {
      copyRow<W>(load<usize>(segment) + tap, target + load<usize>(segment, 4));
    }
    taps += 4;
    target += rowOf<W>();
  }
}

/** target[k][count], rows `targetRow` bytes apart: the same for `count` outputs from the p-th on, as a row for each tap. */
export function gatherRows(
  count: i32,
  k: i32,
  source: usize,
  p: i32,
  row: i32,
  pitch: i32,
  taps: usize,
  target: usize,
  targetRow: usize,
): void {
  const y = p / row;
  const x = p - y * row;
  source += (<usize>(y * pitch + x)) << 2;
  for (; k > 0; k--) {
    gatherRow(count, row - x, row, source + load<u32>(taps), pitch, target);
    taps += 4;
    target += targetRow;
  }
}

/** `reach` outputs are left in the first row. */
function gatherRow(count: i32, reach: i32, row: i32, from: usize, pitch: i32, target: usize): void {
  const skip = (<usize>(pitch - row)) << 2;
  while (count > 0) {
    const length = min(count, reach);
    const bytes = (<usize>length) << 2;
    for (let x: usize = 0; x < bytes; x += 16) v128.store(target + x, v128.load(from + x));
    target += bytes;
    from += bytes + skip;
    count -= length;
    reach = row;
  }
}
