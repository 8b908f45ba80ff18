import { exp, expm1 } from "../../deterministic-math.js";
import { addSums } from "./reductions.js";
import { Scratch } from "./scratch.js";

const factors = new Scratch();
const slopeSums = new Scratch();
const biasSums = new Scratch();

/**
 * y = x > 0 ? x : slope[c] · x over x[rows, channels, inner]; y may be x.
 *
 * The sign chooses a factor, the slope or 1, from a table: signs are random in training, and a mispredicted branch costs more than
 * all the rest of an element. 1 · x is x for every x.
 */
export function prelu(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  slope: number,
  y: number,
): void {
  const factor = slopeOrOne(f32, channels, slope);
  let q = 0;
  if (inner === 1) {
    for (let i = 0; i < rows; i++) {
      for (let c = 0; c < channels; c++, q++) {
        const value = f32[x + q];
        f32[y + q] = factor[2 * c + +(value > 0)] * value;
      }
    }
    return;
  }
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < channels; c++) {
      for (const end = q + inner; q < end; q++) {
        const value = f32[x + q];
        f32[y + q] = factor[2 * c + +(value > 0)] * value;
      }
    }
  }
}

/**
 * dx = x > 0 ? dy : slope[c] · dy;  dslope[c] (+)= Σ (x > 0 ? 0 : dy · x);  dbias[c] (+)= Σ dx, in one pass.
 * dslope and dbias are optional (0); dx may be dy.
 *
 * Sums are doubles. A channel has two slope sums, one for each factor, and the one of the positive side is dropped: that keeps
 * the pass free of branches without multiplying anything by 0, which would turn infinities into NaN.
 */
export function preluBackward(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  dy: number,
  slope: number,
  dx: number,
  dslope: number,
  accumulateSlope: boolean,
  dbias: number,
  accumulateBias: boolean,
): void {
  const factor = slopeOrOne(f32, channels, slope);
  const bySlope = slopeSums.take(2 * channels);
  bySlope.fill(0, 0, 2 * channels);
  const byBias = biasSums.take(channels);
  byBias.fill(0, 0, channels);
  if (inner === 1) backwardOfRows(f32, rows, channels, x, dy, dx, factor, bySlope, byBias);
  else backwardOfPlanes(f32, rows, channels, inner, x, dy, dx, factor, bySlope, byBias);
  if (dslope !== 0) addSums(f32, channels, bySlope, 2, dslope, accumulateSlope);
  if (dbias !== 0) addSums(f32, channels, byBias, 1, dbias, accumulateBias);
}

/** [rows, channels]: neighbours belong to different channels, so the sums are kept in memory. */
function backwardOfRows(
  f32: Float32Array,
  rows: number,
  channels: number,
  x: number,
  dy: number,
  dx: number,
  factor: Float64Array,
  bySlope: Float64Array,
  byBias: Float64Array,
): void {
  for (let i = 0, q = 0; i < rows; i++) {
    for (let c = 0; c < channels; c++, q++) {
      const value = f32[x + q];
      const upstream = f32[dy + q];
      const side = 2 * c + +(value > 0);
      // Rounded before it is summed: the sum is of the numbers that dx holds, as channelSums would find them.
      const gradient = Math.fround(factor[side] * upstream);
      f32[dx + q] = gradient;
      bySlope[side] += upstream * value;
      byBias[c] += gradient;
    }
  }
}

/** [rows, channels, inner > 1]: a plane has one slope and one sum of gradients, which stay in registers. */
function backwardOfPlanes(
  f32: Float32Array,
  rows: number,
  channels: number,
  inner: number,
  x: number,
  dy: number,
  dx: number,
  factor: Float64Array,
  bySlope: Float64Array,
  byBias: Float64Array,
): void {
  for (let i = 0, q = 0; i < rows; i++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (const end = q + inner; q < end; q++) {
        const value = f32[x + q];
        const upstream = f32[dy + q];
        const side = 2 * c + +(value > 0);
        const gradient = Math.fround(factor[side] * upstream);
        f32[dx + q] = gradient;
        bySlope[side] += upstream * value;
        sum += gradient;
      }
      byBias[c] += sum;
    }
  }
}

/** y = x < 0 ? 0 : x over n elements; y may be x. Bits are kept or cleared by a mask, again to have no branch on a sign. */
export function relu(f32: Float32Array, i32: Int32Array, n: number, x: number, y: number): void {
  for (let i = 0; i < n; i++) i32[y + i] = i32[x + i] & -+!(f32[x + i] < 0);
}

/** dx = x <= 0 ? 0 : dy over n elements; dx may be dy. */
export function reluBackward(f32: Float32Array, i32: Int32Array, n: number, x: number, dy: number, dx: number): void {
  for (let i = 0; i < n; i++) i32[dx + i] = i32[dy + i] & -+!(f32[x + i] <= 0);
}

/** y = x > 0 ? x : alpha · expm1(x); y may be x. */
export function elu(f32: Float32Array, n: number, x: number, alpha: number, y: number): void {
  for (let i = 0; i < n; i++) {
    const value = f32[x + i];
    f32[y + i] = value > 0 ? value : alpha * expm1(value);
  }
}

/** dx = x > 0 ? dy : dy · alpha · exp(x); dx may be dy. */
export function eluBackward(f32: Float32Array, n: number, x: number, dy: number, alpha: number, dx: number): void {
  for (let i = 0; i < n; i++) {
    const value = f32[x + i];
    f32[dx + i] = value > 0 ? f32[dy + i] : f32[dy + i] * (alpha * exp(value));
  }
}

/** y = exp(x); y may be x. */
export function exponential(f32: Float32Array, n: number, x: number, y: number): void {
  for (let i = 0; i < n; i++) f32[y + i] = exp(f32[x + i]);
}

/** [slope, 1] for each channel: the factors of x <= 0 (or NaN) and x > 0. */
function slopeOrOne(f32: Float32Array, channels: number, slope: number): Float64Array {
  const factor = factors.take(2 * channels);
  for (let c = 0; c < channels; c++) {
    factor[2 * c] = f32[slope + c];
    factor[2 * c + 1] = 1;
  }
  return factor;
}
