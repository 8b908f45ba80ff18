import { type Key, threefry } from "../../random.js";

/** Elements drawn at a time; a multiple of eight. */
const BLOCK = 256;
const drawn = new Uint32Array(BLOCK);
const pair = new Uint32Array(2);

/**
 * The words of the elements from `start` (a multiple of BLOCK) on, at most `count` rounded up to eight, into `drawn`. Elements
 * 8j + i and 8j + 4 + i (i = 0 .. 3) get the two words of counter 4j + i.
 */
function draw(key: Key, start: number, count: number): void {
  for (let i = 0, counter = start / 2; i < count; i += 8, counter += 4) {
    for (let lane = 0; lane < 4; lane++) {
      threefry(key, counter + lane, 0, pair);
      drawn[i + lane] = pair[0];
      drawn[i + 4 + lane] = pair[1];
    }
  }
}

const { fround } = Math;

const multiplyAdd = (a: number, b: number, c: number): number => fround(c + fround(a * b));

/** c[0] x^n + ... + c[n], by Horner's rule in float32. */
function polynomial(coefficients: Float32Array, x: number): number {
  let p = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) p = multiplyAdd(p, x, coefficients[i]);
  return p;
}

/** Uniform on [low, low + span). */
export function uniform(
  f32: Float32Array,
  n: number,
  x: number,
  key0: number,
  key1: number,
  low: number,
  span: number,
): void {
  const key = { key0, key1 };
  const base = fround(low);
  const scale = fround(span);
  for (let start = 0; start < n; start += BLOCK) {
    const count = Math.min(BLOCK, n - start);
    draw(key, start, count);
    for (let i = 0; i < count; i++) {
      f32[x + start + i] = multiplyAdd((drawn[i] >>> 8) * 5.9604644775390625e-8, scale, base);
    }
  }
}

const NEAR = Float32Array.of(
  2.81022636e-8,
  3.43273939e-7,
  -3.5233877e-6,
  -4.39150654e-6,
  0.00021858087,
  -0.00125372503,
  -0.00417768164,
  0.246640727,
  1.50140941,
);

const FAR = Float32Array.of(
  -0.000200214257,
  0.000100950558,
  0.00134934322,
  -0.00367342844,
  0.00573950773,
  -0.0076224613,
  0.00943887047,
  1.00167406,
  2.83297682,
);

const LOG = Float32Array.of(
  0.070376836292,
  -0.1151461031,
  0.116769987,
  -0.1242014084,
  0.14249323,
  -0.16668057,
  0.20000714,
  -0.24999993,
  0.33333331,
);

const LOG_2 = fround(0.693359375);
const LOG_2_REST = fround(-0.000212194440054691);

/** Normal with mean 0: std · sqrt(2) · erfinv(v), v symmetric on (-1, 1). */
export function normal(f32: Float32Array, n: number, x: number, key0: number, key1: number, std: number): void {
  const key = { key0, key1 };
  const scale = fround(fround(std) * fround(Math.SQRT2));
  for (let start = 0; start < n; start += BLOCK) {
    const count = Math.min(BLOCK, n - start);
    draw(key, start, count);
    for (let i = 0; i < count; i++) f32[x + start + i] = fround(standardNormal(drawn[i]) * scale);
  }
}

/** sqrt(1 / 2) of a normal draw with standard deviation 1. */
function standardNormal(word: number): number {
  const v = fround(fround(((word >>> 9) + 0.5) * 2.384185791015625e-7) - 1);
  const w = -logOf(fround(fround(1 - v) * fround(1 + v)));
  const p = w < 5 ? polynomial(NEAR, fround(w - 2.5)) : polynomial(FAR, fround(fround(Math.sqrt(w)) - 3));
  return fround(p * v);
}

/** y[i] = x[i] · (0 where the upper 24 bits of the element's word are below `threshold`, else scale); y may be x. */
export function dropout(
  f32: Float32Array,
  n: number,
  x: number,
  key0: number,
  key1: number,
  threshold: number,
  scale: number,
  y: number,
): void {
  const key = { key0, key1 };
  factors[1] = scale;
  for (let start = 0; start < n; start += BLOCK) {
    const count = Math.min(BLOCK, n - start);
    draw(key, start, count);
    // From a table: what is kept is random, and a mispredicted branch costs more than a product.
    for (let i = 0; i < count; i++) {
      f32[y + start + i] = f32[x + start + i] * factors[+(drawn[i] >>> 8 >= threshold)];
    }
  }
}

/** [0, scale], of which the second is a float32 as for the other kernels. */
const factors = new Float32Array(2);

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Natural logarithm of a positive normal float32. */
function logOf(x: number): number {
  float[0] = x;
  const shifted = bits[0] - 0x3f3504f3;
  const e = shifted >> 23;
  bits[0] = (shifted & 0x007fffff) + 0x3f3504f3;
  const f = fround(float[0] - 1);
  const square = fround(f * f);
  let y = fround(fround(polynomial(LOG, f) * f) * square);
  y = multiplyAdd(e, LOG_2_REST, y);
  y = multiplyAdd(square, -0.5, y);
  return multiplyAdd(e, LOG_2, fround(f + y));
}
