// The last pass of either direction over a group of channels:
//
//   forward   y = (x - MEAN) · SCALE + SHIFT
//   backward  dx = dy · SCALE + SHIFT + (x - MEAN) · SLOPE

import { loadUpTo4, multiplyAdd, storeFour, storePair, storeUpTo4 } from "../lanes";
import { own } from "../thread";
import { groupSize, isColumns, MEAN, planeBytes, rowBytes, rows, SCALE, SHIFT, SLOPE } from "./group";

class Forward {}

class Backward {}

/** y from x. */
export function applyForward(x: usize, y: usize): void {
  apply<Forward>(x, x, y);
}

/** dx from x and dy. */
export function applyBackward(x: usize, dy: usize, dx: usize): void {
  apply<Backward>(x, dy, dx);
}


@inline
function apply<D>(x: usize, dy: usize, out: usize): void {
  if (isColumns) {
    applyToColumns<D>(x, dy, out);
    return;
  }
  for (let r: usize = 0; r < rows; r++) {
    for (let c: usize = 0; c < groupSize; c++) {
      const at = r * rowBytes + c * planeBytes;
      applyToPlane<D>(c << 2, x + at, dy + at, out + at);
    }
  }
}

/** Four lanes of y or dx. */
@inline
function result<D>(x: v128, dy: v128, mean: v128, scale: v128, shift: v128, slope: v128): v128 {
  const deviation = f32x4.sub(x, mean);
  if (idof<D>() == idof<Forward>()) return multiplyAdd(deviation, scale, shift);
  return multiplyAdd(deviation, slope, multiplyAdd(dy, scale, shift));
}

/** One plane: forward four vectors at a time, backward two, for which the registers suffice. */
function applyToPlane<D>(channel: usize, x: usize, dy: usize, out: usize): void {
  const mean = v128.load32_splat(own(MEAN) + channel);
  const scale = v128.load32_splat(own(SCALE) + channel);
  const shift = v128.load32_splat(own(SHIFT) + channel);
  const slope = idof<D>() == idof<Forward>() ? mean : v128.load32_splat(own(SLOPE) + channel);
  const end = x + planeBytes;
  if (idof<D>() == idof<Forward>()) {
    for (; x + 64 <= end; x += 64, out += 64) {
      const x0 = v128.load(x);
      const x1 = v128.load(x, 16);
      const x2 = v128.load(x, 32);
      const x3 = v128.load(x, 48);
      const y0 = result<D>(x0, x0, mean, scale, shift, slope);
      const y1 = result<D>(x1, x1, mean, scale, shift, slope);
      const y2 = result<D>(x2, x2, mean, scale, shift, slope);
      const y3 = result<D>(x3, x3, mean, scale, shift, slope);
      storeFour(out, y0, y1, y2, y3);
    }
  } else {
    for (; x + 32 <= end; x += 32, dy += 32, out += 32) {
      const x0 = v128.load(x);
      const x1 = v128.load(x, 16);
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const r0 = result<D>(x0, g0, mean, scale, shift, slope);
      const r1 = result<D>(x1, g1, mean, scale, shift, slope);
      storePair(out, r0, r1);
    }
  }
  for (; x < end; x += 16, out += 16) {
    applyUpTo4<D>(min<usize>((end - x) >> 2, 4), x, dy, out, mean, scale, shift, slope);
    if (idof<D>() == idof<Backward>()) dy += 16;
  }
}

function applyToColumns<D>(x: usize, dy: usize, out: usize): void {
  const mean = v128.load(own(MEAN));
  const scale = v128.load(own(SCALE));
  const shift = v128.load(own(SHIFT));
  const slope = idof<D>() == idof<Forward>() ? mean : v128.load(own(SLOPE));
  const columns = groupSize;
  const step = rowBytes;
  for (let r = rows; r > 0; r--, x += step, out += step) {
    applyUpTo4<D>(columns, x, dy, out, mean, scale, shift, slope);
    if (idof<D>() == idof<Backward>()) dy += step;
  }
}


@inline
function applyUpTo4<D>(
  n: usize,
  x: usize,
  dy: usize,
  out: usize,
  mean: v128,
  scale: v128,
  shift: v128,
  slope: v128,
): void {
  const x0 = loadUpTo4(x, n);
  const g0 = idof<D>() == idof<Forward>() ? x0 : loadUpTo4(dy, n);
  storeUpTo4(out, result<D>(x0, g0, mean, scale, shift, slope), n);
}
