// ReLU, ELU, and PReLU with its derivatives, y = x > 0 ? x : a · x, by comparison and selection: right for NaN and infinite slopes and for -0,
// where max(0, x) + a · min(0, x) is not.
//
// x is [rows, channels, inner] with one slope for each channel. inner = 1 (a dense layer's output) goes by rows with the slopes as
// a vector; anything else goes by runs of one slope. Loads come before arithmetic, arithmetic before stores.

import { exp, expm1OfNegative } from "./exponential";
import { block } from "./gemm/work";
import { select, storeFour, storePair } from "./lanes";
import { addGradient, addTotals, carrySums, COLUMN_TOTALS, SUM_BLOCK, SUM_COLUMNS, SUM_ROWS } from "./reductions";
import { constantLanes, overStrips, SECOND_SUM, setConstant, STRIP, sumAt, SUMS, sumsAddress } from "./vector-loop";

export function prelu(rows: i32, channels: i32, inner: i32, x: usize, slope: usize, y: usize): void {
  if (inner == 1) {
    const row = (<usize>channels) << 2;
    for (; rows > 0; rows--) {
      preluRow(row, x, slope, y);
      x += row;
      y += row;
    }
  } else {
    const run = (<usize>inner) << 2;
    for (; rows > 0; rows--) {
      for (let c: usize = 0; c < <usize>channels; c++) {
        preluRun(run, x, slope + (c << 2), y);
        x += run;
        y += run;
      }
    }
  }
}


@inline
function activate(x: v128, a: v128, zero: v128): v128 {
  return select(f32x4.gt(x, zero), x, f32x4.mul(a, x));
}

/** `bytes` of x with one slope (SPLAT) or a slope for each element. */
@inline
function forward(SPLAT: bool, bytes: usize, x: usize, slope: usize, y: usize): void {
  const zero = f32x4.splat(0);
  const a = v128.load32_splat(slope);
  const end = x + bytes;
  const whole = x + (bytes & ~63);
  while (x < whole) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    const y0 = activate(x0, SPLAT ? a : v128.load(slope), zero);
    const y1 = activate(x1, SPLAT ? a : v128.load(slope, 16), zero);
    const y2 = activate(x2, SPLAT ? a : v128.load(slope, 32), zero);
    const y3 = activate(x3, SPLAT ? a : v128.load(slope, 48), zero);
    storeFour(y, y0, y1, y2, y3);
    x += 64;
    y += 64;
    if (!SPLAT) slope += 64;
  }
  while (x < end) {
    const v = load<f32>(x);
    store<f32>(y, v > 0 ? v : load<f32>(slope) * v);
    x += 4;
    y += 4;
    if (!SPLAT) slope += 4;
  }
}

function preluRow(bytes: usize, x: usize, slope: usize, y: usize): void {
  forward(false, bytes, x, slope, y);
}

function preluRun(bytes: usize, x: usize, slope: usize, y: usize): void {
  forward(true, bytes, x, slope, y);
}

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
  if (rows <= SUM_ROWS || !(dslope || dbias)) {
    if (dslope && !accumulateSlope) memory.fill(dslope, 0, row);
    if (dbias && !accumulateBias) memory.fill(dbias, 0, row);
    backwardByRows(rows, row, row, x, dy, slope, dx, dslope, dbias);
    return;
  }
  for (let j: usize = 0; j < row; j += SUM_COLUMNS) {
    const bytes = min(SUM_COLUMNS, row - j);
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
      if (dslope) maskSlopeBias2(row, bytes, x, dy, slope, dx, dslope, dbias);
      else maskBias2(row, bytes, x, dy, slope, dx, dbias);
    } else if (dslope) maskSlope2(row, bytes, x, dy, slope, dx, dslope);
    else mask2(row, bytes, x, dy, slope, dx);
    x += row << 1;
    dy += row << 1;
    dx += row << 1;
  }
  if (rows > 0) mask1(row, bytes, x, dy, slope, dx, dslope, dbias);
}

/** What an element adds to its slope's gradient: dy · x on the slope's side, 0 elsewhere. */
@inline
function slopeTerm(positive: v128, x: v128, dy: v128): v128 {
  return v128.andnot(f32x4.mul(dy, x), positive);
}

/** R rows (1 or 2) with the sums of their columns running in memory; SLOPE and BIAS say which there are. */
@inline
function maskRows(
  R: i32,
  SLOPE: bool,
  BIAS: bool,
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  const zero = f32x4.splat(0);
  const end = slope + bytes;
  const whole = slope + (bytes & ~31);
  while (slope < whole) {
    const a0 = v128.load(slope);
    const a1 = v128.load(slope, 16);
    let s0 = SLOPE ? v128.load(dslope) : zero;
    let s1 = SLOPE ? v128.load(dslope, 16) : zero;
    let b0 = BIAS ? v128.load(dbias) : zero;
    let b1 = BIAS ? v128.load(dbias, 16) : zero;
    const x00 = v128.load(x);
    const x01 = v128.load(x, 16);
    const g00 = v128.load(dy);
    const g01 = v128.load(dy, 16);
    const x10 = R > 1 ? v128.load(x + row) : zero;
    const x11 = R > 1 ? v128.load(x + row, 16) : zero;
    const g10 = R > 1 ? v128.load(dy + row) : zero;
    const g11 = R > 1 ? v128.load(dy + row, 16) : zero;
    const p00 = f32x4.gt(x00, zero);
    const p01 = f32x4.gt(x01, zero);
    const r00 = select(p00, g00, f32x4.mul(a0, g00));
    const r01 = select(p01, g01, f32x4.mul(a1, g01));
    if (SLOPE) {
      s0 = f32x4.add(s0, slopeTerm(p00, x00, g00));
      s1 = f32x4.add(s1, slopeTerm(p01, x01, g01));
    }
    if (BIAS) {
      b0 = f32x4.add(b0, r00);
      b1 = f32x4.add(b1, r01);
    }
    if (R > 1) {
      const p10 = f32x4.gt(x10, zero);
      const p11 = f32x4.gt(x11, zero);
      const r10 = select(p10, g10, f32x4.mul(a0, g10));
      const r11 = select(p11, g11, f32x4.mul(a1, g11));
      if (SLOPE) {
        s0 = f32x4.add(s0, slopeTerm(p10, x10, g10));
        s1 = f32x4.add(s1, slopeTerm(p11, x11, g11));
      }
      if (BIAS) {
        b0 = f32x4.add(b0, r10);
        b1 = f32x4.add(b1, r11);
      }
      storePair(dx + row, r10, r11);
    }
    storePair(dx, r00, r01);
    if (SLOPE) {
      storePair(dslope, s0, s1);
      dslope += 32;
    }
    if (BIAS) {
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
    let s: f32 = SLOPE ? load<f32>(dslope) : 0;
    let b: f32 = BIAS ? load<f32>(dbias) : 0;
    for (let r = 0; r < R; r++) {
      const offset = r == 0 ? <usize>0 : row;
      const v = load<f32>(x + offset);
      const g = load<f32>(dy + offset);
      const d = v > 0 ? g : a * g;
      s += v > 0 ? 0 : g * v;
      b += d;
      store<f32>(dx + offset, d);
    }
    if (SLOPE) {
      store<f32>(dslope, s);
      dslope += 4;
    }
    if (BIAS) {
      store<f32>(dbias, b);
      dbias += 4;
    }
    x += 4;
    dy += 4;
    dx += 4;
    slope += 4;
  }
}

function maskSlopeBias2(
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  maskRows(2, true, true, row, bytes, x, dy, slope, dx, dslope, dbias);
}

function maskSlope2(row: usize, bytes: usize, x: usize, dy: usize, slope: usize, dx: usize, dslope: usize): void {
  maskRows(2, true, false, row, bytes, x, dy, slope, dx, dslope, 0);
}

function maskBias2(row: usize, bytes: usize, x: usize, dy: usize, slope: usize, dx: usize, dbias: usize): void {
  maskRows(2, false, true, row, bytes, x, dy, slope, dx, 0, dbias);
}

function mask2(row: usize, bytes: usize, x: usize, dy: usize, slope: usize, dx: usize): void {
  maskRows(2, false, false, row, bytes, x, dy, slope, dx, 0, 0);
}

/** The last of an odd number of rows: with batch 1 the only one. Where not both sums are wanted the loop decides, which saves code. */
function mask1(
  row: usize,
  bytes: usize,
  x: usize,
  dy: usize,
  slope: usize,
  dx: usize,
  dslope: usize,
  dbias: usize,
): void {
  if (dslope && dbias) maskRows(1, true, true, row, bytes, x, dy, slope, dx, dslope, dbias);
  else maskRows(1, dslope != 0, dbias != 0, row, bytes, x, dy, slope, dx, dslope, dbias);
}

/** What some channels' slopes and biases get added, in double. */
const TOTALS: usize = memory.data(64 * 16, 16);
const MOST_CHANNELS: usize = 64;

/** One slope a run. Memory is passed over in order; the sums of up to 64 channels are carried in double over the batch. */
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
  for (let first: usize = 0; first < <usize>channels; first += MOST_CHANNELS) {
    const count = min(MOST_CHANNELS, <usize>channels - first);
    memory.fill(TOTALS, 0, count << 4);
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let c: usize = 0; c < count; c++) {
        const start = (r * <usize>channels + first + c) * run;
        for (let at = start; at < start + run; at += SUM_BLOCK) {
          const bytes = min(SUM_BLOCK, start + run - at);
          maskRun(bytes, x + at, dy + at, slope + ((first + c) << 2), dx + at, TOTALS + (c << 4));
        }
      }
    }
    for (let c: usize = 0; c < count; c++) {
      const at = (first + c) << 2;
      if (dslope) addGradient(dslope + at, load<f64>(TOTALS + (c << 4)), accumulateSlope);
      if (dbias) addGradient(dbias + at, load<f64>(TOTALS + (c << 4), 8), accumulateBias);
    }
  }
}

/** dx for a run of one slope; adds the run's Σ (x > 0 ? 0 : dy · x) and Σ dx to the totals. */
function maskRun(bytes: usize, x: usize, dy: usize, slope: usize, dx: usize, totals: usize): void {
  const whole = bytes & ~31;
  maskVectors(whole, x, dy, slope, dx);
  let slopeSum = sumAt(SUMS);
  let biasSum = sumAt(SUMS + SECOND_SUM);
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

/** dx of whole pairs of vectors; the sums of slopes into SUMS, those of biases behind them. */
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

// What follows has no parameters: one loop for y = f(x), one for dx from x and dy, with the function marked by a class.

class Relu {}
class Elu {}
class Exponential {}

/** f of four lanes. */
@inline
function apply<F>(x: v128, alpha: v128, zero: v128): v128 {
  if (idof<F>() == idof<Relu>()) return v128.andnot(x, f32x4.lt(x, zero));
  if (idof<F>() == idof<Exponential>()) return exp(x);
  // of what is positive the exponential may be anything: the selection drops it
  return select(f32x4.ge(x, zero), x, f32x4.mul(alpha, expm1OfNegative(x)));
}

/** dy · f'(x) of four lanes. */
@inline
function mask<F>(x: v128, dy: v128, alpha: v128, zero: v128): v128 {
  if (idof<F>() == idof<Relu>()) return v128.andnot(dy, f32x4.le(x, zero));
  const slope = f32x4.mul(alpha, exp(x));
  return select(f32x4.gt(x, zero), dy, f32x4.mul(dy, slope));
}


@inline
function forwardStrips<F>(bytes: usize, y: usize, x: usize): void {
  const zero = f32x4.splat(0);
  const alpha = constantLanes(0);
  const end = y + bytes;
  for (; y < end; y += STRIP, x += STRIP) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    const y0 = apply<F>(x0, alpha, zero);
    const y1 = apply<F>(x1, alpha, zero);
    const y2 = apply<F>(x2, alpha, zero);
    const y3 = apply<F>(x3, alpha, zero);
    storeFour(y, y0, y1, y2, y3);
  }
}


@inline
function backwardStrips<F>(bytes: usize, dx: usize, x: usize, dy: usize): void {
  const zero = f32x4.splat(0);
  const alpha = constantLanes(0);
  const end = dx + bytes;
  for (; dx < end; dx += STRIP, x += STRIP, dy += STRIP) {
    const r0 = mask<F>(v128.load(x), v128.load(dy), alpha, zero);
    const r1 = mask<F>(v128.load(x, 16), v128.load(dy, 16), alpha, zero);
    const r2 = mask<F>(v128.load(x, 32), v128.load(dy, 32), alpha, zero);
    const r3 = mask<F>(v128.load(x, 48), v128.load(dy, 48), alpha, zero);
    storeFour(dx, r0, r1, r2, r3);
  }
}

/** y = x < 0 ? 0 : x: NaN and -0 stay, as in PyTorch. */
export function relu(n: i32, x: usize, y: usize): void {
  overStrips(reluStrips, n, 1, y, x, 0, 0, 0);
}

function reluStrips(bytes: usize, y: usize, x: usize, _c: usize, _d: usize, _e: usize): void {
  forwardStrips<Relu>(bytes, y, x);
}

/** dx = x <= 0 ? 0 : dy: a NaN lets dy pass, as in PyTorch. */
export function reluBackward(n: i32, x: usize, dy: usize, dx: usize): void {
  overStrips(reluBackwardStrips, n, 1, dx, x, dy, 0, 0);
}

function reluBackwardStrips(bytes: usize, dx: usize, x: usize, dy: usize, _d: usize, _e: usize): void {
  backwardStrips<Relu>(bytes, dx, x, dy);
}

/** ELU, y = x > 0 ? x : alpha · expm1(x); NaN stays. */
export function elu(n: i32, x: usize, alpha: f32, y: usize): void {
  setConstant<f32>(0, alpha);
  overStrips(eluStrips, n, 1, y, x, 0, 0, 0);
}

function eluStrips(bytes: usize, y: usize, x: usize, _c: usize, _d: usize, _e: usize): void {
  forwardStrips<Elu>(bytes, y, x);
}

/** dx = x > 0 ? dy : dy · alpha · exp(x) */
export function eluBackward(n: i32, x: usize, dy: usize, alpha: f32, dx: usize): void {
  setConstant<f32>(0, alpha);
  overStrips(eluBackwardStrips, n, 1, dx, x, dy, 0, 0);
}

function eluBackwardStrips(bytes: usize, dx: usize, x: usize, dy: usize, _d: usize, _e: usize): void {
  backwardStrips<Elu>(bytes, dx, x, dy);
}

/** y = exp(x) */
export function exponential(n: i32, x: usize, y: usize): void {
  overStrips(exponentialStrips, n, 1, y, x, 0, 0, 0);
}

function exponentialStrips(bytes: usize, y: usize, x: usize, _c: usize, _d: usize, _e: usize): void {
  forwardStrips<Exponential>(bytes, y, x);
}
