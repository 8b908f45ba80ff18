// Activations without parameters to learn: one loop for y = f(x), one for dx from x and dy. A class stands for the function f.

import { exp, expm1OfNegative } from "../exponential";
import { select, storeFour } from "../lanes";
import { constantLanes, overStrips, setConstant, STRIP } from "../vector-loop";

class Relu {}
class Elu {}
class Exponential {}

/** f of four lanes. */
@inline
function apply<F>(x: v128, alpha: v128, zero: v128): v128 {
  if (idof<F>() == idof<Relu>()) return v128.andnot(x, f32x4.lt(x, zero));
  if (idof<F>() == idof<Exponential>()) return exp(x);
  // the selection drops the exponential of positive lanes, whatever it is
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
