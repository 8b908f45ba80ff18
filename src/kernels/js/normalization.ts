import { addSums, channelTotals } from "./reductions.js";
import { Scratch } from "./scratch.js";

const means = new Scratch();
const scales = new Scratch();
const shifts = new Scratch();
const slopes = new Scratch();
const sums = new Scratch();
const secondSums = new Scratch();

/**
 * Batch normalisation over x[rows, channels, inner] by the statistics of this batch; y may be x.
 *
 * Two passes, the mean and then the squares around it, in double: the squares of the values themselves would cancel where a
 * channel's offset is much larger than its spread. An element of y is computed in double from unrounded statistics.
 */
export function batchNorm(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  weight: number,
  bias: number,
  eps: number,
  momentum: number,
  runningMean: number,
  runningVariance: number,
  statistics: number,
  y: number,
): void {
  const count = rows * inner;
  const mean = means.take(channels);
  const scale = scales.take(channels);
  const shift = shifts.take(channels);
  channelTotals(f32, rows, channels, inner, x, mean);
  for (let c = 0; c < channels; c++) mean[c] /= count;
  const squares = sums.take(channels);
  centredSquares(f32, rows, channels, inner, x, mean, squares);
  for (let c = 0; c < channels; c++) {
    const variance = squares[c] / count + eps;
    // PyTorch's: a constant channel's deviations, which are 0, stay 0
    const inverse = variance === 0 ? 0 : 1 / Math.sqrt(variance);
    f32[statistics + c] = mean[c];
    f32[statistics + channels + c] = inverse;
    f32[runningMean + c] = (1 - momentum) * f32[runningMean + c] + momentum * mean[c];
    f32[runningVariance + c] = (1 - momentum) * f32[runningVariance + c] + momentum * (squares[c] / (count - 1));
    scale[c] = f32[weight + c] * inverse;
    shift[c] = f32[bias + c];
  }
  apply(f32, rows, channels, inner, x, mean, scale, shift, y);
}

/** The same by given statistics; y may be x. */
export function normalize(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  weight: number,
  bias: number,
  eps: number,
  mean: number,
  variance: number,
  y: number,
): void {
  const centre = means.take(channels);
  const scale = scales.take(channels);
  const shift = shifts.take(channels);
  for (let c = 0; c < channels; c++) {
    const factor = f32[weight + c] / Math.sqrt(f32[variance + c] + eps);
    // Infinite, of a variance of 0: PyTorch's order says what is infinite and what NaN.
    const isApart = Number.isFinite(factor);
    centre[c] = isApart ? f32[mean + c] : 0;
    scale[c] = factor;
    shift[c] = isApart ? f32[bias + c] : f32[bias + c] - f32[mean + c] * factor;
  }
  apply(f32, rows, channels, inner, x, centre, scale, shift, y);
}

/** y = (x - mean) · scale + shift */
function apply(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  mean: Float64Array,
  scale: Float64Array,
  shift: Float64Array,
  y: number,
): void {
  let q = 0;
  for (let i = 0; i < rows; i++) {
    if (inner === 1) {
      for (let c = 0; c < channels; c++, q++) f32[y + q] = (f32[x + q] - mean[c]) * scale[c] + shift[c];
      continue;
    }
    for (let c = 0; c < channels; c++) {
      const m = mean[c];
      const factor = scale[c];
      const addend = shift[c];
      for (const end = q + inner; q < end; q++) f32[y + q] = (f32[x + q] - m) * factor + addend;
    }
  }
}

/** squares[c] = Σ (x - mean[c])² */
function centredSquares(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  mean: Float64Array,
  squares: Float64Array,
): void {
  squares.fill(0, 0, channels);
  let q = x;
  for (let i = 0; i < rows; i++) {
    if (inner === 1) {
      for (let c = 0; c < channels; c++, q++) {
        const distance = f32[q] - mean[c];
        squares[c] += distance * distance;
      }
      continue;
    }
    for (let c = 0; c < channels; c++) {
      const m = mean[c];
      // Four sums, because one alone waits for the latency of its additions.
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      const end = q + inner;
      for (; q + 4 <= end; q += 4) {
        const d0 = f32[q] - m;
        const d1 = f32[q + 1] - m;
        const d2 = f32[q + 2] - m;
        const d3 = f32[q + 3] - m;
        s0 += d0 * d0;
        s1 += d1 * d1;
        s2 += d2 * d2;
        s3 += d3 * d3;
      }
      for (; q < end; q++) {
        const distance = f32[q] - m;
        s0 += distance * distance;
      }
      squares[c] += s0 + s1 + (s2 + s3);
    }
  }
}

/**
 * The messages back through `batchNorm`, from its rounded `statistics`. dx, and dweight with dbias, are optional (0); dx may be dy.
 *
 *   dx = scale · dy + shift + slope · (x - mean) with scale = weight · inverse, shift = -scale · Σ dy / count,
 *   slope = -scale · inverse² · Σ dy (x - mean) / count
 */
export function batchNormBackward(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  dy: number,
  weight: number,
  statistics: number,
  dx: number,
  dweight: number,
  accumulateWeight: boolean,
  dbias: number,
  accumulateBias: boolean,
): void {
  const count = rows * inner;
  const mean = means.take(channels);
  const scale = scales.take(channels);
  const shift = shifts.take(channels);
  const slope = slopes.take(channels);
  const upstreamSums = sums.take(channels);
  const weightSums = secondSums.take(channels);
  for (let c = 0; c < channels; c++) mean[c] = f32[statistics + c];
  gradientSums(f32, rows, channels, inner, x, dy, mean, upstreamSums, weightSums);
  for (let c = 0; c < channels; c++) {
    const inverse = f32[statistics + channels + c];
    weightSums[c] *= inverse;
    scale[c] = f32[weight + c] * inverse;
    shift[c] = (-scale[c] * upstreamSums[c]) / count;
    slope[c] = (-scale[c] * inverse * weightSums[c]) / count;
  }
  if (dx !== 0) sendBack(f32, rows, channels, inner, x, dy, mean, scale, shift, slope, dx);
  if (dweight !== 0) addSums(f32, channels, weightSums, 1, dweight, accumulateWeight);
  if (dbias !== 0) addSums(f32, channels, upstreamSums, 1, dbias, accumulateBias);
}

/** byBias[c] = Σ dy, byWeight[c] = Σ dy (x - mean[c]) */
function gradientSums(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  dy: number,
  mean: Float64Array,
  byBias: Float64Array,
  byWeight: Float64Array,
): void {
  byBias.fill(0, 0, channels);
  byWeight.fill(0, 0, channels);
  let q = 0;
  for (let i = 0; i < rows; i++) {
    if (inner === 1) {
      for (let c = 0; c < channels; c++, q++) {
        const upstream = f32[dy + q];
        byBias[c] += upstream;
        byWeight[c] += upstream * (f32[x + q] - mean[c]);
      }
      continue;
    }
    for (let c = 0; c < channels; c++) {
      const m = mean[c];
      let s0 = 0;
      let s1 = 0;
      let t0 = 0;
      let t1 = 0;
      const end = q + inner;
      for (; q + 2 <= end; q += 2) {
        const g0 = f32[dy + q];
        const g1 = f32[dy + q + 1];
        s0 += g0;
        s1 += g1;
        t0 += g0 * (f32[x + q] - m);
        t1 += g1 * (f32[x + q + 1] - m);
      }
      for (; q < end; q++) {
        const upstream = f32[dy + q];
        s0 += upstream;
        t0 += upstream * (f32[x + q] - m);
      }
      byBias[c] += s0 + s1;
      byWeight[c] += t0 + t1;
    }
  }
}

/** dx = scale · dy + shift + slope · (x - mean) */
function sendBack(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  dy: number,
  mean: Float64Array,
  scale: Float64Array,
  shift: Float64Array,
  slope: Float64Array,
  dx: number,
): void {
  let q = 0;
  for (let i = 0; i < rows; i++) {
    if (inner === 1) {
      for (let c = 0; c < channels; c++, q++) {
        f32[dx + q] = scale[c] * f32[dy + q] + shift[c] + slope[c] * (f32[x + q] - mean[c]);
      }
      continue;
    }
    for (let c = 0; c < channels; c++) {
      const m = mean[c];
      const factor = scale[c];
      const addend = shift[c];
      const steepness = slope[c];
      for (const end = q + inner; q < end; q++) {
        f32[dx + q] = factor * f32[dy + q] + addend + steepness * (f32[x + q] - m);
      }
    }
  }
}
