// Batch normalisation of x[rows, channels, inner]; count = rows · inner values a channel.
//
//   forward  mean = Σ x / count, variance = Σ (x - mean)² / count, two passes, the second of which refines the mean;  y = (x - mean) · scale + shift
//   back     dx = c0 · dy + c1 + c2 · (x - mean) with c0 = weight · inverse, c1 = -c0 · Σ dy / count,
//            c2 = -c0 · inverse² · Σ dy (x - mean) / count
//
// inner > 1 (planes) goes by groups of channels, each pass over a group in the order of memory: planes of one channel lie at
// distances that collide in the cache. float32 lanes add up a block, blocks are added in double. inner = 1 (columns) goes four
// channels at a time down the rows, with sums in double.
//
// The mean is kept as a float32 for the differences; what it lost by that is in double in the variance and in the shift.

import { loadUpTo4, multiplyAdd, storeUpTo4 } from "./lanes";
import { addGradient, blockSum, pair, SUM_BLOCK } from "./reductions";
import { SECOND as SECOND_LANES, sumAt, SUMS as LANES, sumsAddress } from "./vector-loop";

/** Planes that are dealt with together: more are no faster, fewer leave gaps in what is read. */
const MOST_CHANNELS: i32 = 64;

// What the passes over a group read: a float for each of its channels.
const MEAN: usize = memory.data(64 * 4, 16);
const SCALE: usize = memory.data(64 * 4, 16);
const SHIFT: usize = memory.data(64 * 4, 16);
const SLOPE: usize = memory.data(64 * 4, 16);
/** Numbers in double for each of its channels: mean, centred squares, the mean before it was refined; on the way back the two sums. */
const SUMS: usize = memory.data(3 * 64 * 8, 16);
const SECOND: usize = 64 * 8;
const THIRD: usize = 2 * SECOND;

export function batchNorm(
  rows: i32,
  channels: i32,
  inner: i32,
  x: usize,
  weight: usize,
  bias: usize,
  eps: f64,
  momentum: f64,
  runningMean: usize,
  runningVariance: usize,
  statistics: usize,
  y: usize,
): void {
  const run = (<usize>inner) << 2;
  const row = <usize>channels * run;
  const count = <f64>rows * <f64>inner;
  const inverses = statistics + ((<usize>channels) << 2);
  const group = inner == 1 ? 4 : MOST_CHANNELS;
  for (let c = 0; c < channels; c += group) {
    const lanes = min(group, channels - c);
    const start = <usize>c * run;
    if (inner == 1) columnStatistics(rows, row, lanes, x + start);
    else planesStatistics(rows, row, run, lanes, x + start, count * eps);
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const at = (<usize>c + lane) << 2;
      const sums = SUMS + (lane << 3);
      const mean = load<f64>(sums);
      const squares = load<f64>(sums, SECOND);
      const variance = squares / count;
      // PyTorch's: a constant channel's deviations, which are 0, stay 0
      const inverse = variance + eps == 0 ? 0 : 1 / Math.sqrt(variance + eps);
      keepRunning(runningMean + at, momentum, exactMean(load<f64>(sums, THIRD), mean, variance));
      keepRunning(runningVariance + at, momentum, squares / (count - 1));
      store<f32>(statistics + at, <f32>mean);
      store<f32>(inverses + at, <f32>inverse);
      prepare(lane << 2, mean, inverse, weight + at, bias + at);
    }
    apply(rows, row, run, lanes, x + start, y + start);
  }
}

/** A spread's share that float32 rounds away. */
const ROUNDING: f64 = 1.2e-7;

/**
 * The mean as the values were summed, which is exact where they are integers; the refined one, whose differences from a float32 are not, where
 * the sum was further off than they are.
 */
@inline
function exactMean(summed: f64, refined: f64, variance: f64): f64 {
  const off = (summed - refined) / ROUNDING;
  return off * off <= variance ? summed : refined;
}

/**
 * y = (x - MEAN) · SCALE + SHIFT for a channel. Where differences may overflow, or the scale has, PyTorch's order: x · SCALE + SHIFT, which
 * with a scale of infinity is what PyTorch has, too.
 */
function prepare(lane: usize, mean: f64, inverse: f64, weight: usize, bias: usize): void {
  const scale = <f64>load<f32>(weight) * inverse;
  const rounded = <f32>mean;
  const lost = isFinite(rounded) ? mean - <f64>rounded : 0;
  const isApart = inverse > LEAST_INVERSE && isFinite(<f32>scale);
  store<f32>(MEAN + lane, isApart ? rounded : 0);
  store<f32>(SCALE + lane, <f32>scale);
  store<f32>(SHIFT + lane, <f32>(<f64>load<f32>(bias) - (isApart ? lost : mean) * scale));
}

/** Of spreads whose values' differences float32 holds, whatever the other values are. */
const LEAST_INVERSE: f64 = 1e-34;

function keepRunning(target: usize, momentum: f64, value: f64): void {
  store<f32>(target, <f32>(momentum * value + (1 - momentum) * <f64>load<f32>(target)));
}

export function normalize(
  rows: i32,
  channels: i32,
  inner: i32,
  x: usize,
  weight: usize,
  bias: usize,
  eps: f64,
  mean: usize,
  variance: usize,
  y: usize,
): void {
  const run = (<usize>inner) << 2;
  const row = <usize>channels * run;
  const group = inner == 1 ? 4 : MOST_CHANNELS;
  for (let c = 0; c < channels; c += group) {
    const lanes = min(group, channels - c);
    const start = <usize>c * run;
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const at = (<usize>c + lane) << 2;
      const inverse = 1 / Math.sqrt(<f64>load<f32>(variance + at) + eps);
      prepare(lane << 2, <f64>load<f32>(mean + at), inverse, weight + at, bias + at);
    }
    apply(rows, row, run, lanes, x + start, y + start);
  }
}

/** y = (x - MEAN) · SCALE + SHIFT for a group of channels. */
function apply(rows: i32, row: usize, run: usize, lanes: i32, x: usize, y: usize): void {
  if (run == 4) {
    applyColumns(rows, row, lanes, x, y);
  } else {
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let lane: usize = 0; lane < <usize>lanes; lane++) {
        const at = r * row + lane * run;
        applyRun(run, lane << 2, x + at, y + at);
      }
    }
  }
}


@inline
function normalized(x: v128, mean: v128, scale: v128, shift: v128): v128 {
  return multiplyAdd(f32x4.sub(x, mean), scale, shift);
}

function applyRun(bytes: usize, lane: usize, x: usize, y: usize): void {
  const mean = v128.load32_splat(MEAN + lane);
  const scale = v128.load32_splat(SCALE + lane);
  const shift = v128.load32_splat(SHIFT + lane);
  const end = x + bytes;
  for (; x + 64 <= end; x += 64) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    const y0 = normalized(x0, mean, scale, shift);
    const y1 = normalized(x1, mean, scale, shift);
    const y2 = normalized(x2, mean, scale, shift);
    const y3 = normalized(x3, mean, scale, shift);
    v128.store(y, y1, 16);
    v128.store(y, y0);
    v128.store(y, y3, 48);
    v128.store(y, y2, 32);
    y += 64;
  }
  for (; x < end; x += 16) {
    const lanes = min<usize>((end - x) >> 2, 4);
    storeUpTo4(y, normalized(loadUpTo4(x, lanes), mean, scale, shift), lanes);
    y += 16;
  }
}

function applyColumns(rows: i32, row: usize, lanes: usize, x: usize, y: usize): void {
  const mean = v128.load(MEAN);
  const scale = v128.load(SCALE);
  const shift = v128.load(SHIFT);
  for (; rows > 0; rows--) {
    storeUpTo4(y, normalized(loadUpTo4(x, lanes), mean, scale, shift), lanes);
    x += row;
    y += row;
  }
}

/** Mean and Σ (x - mean)² of a group of planes, into SUMS; `least` will be added to the squares. */
function planesStatistics(rows: i32, row: usize, run: usize, lanes: i32, x: usize, least: f64): void {
  const count = <f64>rows * <f64>(run >> 2);
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const plane = x + r * row + lane * run;
      let total: f64 = 0;
      for (let at: usize = 0; at < run; at += SUM_BLOCK) total += blockSum(min(SUM_BLOCK, run - at), plane + at);
      store<f64>(SUMS + (lane << 3), load<f64>(SUMS + (lane << 3)) + total);
    }
  }
  roundMeans(lanes, count);
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const plane = x + r * row + lane * run;
      for (let at: usize = 0; at < run; at += SUM_BLOCK) {
        addSquares(min(SUM_BLOCK, run - at), MEAN + (lane << 2), plane + at, SUMS + (lane << 3));
      }
    }
  }
  refineMeans(lanes, count);
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const squares = load<f64>(SUMS + (lane << 3), SECOND);
    const lost = load<f64>(SUMS + (lane << 3)) - <f64>load<f32>(MEAN + (lane << 2));
    // squares leave the range of float32 long before the numbers do; of a constant channel only roundings are left
    if (!(squares <= LARGE && squares + least >= SMALL && squares >= LEAST_LEFT * count * lost * lost)) {
      statisticsInDouble(rows, row, run, x + lane * run, SUMS + (lane << 3));
    }
  }
}

const LARGE: f64 = 1e37;
const SMALL: f64 = 1e-28;
/** Less than this of what was taken from a sum of squares, and what is left is roundings. */
const LEAST_LEFT: f64 = 1e-4;

/** From sums the rounded means that differences are taken from. */
function roundMeans(lanes: i32, count: f64): void {
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const mean = load<f64>(SUMS + (lane << 3)) / count;
    store<f64>(SUMS + (lane << 3), mean, THIRD);
    store<f32>(MEAN + (lane << 2), <f32>mean);
  }
}

/** From the sums of differences and of their squares the mean and the squares around it. */
function refineMeans(lanes: i32, count: f64): void {
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const sums = SUMS + (lane << 3);
    const rounded = load<f32>(MEAN + (lane << 2));
    const lost = isFinite(rounded) ? load<f64>(sums) / count : 0;
    store<f64>(sums, <f64>rounded + lost);
    store<f64>(sums, load<f64>(sums, SECOND) - count * lost * lost, SECOND);
  }
}

/** Adds a block's Σ (x - mean) and Σ (x - mean)². */
function addSquares(bytes: usize, mean: usize, x: usize, sums: usize): void {
  const whole = bytes & ~31;
  squareTurns(whole, mean, x);
  let total = sumAt(LANES);
  let squares = sumAt(LANES + SECOND_LANES);
  const center = load<f32>(mean);
  for (let i = whole; i < bytes; i += 4) {
    const d = load<f32>(x + i) - center;
    total += <f64>d;
    squares += <f64>(d * d);
  }
  store<f64>(sums, load<f64>(sums) + total);
  store<f64>(sums, load<f64>(sums, SECOND) + squares, SECOND);
}

/** Σ (x - mean) and Σ (x - mean)² of whole turns, into LANES. */
function squareTurns(bytes: usize, mean: usize, x: usize): void {
  const center = v128.load32_splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let t0 = s0;
  let t1 = s0;
  for (const end = x + bytes; x < end; x += 32) {
    const d0 = f32x4.sub(v128.load(x), center);
    const d1 = f32x4.sub(v128.load(x, 16), center);
    s0 = f32x4.add(s0, d0);
    s1 = f32x4.add(s1, d1);
    t0 = multiplyAdd(d0, d0, t0);
    t1 = multiplyAdd(d1, d1, t1);
  }
  const sums = sumsAddress();
  v128.store(sums, s1, 16);
  v128.store(sums, s0);
  v128.store(sums, t1, 48);
  v128.store(sums, t0, 32);
}

/** The same of one channel, where float32 lanes ran over or the squares vanished. */
function statisticsInDouble(rows: i32, row: usize, run: usize, x: usize, sums: usize): void {
  const end = x + <usize>rows * row;
  let total: f64 = 0;
  for (let plane = x; plane < end; plane += row) {
    for (let i: usize = 0; i < run; i += 4) total += <f64>load<f32>(plane + i);
  }
  const mean = total / (<f64>rows * <f64>(run >> 2));
  let squares: f64 = 0;
  for (let plane = x; plane < end; plane += row) {
    for (let i: usize = 0; i < run; i += 4) {
      const d = <f64>load<f32>(plane + i) - mean;
      squares += d * d;
    }
  }
  store<f64>(sums, mean);
  store<f64>(sums, squares, SECOND);
}

/** The same of four columns, or of the last 1 to 3. */
function columnStatistics(rows: i32, row: usize, lanes: i32, x: usize): void {
  columnTotals(rows, row, lanes, x);
  roundMeans(lanes, rows);
  columnSquares(rows, row, lanes, x);
  refineMeans(lanes, rows);
}

/** Σ x of four columns, or of the last 1 to 3, into SUMS. */
function columnTotals(rows: i32, row: usize, lanes: i32, x: usize): void {
  if (lanes == 4) {
    let low = f64x2.splat(0);
    let high = low;
    for (; rows > 0; rows--, x += row) {
      low = f64x2.add(low, pair(x));
      high = f64x2.add(high, pair(x + 8));
    }
    v128.store(SUMS, high, 16);
    v128.store(SUMS, low);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      let total: f64 = 0;
      let at = x + (lane << 2);
      for (let r = 0; r < rows; r++, at += row) total += <f64>load<f32>(at);
      store<f64>(SUMS + (lane << 3), total);
    }
  }
}

/** Σ (x - MEAN) and Σ (x - MEAN)² of the same columns. */
function columnSquares(rows: i32, row: usize, lanes: i32, x: usize): void {
  if (lanes == 4) {
    const lowMean = pair(MEAN);
    const highMean = pair(MEAN + 8);
    let t0 = f64x2.splat(0);
    let t1 = t0;
    let s0 = t0;
    let s1 = t0;
    for (; rows > 0; rows--, x += row) {
      const d0 = f64x2.sub(pair(x), lowMean);
      const d1 = f64x2.sub(pair(x + 8), highMean);
      t0 = f64x2.add(t0, d0);
      t1 = f64x2.add(t1, d1);
      s0 = f64x2.add(s0, f64x2.mul(d0, d0));
      s1 = f64x2.add(s1, f64x2.mul(d1, d1));
    }
    v128.store(SUMS, t1, 16);
    v128.store(SUMS, t0);
    v128.store(SUMS, s1, SECOND + 16);
    v128.store(SUMS, s0, SECOND);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const mean = <f64>load<f32>(MEAN + (lane << 2));
      let total: f64 = 0;
      let squares: f64 = 0;
      let at = x + (lane << 2);
      for (let r = 0; r < rows; r++, at += row) {
        const d = <f64>load<f32>(at) - mean;
        total += d;
        squares += d * d;
      }
      store<f64>(SUMS + (lane << 3), total);
      store<f64>(SUMS + (lane << 3), squares, SECOND);
    }
  }
}

export function batchNormBackward(
  rows: i32,
  channels: i32,
  inner: i32,
  x: usize,
  dy: usize,
  weight: usize,
  statistics: usize,
  dx: usize,
  dweight: usize,
  accumulateWeight: bool,
  dbias: usize,
  accumulateBias: bool,
): void {
  const run = (<usize>inner) << 2;
  const row = <usize>channels * run;
  const count = <f64>rows * <f64>inner;
  const inverses = statistics + ((<usize>channels) << 2);
  const group = inner == 1 ? 4 : MOST_CHANNELS;
  for (let c = 0; c < channels; c += group) {
    const lanes = min(group, channels - c);
    const start = <usize>c * run;
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      store<f32>(MEAN + (lane << 2), load<f32>(statistics + ((<usize>c + lane) << 2)));
    }
    if (inner == 1) columnGradientSums(rows, row, lanes, x + start, dy + start);
    else planesGradientSums(rows, row, run, lanes, x + start, dy + start);
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const at = (<usize>c + lane) << 2;
      const inverse = <f64>load<f32>(inverses + at);
      const sum = load<f64>(SUMS + (lane << 3));
      const product = load<f64>(SUMS + (lane << 3), SECOND);
      if (dweight) {
        addGradient(dweight + at, product * inverse, accumulateWeight);
        addGradient(dbias + at, sum, accumulateBias);
      }
      const scale = <f64>load<f32>(weight + at) * inverse;
      store<f32>(SCALE + (lane << 2), <f32>scale);
      store<f32>(SHIFT + (lane << 2), <f32>((-scale * sum) / count));
      store<f32>(SLOPE + (lane << 2), <f32>((-scale * inverse * inverse * product) / count));
    }
    if (dx) sendBack(rows, row, run, lanes, x + start, dy + start, dx + start);
  }
}

/** Σ dy and Σ dy (x - MEAN) of a group of planes, into SUMS. */
function planesGradientSums(rows: i32, row: usize, run: usize, lanes: i32, x: usize, dy: usize): void {
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const start = r * row + lane * run;
      for (let at = start; at < start + run; at += SUM_BLOCK) {
        addGradientSums(min(SUM_BLOCK, start + run - at), MEAN + (lane << 2), x + at, dy + at, SUMS + (lane << 3));
      }
    }
  }
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const sums = SUMS + (lane << 3);
    if (!isFinite(load<f64>(sums)) || !isFinite(load<f64>(sums, SECOND))) {
      gradientSumsInDouble(rows, row, run, MEAN + (lane << 2), x + lane * run, dy + lane * run, sums);
    }
  }
}

function gradientSumsInDouble(rows: i32, row: usize, run: usize, mean: usize, x: usize, dy: usize, sums: usize): void {
  const center = <f64>load<f32>(mean);
  let total: f64 = 0;
  let product: f64 = 0;
  for (; rows > 0; rows--, x += row, dy += row) {
    for (let j: usize = 0; j < run; j += 4) {
      const g = <f64>load<f32>(dy + j);
      total += g;
      product += g * (<f64>load<f32>(x + j) - center);
    }
  }
  store<f64>(sums, total);
  store<f64>(sums, product, SECOND);
}

function addGradientSums(bytes: usize, mean: usize, x: usize, dy: usize, sums: usize): void {
  const whole = bytes & ~31;
  gradientTurns(whole, mean, x, dy);
  let total = sumAt(LANES);
  let product = sumAt(LANES + SECOND_LANES);
  const center = load<f32>(mean);
  for (let i = whole; i < bytes; i += 4) {
    const g = load<f32>(dy + i);
    total += <f64>g;
    product += <f64>(g * (load<f32>(x + i) - center));
  }
  store<f64>(sums, load<f64>(sums) + total);
  store<f64>(sums, load<f64>(sums, SECOND) + product, SECOND);
}

/** Σ dy and Σ dy (x - mean) of whole turns, into LANES. */
function gradientTurns(bytes: usize, mean: usize, x: usize, dy: usize): void {
  const center = v128.load32_splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let t0 = s0;
  let t1 = s0;
  for (const end = x + bytes; x < end; x += 32, dy += 32) {
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    s0 = f32x4.add(s0, g0);
    s1 = f32x4.add(s1, g1);
    t0 = multiplyAdd(g0, f32x4.sub(v128.load(x), center), t0);
    t1 = multiplyAdd(g1, f32x4.sub(v128.load(x, 16), center), t1);
  }
  const sums = sumsAddress();
  v128.store(sums, s1, 16);
  v128.store(sums, s0);
  v128.store(sums, t1, 48);
  v128.store(sums, t0, 32);
}

/** The same of four columns, or of the last 1 to 3. */
function columnGradientSums(rows: i32, row: usize, lanes: i32, x: usize, dy: usize): void {
  if (lanes == 4) {
    const lowMean = pair(MEAN);
    const highMean = pair(MEAN + 8);
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let t0 = s0;
    let t1 = s0;
    for (; rows > 0; rows--, x += row, dy += row) {
      const g0 = pair(dy);
      const g1 = pair(dy + 8);
      s0 = f64x2.add(s0, g0);
      s1 = f64x2.add(s1, g1);
      t0 = f64x2.add(t0, f64x2.mul(g0, f64x2.sub(pair(x), lowMean)));
      t1 = f64x2.add(t1, f64x2.mul(g1, f64x2.sub(pair(x + 8), highMean)));
    }
    v128.store(SUMS, s1, 16);
    v128.store(SUMS, s0);
    v128.store(SUMS, t1, SECOND + 16);
    v128.store(SUMS, t0, SECOND);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const mean = <f64>load<f32>(MEAN + (lane << 2));
      let total: f64 = 0;
      let product: f64 = 0;
      let offset = lane << 2;
      for (let r = 0; r < rows; r++, offset += row) {
        const g = <f64>load<f32>(dy + offset);
        total += g;
        product += g * (<f64>load<f32>(x + offset) - mean);
      }
      store<f64>(SUMS + (lane << 3), total);
      store<f64>(SUMS + (lane << 3), product, SECOND);
    }
  }
}

/** dx = SCALE · dy + SHIFT + SLOPE · (x - MEAN) for a group of channels. */
function sendBack(rows: i32, row: usize, run: usize, lanes: i32, x: usize, dy: usize, dx: usize): void {
  if (run == 4) {
    sendColumnsBack(rows, row, lanes, x, dy, dx);
  } else {
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let lane: usize = 0; lane < <usize>lanes; lane++) {
        const at = r * row + lane * run;
        sendRunBack(run, lane << 2, x + at, dy + at, dx + at);
      }
    }
  }
}


@inline
function gradient(x: v128, dy: v128, mean: v128, scale: v128, shift: v128, slope: v128): v128 {
  return multiplyAdd(f32x4.sub(x, mean), slope, multiplyAdd(dy, scale, shift));
}

function sendRunBack(bytes: usize, lane: usize, x: usize, dy: usize, dx: usize): void {
  const mean = v128.load32_splat(MEAN + lane);
  const scale = v128.load32_splat(SCALE + lane);
  const shift = v128.load32_splat(SHIFT + lane);
  const slope = v128.load32_splat(SLOPE + lane);
  const end = x + bytes;
  for (; x + 32 <= end; x += 32) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    const r0 = gradient(x0, g0, mean, scale, shift, slope);
    const r1 = gradient(x1, g1, mean, scale, shift, slope);
    v128.store(dx, r1, 16);
    v128.store(dx, r0);
    dy += 32;
    dx += 32;
  }
  for (; x < end; x += 16) {
    const lanes = min<usize>((end - x) >> 2, 4);
    storeUpTo4(dx, gradient(loadUpTo4(x, lanes), loadUpTo4(dy, lanes), mean, scale, shift, slope), lanes);
    dy += 16;
    dx += 16;
  }
}

function sendColumnsBack(rows: i32, row: usize, lanes: usize, x: usize, dy: usize, dx: usize): void {
  const mean = v128.load(MEAN);
  const scale = v128.load(SCALE);
  const shift = v128.load(SHIFT);
  const slope = v128.load(SLOPE);
  for (; rows > 0; rows--) {
    storeUpTo4(dx, gradient(loadUpTo4(x, lanes), loadUpTo4(dy, lanes), mean, scale, shift, slope), lanes);
    x += row;
    dy += row;
    dx += row;
  }
}
