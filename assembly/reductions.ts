// Passes over memory that add up or scale: bias gradients, fills, scaled sums and products, norms.

import { loadUpTo4, multiplyAdd, storeUpTo4, sum } from "./lanes";

/** Bytes of a run that float32 lanes add up before the sum is carried in double. */
export const SUM_BLOCK: usize = 512 << 2;

/** y[c] (+)= Σ over r and i of x[r, c, i]. Runs of one channel are added up in double, channel by channel. */
export function channelSums(rows: i32, channels: i32, inner: i32, x: usize, y: usize, accumulate: bool): void {
  if (inner == 1) {
    columnSums(rows, channels, x, y, accumulate);
    return;
  }
  const run = (<usize>inner) << 2;
  for (let c = 0; c < channels; c++) {
    let total: f64 = accumulate ? <f64>load<f32>(y) : 0;
    let p = x;
    for (let r = 0; r < rows; r++, p += <usize>channels * run) {
      for (let j: usize = 0; j < run; j += SUM_BLOCK) total += blockSum(min(SUM_BLOCK, run - j), p + j);
    }
    store<f32>(y, <f32>total);
    x += run;
    y += 4;
  }
}

/** target (+)= value: a gradient of one parameter, added up in double and rounded once. */
export function addGradient(target: usize, value: f64, accumulate: bool): void {
  store<f32>(target, <f32>(accumulate ? <f64>load<f32>(target) + value : value));
}

function blockSum(bytes: usize, x: usize): f64 {
  const end = x + bytes;
  let s0 = f32x4.splat(0);
  let s1 = s0;
  for (; x + 32 <= end; x += 32) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
  }
  let total = <f64>sum(f32x4.add(s0, s1));
  for (; x < end; x += 4) total += <f64>load<f32>(x);
  return total;
}

/** y[j] (+)= Σ_i x[i, j]: 16 columns of sums in registers run down the rows, then 4, then single columns. */
function columnSums(rows: i32, n: i32, x: usize, y: usize, accumulate: bool): void {
  const row = (<usize>n) << 2;
  let j: usize = 0;
  for (; j + 64 <= row; j += 64) sumColumns16(rows, row, x + j, y + j, accumulate);
  for (; j + 16 <= row; j += 16) {
    let s = accumulate ? v128.load(y + j) : f32x4.splat(0);
    let p = x + j;
    for (let i = 0; i < rows; i++, p += row) s = f32x4.add(s, v128.load(p));
    v128.store(y + j, s);
  }
  for (; j < row; j += 4) {
    let s: f32 = accumulate ? load<f32>(y + j) : 0;
    let p = x + j;
    for (let i = 0; i < rows; i++, p += row) s += load<f32>(p);
    store<f32>(y + j, s);
  }
}

function sumColumns16(rows: i32, row: usize, x: usize, y: usize, accumulate: bool): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  if (accumulate) {
    s0 = v128.load(y);
    s1 = v128.load(y, 16);
    s2 = v128.load(y, 32);
    s3 = v128.load(y, 48);
  }
  for (; rows > 0; rows--) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    s2 = f32x4.add(s2, v128.load(x, 32));
    s3 = f32x4.add(s3, v128.load(x, 48));
    x += row;
  }
  v128.store(y, s1, 16);
  v128.store(y, s0);
  v128.store(y, s3, 48);
  v128.store(y, s2, 32);
}

/** x[i] = value */
export function fill(n: i32, x: usize, value: f32): void {
  const end = x + ((<usize>n) << 2);
  const v = f32x4.splat(value);
  for (; x + 16 <= end; x += 16) v128.store(x, v);
  for (; x < end; x += 4) store<f32>(x, value);
}

/** y[i] += scale · x[i] */
export function addScaled(n: i32, x: usize, y: usize, scale: f32): void {
  const end = x + ((<usize>n) << 2);
  const s = f32x4.splat(scale);
  for (; x + 32 <= end; x += 32) {
    const r0 = multiplyAdd(s, v128.load(x), v128.load(y));
    const r1 = multiplyAdd(s, v128.load(x, 16), v128.load(y, 16));
    v128.store(y, r1, 16);
    v128.store(y, r0);
    y += 32;
  }
  for (; x < end; x += 4) {
    store<f32>(y, load<f32>(y) + scale * load<f32>(x));
    y += 4;
  }
}

/** x[i] = scale · x[i] */
export function scale(n: i32, x: usize, factor: f32): void {
  const end = x + ((<usize>n) << 2);
  const s = f32x4.splat(factor);
  for (; x < end; x += 16) {
    const count = min<usize>((end - x) >> 2, 4);
    storeUpTo4(x, f32x4.mul(s, loadUpTo4(x, count)), count);
  }
}

/** z[i] (+)= factor · x[i] · y[i] */
export function addProduct(n: i32, factor: f32, x: usize, y: usize, z: usize, accumulate: bool): void {
  const end = x + ((<usize>n) << 2);
  const s = f32x4.splat(factor);
  for (; x < end; x += 16) {
    const count = min<usize>((end - x) >> 2, 4);
    const product = f32x4.mul(s, f32x4.mul(loadUpTo4(x, count), loadUpTo4(y, count)));
    storeUpTo4(z, accumulate ? f32x4.add(loadUpTo4(z, count), product) : product, count);
    y += 16;
    z += 16;
  }
}

/** Σ x[i]², in double: squares of float32 neither overflow nor vanish there. */
export function sumOfSquares(n: i32, x: usize): f64 {
  const end = x + ((<usize>n) << 2);
  let low = f64x2.splat(0);
  let high = low;
  for (; x < end; x += 16) {
    const lanes = loadUpTo4(x, min<usize>((end - x) >> 2, 4));
    const first = f64x2.promote_low_f32x4(lanes);
    const second = f64x2.promote_low_f32x4(v128.shuffle<f32>(lanes, lanes, 2, 3, 2, 3));
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(second, second));
  }
  const both = f64x2.add(low, high);
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}
