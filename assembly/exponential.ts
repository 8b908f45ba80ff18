// exp and expm1 on lanes: the same bits on every machine, since they are nothing but float32 additions, multiplications and shifts.
//
//   x = n · ln 2 + r, |r| <= ln 2 / 2;   expm1(r) = r + r² · Q(r), Q of degree 4, minimax for expm1: 0.23 · 2^-24 relative
//   exp(x) = 2^n · (1 + expm1(r));       expm1(x) = 2^n · expm1(r) + (2^n - 1), which keeps its relative accuracy near 0
//
// ln 2 is split in two so that n · high is exact. exp applies 2^n as two factors, which reaches subnormal results and infinity.
// Constants come from static data: V8 would rebuild a splat of a literal at every use.

import { multiplyAdd, multiplyAddExactly, select } from "./lanes";

const TABLE: usize = memory.data<f32>([
  -104.0, 89.0, 1.4426950216293335, 12582912.0, -0.693145751953125, -0.0000014286068203094173, 0.0013870634138584137,
  0.008366255089640617, 0.04166743531823158, 0.1666654646396637, 0.4999999701976776, 1.0, -17.32868003845215,
  12583039.0,
]);

const LOWEST: usize = 0;
const HIGHEST: usize = 4;
const LOG2_E: usize = 8;
const ROUND: usize = 12;
const LN2_HIGH: usize = 16;
const LN2_LOW: usize = 20;
const Q4: usize = 24;
const Q3: usize = 28;
const Q2: usize = 32;
const Q1: usize = 36;
const Q0: usize = 40;
const ONE: usize = 44;
const SATURATED: usize = 48;
const ROUND_BIASED: usize = 52;

/** r of x = n · ln 2 + r. */
@inline
function reduce(x: v128, n: v128): v128 {
  const high = multiplyAdd(n, v128.load32_splat(TABLE, LN2_HIGH), x);
  return multiplyAdd(n, v128.load32_splat(TABLE, LN2_LOW), high);
}

/** Q(r) · r */
@inline
function tail(r: v128): v128 {
  let q = multiplyAdd(v128.load32_splat(TABLE, Q4), r, v128.load32_splat(TABLE, Q3));
  q = multiplyAdd(q, r, v128.load32_splat(TABLE, Q2));
  q = multiplyAdd(q, r, v128.load32_splat(TABLE, Q1));
  q = multiplyAdd(q, r, v128.load32_splat(TABLE, Q0));
  return f32x4.mul(q, r);
}

/** 1 in every lane. */
@inline
export function ones(): v128 {
  return v128.load32_splat(TABLE, ONE);
}

/** exp of four lanes; NaN stays NaN, below -104 is 0, above 89 is Infinity. */
@inline
export function exp(x: v128): v128 {
  // pmax(a, b) is a < b ? b : a, so that a NaN in a stays
  x = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(TABLE, LOWEST)), v128.load32_splat(TABLE, HIGHEST));
  // adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits
  const round = v128.load32_splat(TABLE, ROUND);
  const shifted = multiplyAdd(x, v128.load32_splat(TABLE, LOG2_E), round);
  const r = reduce(x, f32x4.sub(shifted, round));
  const one = v128.load32_splat(TABLE, ONE);
  const p = f32x4.add(multiplyAdd(tail(r), r, r), one);
  const exponent = i32x4.sub(shifted, round);
  const half = i32x4.shr_s(exponent, 1);
  const first = i32x4.add(i32x4.shl(half, 23), one);
  const second = i32x4.add(i32x4.shl(i32x4.sub(exponent, half), 23), one);
  return f32x4.mul(f32x4.mul(p, first), second);
}

/** expm1 of lanes <= 0; NaN stays, -0 gives 0, below -17.33 the result is -1 in float32. Positive lanes give arbitrary values. */
@inline
export function expm1OfNegative(x: v128): v128 {
  const clamped = f32x4.pmax(x, v128.load32_splat(TABLE, SATURATED));
  // with 127 added to the integer, shifting it into the exponent gives 2^n at once
  const round = v128.load32_splat(TABLE, ROUND_BIASED);
  const shifted = multiplyAdd(clamped, v128.load32_splat(TABLE, LOG2_E), round);
  const power = i32x4.shl(shifted, 23);
  const r = reduce(clamped, f32x4.sub(shifted, round));
  const scaled = f32x4.mul(r, power);
  return f32x4.add(multiplyAdd(tail(r), scaled, scaled), f32x4.sub(power, v128.load32_splat(TABLE, ONE)));
}

/** The polynomial in x with nine coefficients, highest power first. Also for random draws, so it rounds alike in every build. */
@inline
export function polynomial(TABLE: usize, x: v128): v128 {
  let y = multiplyAddExactly(v128.load32_splat(TABLE), x, v128.load32_splat(TABLE, 4));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 8));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 12));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 16));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 20));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 24));
  y = multiplyAddExactly(y, x, v128.load32_splat(TABLE, 28));
  return multiplyAddExactly(y, x, v128.load32_splat(TABLE, 32));
}

/** f³ · P(f), which Cephes' logf adds to f - f² / 2 for log(1 + f), f in sqrt(1/2) - 1 .. sqrt(2) - 1. `square` is f². */
@inline
export function logCubic(f: v128, square: v128): v128 {
  return f32x4.mul(f32x4.mul(polynomial(LOG_TABLE + 8, f), f), square);
}

/**
 * log(1 + u) for u in 0 .. 1, NaN stays: a polynomial in f = u up to sqrt(2) - 1 and in f = (u - 1) / 2 above, where ln 2 is added
 * (f - f² / 2 + f³ · P(f)). Near 0 it keeps its relative accuracy.
 */
@inline
export function log1pOfUnit(u: v128): v128 {
  const isHigh = f32x4.gt(u, v128.load32_splat(LOG_TABLE));
  const half = v128.load32_splat(LOG_TABLE, 4);
  const f = select(isHigh, multiplyAdd(u, half, f32x4.neg(half)), u);
  const square = f32x4.mul(f, f);
  const correction = f32x4.sub(logCubic(f, square), f32x4.mul(half, square));
  const y = f32x4.add(f, correction);
  return select(isHigh, f32x4.add(y, v128.load32_splat(LOG_TABLE, 44)), y);
}

const LOG_TABLE: usize = memory.data<f32>([
  0.41421356237, 0.5, 0.070376836292, -0.1151461031, 0.116769987, -0.1242014084, 0.14249323, -0.16668057, 0.20000714,
  -0.24999993, 0.33333331, 0.6931471805599453,
]);
