// exp on lanes: the same bits on every machine, since it is nothing but float32 additions, multiplications and shifts.
//
//   x = n · ln 2 + r, |r| <= ln 2 / 2;   exp(x) = 2^n · P(r), P of degree 6 (minimax on that interval)
//
// ln 2 is split in two so that n · high is exact. 2^n is applied as two factors, which reaches subnormal results and infinity.
// Constants come from static data: V8 would rebuild a splat of a literal at every use.

import { multiplyAdd } from "./lanes";

const TABLE: usize = memory.data<f32>([
  -104.0, 89.0, 1.4426950216293335, 12582912.0, -0.693145751953125, -0.0000014286068203094173, 0.0013867403147742152,
  0.008366529457271099, 0.041668035089969635, 0.16666455566883087, 0.4999999701976776, 1.0,
]);

/** exp of four lanes; NaN stays NaN, below -104 is 0, above 89 is Infinity. */
@inline
export function exp(x: v128): v128 {
  // pmax(a, b) is a < b ? b : a, so that a NaN in a stays
  x = f32x4.pmin(f32x4.pmax(x, v128.load32_splat(TABLE)), v128.load32_splat(TABLE, 4));
  const magic = v128.load32_splat(TABLE, 12);
  // adding 1.5 · 2^23 rounds to an integer, which then stands in the low bits
  const shifted = multiplyAdd(x, v128.load32_splat(TABLE, 8), magic);
  const n = f32x4.sub(shifted, magic);
  const r = multiplyAdd(n, v128.load32_splat(TABLE, 20), multiplyAdd(n, v128.load32_splat(TABLE, 16), x));
  let p = multiplyAdd(v128.load32_splat(TABLE, 24), r, v128.load32_splat(TABLE, 28));
  p = multiplyAdd(p, r, v128.load32_splat(TABLE, 32));
  p = multiplyAdd(p, r, v128.load32_splat(TABLE, 36));
  p = multiplyAdd(p, r, v128.load32_splat(TABLE, 40));
  const one = v128.load32_splat(TABLE, 44);
  p = multiplyAdd(p, r, one);
  p = multiplyAdd(p, r, one);
  const exponent = i32x4.sub(shifted, magic);
  const half = i32x4.shr_s(exponent, 1);
  const first = i32x4.add(i32x4.shl(half, 23), one);
  const second = i32x4.add(i32x4.shl(i32x4.sub(exponent, half), 23), one);
  return f32x4.mul(f32x4.mul(p, first), second);
}
