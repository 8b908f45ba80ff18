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

import { addGradient } from "../reductions";
import { apply, sendBack } from "./apply";
import { columnGradientSums, columnStatistics } from "./columns";
import { MEAN, MOST_CHANNELS, SCALE, SECOND, SHIFT, SLOPE, SUMS, THIRD } from "./group";
import { planesGradientSums, planesStatistics } from "./planes";

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

function keepRunning(target: usize, momentum: f64, value: f64): void {
  store<f32>(target, <f32>(momentum * value + (1 - momentum) * <f64>load<f32>(target)));
}

/** Of spreads whose values' differences float32 holds, whatever the other values are. */
const LEAST_INVERSE: f64 = 1e-34;

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
