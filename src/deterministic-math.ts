/**
 * exp, expm1 and log in double precision with the same bits everywhere. Math's own differ between engines and versions; + - * / and the
 * bits of a number do not. Methods and constants are fdlibm's, with errors below 1 ulp.
 */

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const EXP_OVERFLOW = 709.782712893384;
const EXP_UNDERFLOW = -745.1332191019411;
const MINUS_56_LN2 = -56 * LN2_HIGH;

/** The exponent of the smallest number. */
const MIN_EXPONENT = -1074;

/** Two views of one number. WebAssembly's memory is little-endian, and so are the hosts whose typed arrays can share it. */
const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

/** 2^k for k from -1074 to 1023. A product with a power of two rounds at most once. */
function powerOfTwo(k: number): number {
  if (k < -1022) return Number.MIN_VALUE * powerOfTwo(k - MIN_EXPONENT);
  words[0] = 0;
  words[1] = (k + 1023) << 20;
  return double[0];
}

/**
 * exp(x): x = k · ln 2 + r with |r| <= ln 2 / 2, then exp(r) by a rational approximation and a scaling by 2^k.
 * exp(-Infinity) = 0, overflow gives Infinity, NaN gives NaN.
 */
export function exp(x: number): number {
  if (!(x <= EXP_OVERFLOW)) return x > EXP_OVERFLOW ? Number.POSITIVE_INFINITY : x;
  if (x < EXP_UNDERFLOW) return 0;
  const k = Math.max(Math.floor(Math.LOG2E * x + 0.5), MIN_EXPONENT) | 0;
  // ln 2 in two parts: the first ends in so many zeros that k times it is exact.
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  const t = r * r;
  const c =
    r -
    t *
      (0.16666666666666602 +
        t *
          (-0.0027777777777015593 +
            t * (6.613756321437934e-5 + t * (-1.6533902205465252e-6 + t * 4.1381367970572385e-8))));
  const y = 1 - (low - (r * c) / (2 - c) - high);
  // 2^1024 is not a number, but y · 2^1024 may be one.
  return k < 1024 ? y * powerOfTwo(k) : y * 2 * powerOfTwo(1023);
}

/** exp(x) - 1, to an ulp near 0 too, where the subtraction would lose everything. */
export function expm1(x: number): number {
  if (!(x <= EXP_OVERFLOW)) return x > EXP_OVERFLOW ? Number.POSITIVE_INFINITY : x;
  if (x < MINUS_56_LN2) return -1;
  // Below 2^-54 the result is x, -0 included.
  if (Math.abs(x) < 5.551115123125783e-17) return x;

  let k = 0;
  let r = x;
  // what r lost by rounding, added later
  let lost = 0;
  if (Math.abs(x) > 0.5 * (LN2_HIGH + LN2_LOW)) {
    k = Math.floor(Math.LOG2E * x + 0.5) | 0;
    const high = x - k * LN2_HIGH;
    const low = k * LN2_LOW;
    r = high - low;
    lost = high - r - low;
  }

  const half = 0.5 * r;
  const hx = r * half;
  const r1 =
    1 +
    hx *
      (-0.03333333333333313 +
        hx *
          (0.0015873015872548146 +
            hx * (-7.93650757867488e-5 + hx * (4.008217827329362e-6 + hx * -2.0109921818362437e-7))));
  const t = 3 - r1 * half;
  let e = hx * ((r1 - t) / (6 - r * t));
  if (k === 0) return r - (r * e - hx);

  e = r * (e - lost) - lost - hx;
  // exp(r) - 1 = r - e, and exp(x) - 1 = 2^k · (1 + r - e) - 1. The order of the sums keeps the last bits.
  if (k === -1) return 0.5 * (r - e) - 0.5;
  if (k === 1) return r < -0.25 ? -2 * (e - (r + 0.5)) : 1 + 2 * (r - e);
  if (k === 1024) return (1 - (e - r)) * 2 * powerOfTwo(1023) - 1;
  if (k <= -2 || k > 56) return (1 - (e - r)) * powerOfTwo(k) - 1;
  const inverse = powerOfTwo(-k);
  if (k < 20) return (1 - inverse - (e - r)) * powerOfTwo(k);
  return (r - (e + inverse) + 1) * powerOfTwo(k);
}

/**
 * The natural logarithm: x = 2^k · (1 + f) with sqrt(2) / 2 < 1 + f < sqrt(2), then log(1 + f) by a series in s = f / (2 + f).
 * log(0) = -Infinity, log(Infinity) = Infinity, negative numbers and NaN give NaN.
 */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  if (x === Number.POSITIVE_INFINITY) return x;
  let scaled = 0;
  if (x < 2.2250738585072014e-308) {
    // subnormal: 2^54 times as much is normal, and has an exponent to read
    scaled = 54;
    x *= 18014398509481984;
  }
  double[0] = x;
  const word = words[1];
  // One more where the fraction is above sqrt(2).
  const k = (word >> 20) - 1023 + (((word & 0xfffff) + 0x95f64) >> 20);
  // by a product: writing half of the bits and then reading all stalls the processor
  const f = x * powerOfTwo(-k) - 1;
  const s = f / (2 + f);
  const z = s * s;
  const series =
    z *
    (0.6666666666666735 +
      z *
        (0.3999999999940942 +
          z *
            (0.2857142874366239 +
              z *
                (0.22222198432149784 +
                  z * (0.1818357216161805 + z * (0.15313837699209373 + z * 0.14798198605116586))))));
  const half = 0.5 * f * f;
  const exponent = k - scaled;
  return exponent * LN2_HIGH - (half - (s * (half + series) + exponent * LN2_LOW) - f);
}

/** log(1 + x) for x >= 0, corrected for the rounding of 1 + x (Kahan). */
export function log1p(x: number): number {
  const sum = 1 + x;
  return sum === 1 ? x : log(sum) * (x / (sum - 1));
}

/** base^exponent for an integer exponent >= 0, by repeated squaring; the relative error is below exponent · 2^-53. */
export function integerPower(base: number, exponent: number): number {
  let power = 1;
  let square = base;
  // shifts take only 32 bits
  for (let rest = exponent; rest > 0; rest = rest > MOST_OF_INT32 ? Math.floor(rest / 2) : rest >> 1) {
    if (rest & 1) power *= square;
    square *= square;
  }
  return power;
}

const MOST_OF_INT32 = 0x7fff_ffff;
