// Passes over memory that add up or scale: bias gradients, fills, scaled sums and products, norms.

import { block } from "./gemm/work";
import { multiplyAdd, storeFour, storeOrAddFour, storePair } from "./lanes";
import { shareFrom, shareTo } from "./thread";
import { constant, constantLanes, overStrips, setConstant, STRIP, sumAt, sumsAddress } from "./vector-loop";

/** Bytes of a run that float32 lanes add up before the sum is carried in double. */
export const SUM_BLOCK: usize = 512 << 2;

/** y[c] (+)= Σ over r and i of x[r, c, i]. Runs of one channel are added up in double, channel by channel. */
export function channelSums(rows: i32, channels: i32, inner: i32, x: usize, y: usize, accumulate: bool): void {
  if (inner == 1) {
    columnSums(rows, channels, x, y, accumulate);
    return;
  }
  const run = (<usize>inner) << 2;
  const end = shareTo(channels, 1);
  for (let c = shareFrom(channels, 1); c < end; c++) {
    let total: f64 = 0;
    let p = x + <usize>c * run;
    for (let r = 0; r < rows; r++, p += <usize>channels * run) {
      for (let j: usize = 0; j < run; j += SUM_BLOCK) total += blockSum(min(SUM_BLOCK, run - j), p + j);
    }
    addGradient(y + ((<usize>c) << 2), total, accumulate);
  }
}

/** target (+)= value: a gradient of one parameter, added up in double and rounded once. */
export function addGradient(target: usize, value: f64, accumulate: bool): void {
  store<f32>(target, <f32>(accumulate ? <f64>load<f32>(target) + value : value));
}

/** Σ x of a block, which float32 lanes add up: in the order of PReLU's pass, so that a bias gradient has the same bits from either. */
export function blockSum(bytes: usize, x: usize): f64 {
  const whole = bytes & ~31;
  sumVectors(whole, x);
  let total = sumAt(sumsAddress());
  for (let i = whole; i < bytes; i += 4) total += <f64>load<f32>(x + i);
  return total;
}

/** Σ x of whole pairs of vectors, into the sums of vector-loop.ts. */
function sumVectors(bytes: usize, x: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  for (const end = x + bytes; x < end; x += 32) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
  }
  const sums = sumsAddress();
  storePair(sums, s0, s1);
}

/** Rows whose columns float32 lanes add up before the sums are carried in double. */
export const SUM_ROWS: i32 = 32;

/** Bytes of a row's part whose columns' sums are carried at a time. */
export const SUM_COLUMNS: usize = 2048 << 2;

/** Where the totals in double begin in the work area: behind the float sums of a block of rows, at most two for each column. */
export const COLUMN_TOTALS: usize = SUM_COLUMNS << 1;

/** Columns of a share: whole cache lines of sums. */
export const SHARE_COLUMNS: i32 = 16;

/** y[j] (+)= Σ_i x[i, j] */
function columnSums(rows: i32, n: i32, x: usize, y: usize, accumulate: bool): void {
  const row = (<usize>n) << 2;
  const first = (<usize>shareFrom(n, SHARE_COLUMNS)) << 2;
  const end = (<usize>shareTo(n, SHARE_COLUMNS)) << 2;
  if (rows <= SUM_ROWS) {
    sumColumns(rows, row, end - first, x + first, y + first, accumulate);
    return;
  }
  for (let j = first; j < end; j += SUM_COLUMNS) {
    const bytes = min(SUM_COLUMNS, end - j);
    let p = x + j;
    memory.fill(block + COLUMN_TOTALS, 0, bytes << 1);
    for (let r = 0; r < rows; r += SUM_ROWS, p += row * <usize>SUM_ROWS) {
      sumColumns(min(SUM_ROWS, rows - r), row, bytes, p, block, false);
      carrySums(bytes);
    }
    addTotals(bytes, block + COLUMN_TOTALS, y + j, accumulate);
  }
}

/** Adds `bytes` of sums to their totals, four at a time; the excess goes to totals that nobody reads. */
export function carrySums(bytes: usize): void {
  let total = block + COLUMN_TOTALS;
  let sums = block;
  for (const end = sums + bytes; sums < end; sums += 16, total += 32) {
    const low = f64x2.add(v128.load(total), pair(sums));
    const high = f64x2.add(v128.load(total, 16), pair(sums + 8));
    storePair(total, low, high);
  }
}

/** Totals become gradients. */
export function addTotals(bytes: usize, totals: usize, target: usize, accumulate: bool): void {
  for (const end = target + bytes; target < end; target += 4, totals += 8) {
    addGradient(target, load<f64>(totals), accumulate);
  }
}

/**
 * The same for a block of rows in float32, `row` bytes apart: 16 columns of sums in registers run down the rows, then 4, then single
 * columns. All begin with the first row and add what y holds last.
 */
function sumColumns(rows: i32, row: usize, bytes: usize, x: usize, y: usize, accumulate: bool): void {
  if (rows == 0) {
    if (!accumulate) memory.fill(y, 0, bytes);
    return;
  }
  let j: usize = 0;
  for (; j + 64 <= bytes; j += 64) sumColumns16(rows, row, x + j, y + j, accumulate);
  for (; j + 16 <= bytes; j += 16) {
    let p = x + j;
    let s = v128.load(p);
    for (let i = 1; i < rows; i++) s = f32x4.add(s, v128.load((p += row)));
    v128.store(y + j, accumulate ? f32x4.add(v128.load(y + j), s) : s);
  }
  for (; j < bytes; j += 4) {
    let p = x + j;
    let s = load<f32>(p);
    for (let i = 1; i < rows; i++) s += load<f32>((p += row));
    store<f32>(y + j, accumulate ? load<f32>(y + j) + s : s);
  }
}

function sumColumns16(rows: i32, row: usize, x: usize, y: usize, accumulate: bool): void {
  let s0 = v128.load(x);
  let s1 = v128.load(x, 16);
  let s2 = v128.load(x, 32);
  let s3 = v128.load(x, 48);
  for (rows--; rows > 0; rows--) {
    x += row;
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    s2 = f32x4.add(s2, v128.load(x, 32));
    s3 = f32x4.add(s3, v128.load(x, 48));
  }
  storeOrAddFour(accumulate, y, s0, s1, s2, s3);
}

/** x[i] = value */
export function fill(n: i32, x: usize, value: f32): void {
  setConstant<f32>(0, value);
  overStrips(fillStrips, n, 1, x, 0, 0, 0, 0);
}

function fillStrips(bytes: usize, x: usize, _b: usize, _c: usize, _d: usize, _e: usize): void {
  const value = constantLanes(0);
  for (const end = x + bytes; x < end; x += STRIP) {
    storeFour(x, value, value, value, value);
  }
}

/** y[i] += scale · x[i] */
export function addScaled(n: i32, x: usize, y: usize, scale: f32): void {
  setConstant<f32>(0, scale);
  overStrips(addScaledStrips, n, 1, y, x, 0, 0, 0);
}

function addScaledStrips(bytes: usize, y: usize, x: usize, _c: usize, _d: usize, _e: usize): void {
  const s = constantLanes(0);
  for (const end = y + bytes; y < end; y += STRIP, x += STRIP) {
    const r0 = multiplyAdd(s, v128.load(x), v128.load(y));
    const r1 = multiplyAdd(s, v128.load(x, 16), v128.load(y, 16));
    const r2 = multiplyAdd(s, v128.load(x, 32), v128.load(y, 32));
    const r3 = multiplyAdd(s, v128.load(x, 48), v128.load(y, 48));
    storeFour(y, r0, r1, r2, r3);
  }
}

/** x[i] = scale · x[i] */
export function scale(n: i32, x: usize, factor: f32): void {
  setConstant<f32>(0, factor);
  overStrips(scaleStrips, n, 1, x, 0, 0, 0, 0);
}

function scaleStrips(bytes: usize, x: usize, _b: usize, _c: usize, _d: usize, _e: usize): void {
  const s = constantLanes(0);
  for (const end = x + bytes; x < end; x += STRIP) {
    const r0 = f32x4.mul(s, v128.load(x));
    const r1 = f32x4.mul(s, v128.load(x, 16));
    const r2 = f32x4.mul(s, v128.load(x, 32));
    const r3 = f32x4.mul(s, v128.load(x, 48));
    storeFour(x, r0, r1, r2, r3);
  }
}

/** z[i] (+)= factor · x[i] · y[i] */
export function addProduct(n: i32, factor: f32, x: usize, y: usize, z: usize, accumulate: bool): void {
  setConstant<f32>(0, factor);
  setConstant<i32>(1, accumulate);
  overStrips(addProductStrips, n, 1, z, x, y, 0, 0);
}

function addProductStrips(bytes: usize, z: usize, x: usize, y: usize, _d: usize, _e: usize): void {
  const s = constantLanes(0);
  const accumulate = constant<bool>(1);
  for (const end = z + bytes; z < end; z += STRIP, x += STRIP, y += STRIP) {
    const r0 = f32x4.mul(s, f32x4.mul(v128.load(x), v128.load(y)));
    const r1 = f32x4.mul(s, f32x4.mul(v128.load(x, 16), v128.load(y, 16)));
    const r2 = f32x4.mul(s, f32x4.mul(v128.load(x, 32), v128.load(y, 32)));
    const r3 = f32x4.mul(s, f32x4.mul(v128.load(x, 48), v128.load(y, 48)));
    storeOrAddFour(accumulate, z, r0, r1, r2, r3);
  }
}

/** Σ x[i]², in double: squares of float32 neither overflow nor vanish there. */
export function sumOfSquares(n: i32, x: usize): f64 {
  const bytes = (<usize>n) << 2;
  const end = x + bytes;
  const whole = x + (bytes & ~31);
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (; x < whole; x += 32) {
    s0 = addSquares(s0, x);
    s1 = addSquares(s1, x + 8);
    s2 = addSquares(s2, x + 16);
    s3 = addSquares(s3, x + 24);
  }
  const both = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  let total = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (; x < end; x += 4) {
    const value = <f64>load<f32>(x);
    total += value * value;
  }
  return total;
}


@inline
function addSquares(sum: v128, two: usize): v128 {
  const values = pair(two);
  return f64x2.add(sum, f64x2.mul(values, values));
}

/** Two floats as doubles. */
@inline
export function pair(address: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<f64>(address));
}
