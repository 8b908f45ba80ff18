// PReLU, y = x > 0 ? x : a · x, by comparison and selection: right for NaN and infinite slopes and for -0, where max(0, x) + a · min(0, x)
// is not.
//
// x is [rows, channels, inner] with a slope for each channel. inner = 1 (a dense layer's output) goes by rows, with the slopes as
// vectors; anything else goes by runs of one slope.

import { select, storeFour } from "../lanes";

class SlopeEach {}

class OneSlope {}

export function prelu(rows: i32, channels: i32, inner: i32, x: usize, slope: usize, y: usize): void {
  if (inner == 1) {
    const row = (<usize>channels) << 2;
    for (; rows > 0; rows--) {
      activate<SlopeEach>(row, x, slope, y);
      x += row;
      y += row;
    }
  } else {
    const run = (<usize>inner) << 2;
    for (; rows > 0; rows--) {
      for (let c: usize = 0; c < <usize>channels; c++) {
        activate<OneSlope>(run, x, slope + (c << 2), y);
        x += run;
        y += run;
      }
    }
  }
}


@inline
function sloped(x: v128, a: v128, zero: v128): v128 {
  return select(f32x4.gt(x, zero), x, f32x4.mul(a, x));
}

/** `bytes` of x. */
function activate<S>(bytes: usize, x: usize, slope: usize, y: usize): void {
  const zero = f32x4.splat(0);
  const a = v128.load32_splat(slope);
  const end = x + bytes;
  const whole = x + (bytes & ~63);
  while (x < whole) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    const y0 = sloped(x0, idof<S>() == idof<OneSlope>() ? a : v128.load(slope), zero);
    const y1 = sloped(x1, idof<S>() == idof<OneSlope>() ? a : v128.load(slope, 16), zero);
    const y2 = sloped(x2, idof<S>() == idof<OneSlope>() ? a : v128.load(slope, 32), zero);
    const y3 = sloped(x3, idof<S>() == idof<OneSlope>() ? a : v128.load(slope, 48), zero);
    storeFour(y, y0, y1, y2, y3);
    x += 64;
    y += 64;
    if (idof<S>() == idof<SlopeEach>()) slope += 64;
  }
  while (x < end) {
    const v = load<f32>(x);
    store<f32>(y, v > 0 ? v : load<f32>(slope) * v);
    x += 4;
    y += 4;
    if (idof<S>() == idof<SlopeEach>()) slope += 4;
  }
}
