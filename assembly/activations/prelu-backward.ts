// PReLU's backward pass, together with the gradients of its slopes and of the bias before it. Loads come before arithmetic, arithmetic
// before stores.

import { block } from "../gemm/work";
import { select, storeFour, storePair } from "../lanes";
import {
  addGradient,
  addTotals,
  carrySums,
  COLUMN_TOTALS,
  SHARE_COLUMNS,
  SUM_BLOCK,
  SUM_COLUMNS,
  SUM_ROWS,
} from "../reductions";
import { own, shareFrom, shareTo } from "../thread";
import { SECOND_SUM, sumAt, sumsAddress } from "../vector-loop";

/**
 * dx = x > 0 ? dy : a · dy;  dslope[c] (+)= Σ (x > 0 ? 0 : dy · x);  dbias[c] (+)= Σ dx, in one pass. An address of 0 for
 * dslope or dbias leaves that sum out. Rows are taken in blocks as by columnSums, with the same bits.
 */
export function preluBackward(
  rows: i32,
  channels: i32,
  inner: i32,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  accumulateSlope: bool,
  dbias: usize,
  accumulateBias: bool,
): void {
  if (inner != 1) {
    const run = (<usize>inner) << 2;
    backwardByRuns(rows, channels, run, x, dy, slope, dx, dslope, accumulateSlope, dbias, accumulateBias);
    return;
  }
  const row = (<usize>channels) << 2;
  const first = (<usize>shareFrom(channels, SHARE_COLUMNS)) << 2;
  const end = (<usize>shareTo(channels, SHARE_COLUMNS)) << 2;
  if (rows <= SUM_ROWS || !(dslope || dbias)) {
    const bytes = end - first;
    if (dslope) dslope += first;
    if (dbias) dbias += first;
    if (dslope && !accumulateSlope) memory.fill(dslope, 0, bytes);
    if (dbias && !accumulateBias) memory.fill(dbias, 0, bytes);
    backwardByRows(rows, row, bytes, x + first, dy + first, slope + first, dx + first, dslope, dbias);
    return;
  }
  for (let j = first; j < end; j += SUM_COLUMNS) {
    const bytes = min(SUM_COLUMNS, end - j);
    const sums = dslope ? block : 0;
    const biasSums = dbias ? block + bytes : 0;
    memory.fill(block + COLUMN_TOTALS, 0, bytes << 2);
    let at = j;
    for (let r = 0; r < rows; r += SUM_ROWS, at += row * <usize>SUM_ROWS) {
      memory.fill(block, 0, bytes << 1);
      backwardByRows(min(SUM_ROWS, rows - r), row, bytes, x + at, dy + at, slope + j, dx + at, sums, biasSums);
      carrySums(bytes << 1);
    }
    for (let i: usize = 0; i < 2; i++) {
      const target = i == 0 ? dslope : dbias;
      const accumulate = i == 0 ? accumulateSlope : accumulateBias;
      if (target) addTotals(bytes, block + COLUMN_TOTALS + i * (bytes << 1), target + j, accumulate);
    }
  }
}

/** `bytes` of rows that are `row` bytes apart; adds in float32 to what dslope and dbias hold. */
function backwardByRows(
  rows: i32,
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  for (; rows >= 2; rows -= 2) {
    if (dbias) {
      if (dslope) maskRows<TwoRows, BothSums>(row, bytes, x, dy, slope, dx, dslope, dbias);
      else maskRows<TwoRows, BiasSum>(row, bytes, x, dy, slope, dx, dslope, dbias);
    } else if (dslope) maskRows<TwoRows, SlopeSum>(row, bytes, x, dy, slope, dx, dslope, dbias);
    else maskRows<TwoRows, NoSum>(row, bytes, x, dy, slope, dx, dslope, dbias);
    x += row << 1;
    dy += row << 1;
    dx += row << 1;
  }
  if (rows > 0) maskLastRow(row, bytes, x, dy, slope, dx, dslope, dbias);
}

/** What an element adds to its slope's gradient: dy · x on the slope's side, 0 elsewhere. */
@inline
function slopeTerm(positive: v128, x: v128, dy: v128): v128 {
  return v128.andnot(f32x4.mul(dy, x), positive);
}

// Type arguments of maskRows: its rows, and the sums that it carries.
class OneRow {}

class TwoRows {}

class NoSum {}

class SlopeSum {}

class BiasSum {}

class BothSums {}

/** The sums whose address is not 0. */
class AnySums {}


@inline
function sumsSlopes<S>(dslope: usize): bool {
  if (idof<S>() == idof<AnySums>()) return dslope != 0;
  return idof<S>() == idof<SlopeSum>() || idof<S>() == idof<BothSums>();
}


@inline
function sumsBiases<S>(dbias: usize): bool {
  if (idof<S>() == idof<AnySums>()) return dbias != 0;
  return idof<S>() == idof<BiasSum>() || idof<S>() == idof<BothSums>();
}

/** One row or two, with the sums of their columns in memory. */
function maskRows<R, S>(
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  const ROWS: i32 = idof<R>() == idof<TwoRows>() ? 2 : 1;
  const SLOPES = sumsSlopes<S>(dslope);
  const BIASES = sumsBiases<S>(dbias);
  const zero = f32x4.splat(0);
  const end = slope + bytes;
  const whole = slope + (bytes & ~31);
  while (slope < whole) {
    const a0 = v128.load(slope);
    const a1 = v128.load(slope, 16);
    let s0 = SLOPES ? v128.load(dslope) : zero;
    let s1 = SLOPES ? v128.load(dslope, 16) : zero;
    let b0 = BIASES ? v128.load(dbias) : zero;
    let b1 = BIASES ? v128.load(dbias, 16) : zero;
    const x00 = v128.load(x);
    const x01 = v128.load(x, 16);
    const g00 = v128.load(dy);
    const g01 = v128.load(dy, 16);
    const x10 = ROWS > 1 ? v128.load(x + row) : zero;
    const x11 = ROWS > 1 ? v128.load(x + row, 16) : zero;
    const g10 = ROWS > 1 ? v128.load(dy + row) : zero;
    const g11 = ROWS > 1 ? v128.load(dy + row, 16) : zero;
    const p00 = f32x4.gt(x00, zero);
    const p01 = f32x4.gt(x01, zero);
    const r00 = select(p00, g00, f32x4.mul(a0, g00));
    const r01 = select(p01, g01, f32x4.mul(a1, g01));
    if (SLOPES) {
      s0 = f32x4.add(s0, slopeTerm(p00, x00, g00));
      s1 = f32x4.add(s1, slopeTerm(p01, x01, g01));
    }
    if (BIASES) {
      b0 = f32x4.add(b0, r00);
      b1 = f32x4.add(b1, r01);
    }
    if (ROWS > 1) {
      const p10 = f32x4.gt(x10, zero);
      const p11 = f32x4.gt(x11, zero);
      const r10 = select(p10, g10, f32x4.mul(a0, g10));
      const r11 = select(p11, g11, f32x4.mul(a1, g11));
      if (SLOPES) {
        s0 = f32x4.add(s0, slopeTerm(p10, x10, g10));
        s1 = f32x4.add(s1, slopeTerm(p11, x11, g11));
      }
      if (BIASES) {
        b0 = f32x4.add(b0, r10);
        b1 = f32x4.add(b1, r11);
      }
      storePair(dx + row, r10, r11);
    }
    storePair(dx, r00, r01);
    if (SLOPES) {
      storePair(dslope, s0, s1);
      dslope += 32;
    }
    if (BIASES) {
      storePair(dbias, b0, b1);
      dbias += 32;
    }
    x += 32;
    dy += 32;
    dx += 32;
    slope += 32;
  }
  while (slope < end) {
    const a = load<f32>(slope);
    let s: f32 = SLOPES ? load<f32>(dslope) : 0;
    let b: f32 = BIASES ? load<f32>(dbias) : 0;
    for (let r = 0; r < ROWS; r++) {
      const offset = r == 0 ? <usize>0 : row;
      const v = load<f32>(x + offset);
      const g = load<f32>(dy + offset);
      const d = v > 0 ? g : a * g;
      s += v > 0 ? 0 : g * v;
      b += d;
      store<f32>(dx + offset, d);
    }
    if (SLOPES) {
      store<f32>(dslope, s);
      dslope += 4;
    }
    if (BIASES) {
      store<f32>(dbias, b);
      dbias += 4;
    }
    x += 4;
    dy += 4;
    dx += 4;
    slope += 4;
  }
}

/** The last of an odd number of rows: with batch 1 the only one. With one sum or none the loop decides, which saves code. */
function maskLastRow(
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  if (dslope && dbias) maskRows<OneRow, BothSums>(row, bytes, x, dy, slope, dx, dslope, dbias);
  else maskRows<OneRow, AnySums>(row, bytes, x, dy, slope, dx, dslope, dbias);
}

/** Totals, in double, of the gradients of some channels' slopes and biases. */
const TOTALS: usize = memory.data(64 * 16, 16);
const MOST_CHANNELS: usize = 64;

/** One slope for each run. Memory is read in order; the sums of up to 64 channels are carried in double over the batch. */
function backwardByRuns(
  rows: i32,
  channels: i32,
  run: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  accumulateSlope: bool,
  dbias: usize,
  accumulateBias: bool,
): void {
  const end = <usize>shareTo(channels, 1);
  for (let first = <usize>shareFrom(channels, 1); first < end; first += MOST_CHANNELS) {
    const count = min(MOST_CHANNELS, end - first);
    memory.fill(own(TOTALS), 0, count << 4);
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let c: usize = 0; c < count; c++) {
        const start = (r * <usize>channels + first + c) * run;
        for (let at = start; at < start + run; at += SUM_BLOCK) {
          const bytes = min(SUM_BLOCK, start + run - at);
          maskRun(bytes, x + at, dy + at, slope + ((first + c) << 2), dx + at, own(TOTALS) + (c << 4));
        }
      }
    }
    for (let c: usize = 0; c < count; c++) {
      const at = (first + c) << 2;
      if (dslope) addGradient(dslope + at, load<f64>(own(TOTALS) + (c << 4)), accumulateSlope);
      if (dbias) addGradient(dbias + at, load<f64>(own(TOTALS) + (c << 4), 8), accumulateBias);
    }
  }
}

/** dx for a run of one slope; adds the run's Σ (x > 0 ? 0 : dy · x) and Σ dx to the totals. */
function maskRun(bytes: usize, x: usize, dy: usize, slope: usize, dx: usize, totals: usize): void {
  const whole = bytes & ~31;
  maskVectors(whole, x, dy, slope, dx);
  let slopeSum = sumAt(sumsAddress());
  let biasSum = sumAt(sumsAddress() + SECOND_SUM);
  const a = load<f32>(slope);
  for (let i = whole; i < bytes; i += 4) {
    const v = load<f32>(x + i);
    const g = load<f32>(dy + i);
    const d = v > 0 ? g : a * g;
    if (!(v > 0)) slopeSum += <f64>(g * v);
    biasSum += <f64>d;
    store<f32>(dx + i, d);
  }
  store<f64>(totals, load<f64>(totals) + slopeSum);
  store<f64>(totals, load<f64>(totals, 8) + biasSum, 8);
}

/** dx of whole pairs of vectors; with the sums of slopes, and those of biases behind them. */
function maskVectors(bytes: usize, x: usize, dy: usize, slope: usize, dx: usize): void {
  const zero = f32x4.splat(0);
  const a = v128.load32_splat(slope);
  let s0 = zero;
  let s1 = zero;
  let b0 = zero;
  let b1 = zero;
  for (const end = x + bytes; x < end; x += 32, dy += 32, dx += 32) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    const p0 = f32x4.gt(x0, zero);
    const p1 = f32x4.gt(x1, zero);
    s0 = f32x4.add(s0, slopeTerm(p0, x0, g0));
    s1 = f32x4.add(s1, slopeTerm(p1, x1, g1));
    const r0 = select(p0, g0, f32x4.mul(a, g0));
    const r1 = select(p1, g1, f32x4.mul(a, g1));
    b0 = f32x4.add(b0, r0);
    b1 = f32x4.add(b1, r1);
    storePair(dx, r0, r1);
  }
  const sums = sumsAddress();
  storeFour(sums, s0, s1, b0, b1);
}
