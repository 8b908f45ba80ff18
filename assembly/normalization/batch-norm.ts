// Batch normalisation of x[rows, channels, inner]; count = rows · inner values a channel.
//
//   forward   mean = Σ x / count;  variance = Σ (x - mean)² / count;  inverse = 1 / sqrt(variance + eps)
//             y = (x - mean) · scale + shift with scale = weight · inverse, shift = bias
//   backward  dx = scale · (dy - Σ dy / count - (x - mean) · inverse² · Σ dy (x - mean) / count)
//
// inner > 1: planes (planes.ts); inner = 1: columns (columns.ts). The second pass, over the deviations, refines the mean as well.
// Deviations are taken from the mean rounded to float32; what that loses is in double in the variance and in the shift.

import { addGradient, SHARE_COLUMNS } from "../reductions";
import { own, shareFrom, shareTo } from "../thread";
import { applyBackward, applyForward } from "./apply";
import { columnGradientSums, columnStatistics } from "./columns";
import {
  count,
  groupSize,
  isColumns,
  MEAN,
  planeBytes,
  SCALE,
  SECOND,
  setSizes,
  SHIFT,
  SLOPE,
  startGroup,
  SUMS,
  UNREFINED,
} from "./group";
import { planesGradientSums, planesStatistics } from "./planes";

export function batchNorm(
  rows: i32,
  channels: usize,
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
  setSizes(rows, channels, inner);
  const inverses = statistics + (channels << 2);
  const end = endOfShare(channels);
  for (let first = startOfShare(channels); first < end; first += groupSize) {
    startGroup(end - first);
    const start = first * planeBytes;
    if (isColumns) columnStatistics(x + start);
    else planesStatistics(x + start, count * eps);
    for (let c: usize = 0; c < groupSize; c++) {
      const at = (first + c) << 2;
      const sums = own(SUMS) + (c << 3);
      const mean = load<f64>(sums);
      const squares = load<f64>(sums, SECOND);
      const variance = squares / count;
      // as in PyTorch: the deviations of a constant channel, which are 0, stay 0
      const inverse = variance + eps == 0 ? 0 : 1 / Math.sqrt(variance + eps);
      keepRunning(runningMean + at, momentum, exactMean(load<f64>(sums, UNREFINED), mean, variance));
      keepRunning(runningVariance + at, momentum, squares / (count - 1));
      store<f32>(statistics + at, <f32>mean);
      store<f32>(inverses + at, <f32>inverse);
      setAffine(c << 2, mean, inverse, weight + at, bias + at);
    }
    applyForward(x + start, y + start);
  }
}

/** With a given mean and variance. */
export function normalize(
  rows: i32,
  channels: usize,
  inner: i32,
  x: usize,
  weight: usize,
  bias: usize,
  eps: f64,
  mean: usize,
  variance: usize,
  y: usize,
): void {
  setSizes(rows, channels, inner);
  const end = endOfShare(channels);
  for (let first = startOfShare(channels); first < end; first += groupSize) {
    startGroup(end - first);
    for (let c: usize = 0; c < groupSize; c++) {
      const at = (first + c) << 2;
      const inverse = 1 / Math.sqrt(<f64>load<f32>(variance + at) + eps);
      setAffine(c << 2, <f64>load<f32>(mean + at), inverse, weight + at, bias + at);
    }
    applyForward(x + first * planeBytes, y + first * planeBytes);
  }
}

/** dweight[c] (+)= inverse · Σ dy (x - mean);  dbias[c] (+)= Σ dy. Addresses of 0 leave dx, or both gradients, out. */
export function batchNormBackward(
  rows: i32,
  channels: usize,
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
  setSizes(rows, channels, inner);
  const inverses = statistics + (channels << 2);
  const end = endOfShare(channels);
  for (let first = startOfShare(channels); first < end; first += groupSize) {
    startGroup(end - first);
    const start = first * planeBytes;
    for (let c: usize = 0; c < groupSize; c++) {
      store<f32>(own(MEAN) + (c << 2), load<f32>(statistics + ((first + c) << 2)));
    }
    if (isColumns) columnGradientSums(x + start, dy + start);
    else planesGradientSums(x + start, dy + start);
    for (let c: usize = 0; c < groupSize; c++) {
      const at = (first + c) << 2;
      const inverse = <f64>load<f32>(inverses + at);
      const sum = load<f64>(own(SUMS) + (c << 3));
      const product = load<f64>(own(SUMS) + (c << 3), SECOND);
      if (dweight) {
        addGradient(dweight + at, product * inverse, accumulateWeight);
        addGradient(dbias + at, sum, accumulateBias);
      }
      const scale = <f64>load<f32>(weight + at) * inverse;
      store<f32>(own(SCALE) + (c << 2), <f32>scale);
      store<f32>(own(SHIFT) + (c << 2), <f32>((-scale * sum) / count));
      store<f32>(own(SLOPE) + (c << 2), <f32>((-scale * inverse * inverse * product) / count));
    }
    if (dx) applyBackward(x + start, dy + start, dx + start);
  }
}

/** Channels from here on are this share's. */
function startOfShare(channels: usize): usize {
  return shareFrom(<i32>channels, isColumns ? SHARE_COLUMNS : 1);
}

function endOfShare(channels: usize): usize {
  return shareTo(<i32>channels, isColumns ? SHARE_COLUMNS : 1);
}

/** The part of a spread that float32 rounds away. */
const ROUNDING: f64 = 1.2e-7;

/**
 * The mean for the running statistics. Σ x / count is exact for integers; the refined mean is not, since its deviations are rounded. The
 * refined mean is taken where Σ x / count is further off than that.
 */
@inline
function exactMean(summed: f64, refined: f64, variance: f64): f64 {
  const off = (summed - refined) / ROUNDING;
  return off * off <= variance ? summed : refined;
}

function keepRunning(target: usize, momentum: f64, value: f64): void {
  store<f32>(target, <f32>(momentum * value + (1 - momentum) * <f64>load<f32>(target)));
}

/** With a smaller inverse, deviations may exceed float32. */
const LEAST_INVERSE: f64 = 1e-34;

/**
 * Sets MEAN, SCALE and SHIFT of a channel. Where deviations may overflow, or the scale has overflowed, y is x · SCALE + SHIFT as in
 * PyTorch, with PyTorch's results at an infinite scale.
 */
function setAffine(channel: usize, mean: f64, inverse: f64, weight: usize, bias: usize): void {
  const scale = <f64>load<f32>(weight) * inverse;
  const rounded = <f32>mean;
  const lost = isFinite(rounded) ? mean - <f64>rounded : 0;
  const isApart = inverse > LEAST_INVERSE && isFinite(<f32>scale);
  store<f32>(own(MEAN) + channel, isApart ? rounded : 0);
  store<f32>(own(SCALE) + channel, <f32>scale);
  store<f32>(own(SHIFT) + channel, <f32>(<f64>load<f32>(bias) - (isApart ? lost : mean) * scale));
}
