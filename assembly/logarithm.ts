const LN2_HIGH: f64 = 0.6931471803691238;
const LN2_LOW: f64 = 1.9082149292705877e-10;

/**
 * The natural logarithm in double of a positive normal number; NaN stays. x = 2^k · (1 + f) with sqrt(2) / 2 < 1 + f < sqrt(2), log(1 + f)
 * by a series in s = f / (2 + f): fdlibm's, below 1 ulp, without the 4 KB of tables that Math.log would bring.
 */
export function log(x: f64): f64 {
  if (x != x) return x;
  const bits = reinterpret<i64>(x);
  // one more where the fraction is above sqrt(2)
  const k = (bits >> 52) - 1023 + (((bits & 0xfffffffffffff) + 0x95f6400000000) >> 52);
  const f = reinterpret<f64>(bits - (k << 52)) - 1;
  const s = f / (2 + f);
  const z = s * s;
  let series: f64 = 0.14798198605116586;
  series = 0.15313837699209373 + z * series;
  series = 0.1818357216161805 + z * series;
  series = 0.22222198432149784 + z * series;
  series = 0.2857142874366239 + z * series;
  series = 0.3999999999940942 + z * series;
  series = z * (0.6666666666666735 + z * series);
  const half = 0.5 * f * f;
  const exponent = <f64>k;
  return exponent * LN2_HIGH - (half - (s * (half + series) + exponent * LN2_LOW) - f);
}
