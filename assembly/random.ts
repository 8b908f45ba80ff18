// Random numbers by position: element i of a buffer depends on the key and on i alone, not on the kernel set or on a split over threads. So
// the relaxed build rounds as the other does.
//
// Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): additions, rotations and
// exclusive ors only. Four counters (4j .. 4j + 3, 0) at a time give two vectors of words: the first is for elements 8j .. 8j + 3,
// the second for 8j + 4 .. 8j + 7.

import { logCubic, ones, polynomial } from "./exponential";
import { multiplyAddExactly, select, storeFour, storePair } from "./lanes";
import { own } from "./thread";
import { constantLanes, overStrips, setConstant, StripLoop } from "./vector-loop";

const PARITY: i32 = 0x1bd11bda;

/** The words of 64 elements, and their bytes. */
const WORDS: usize = memory.data(256, 16);
const FLOATS: i32 = 64;
const BYTES: usize = 256;
/** Two blocks of words, those of one kind side by side. */
const PAIRS: usize = memory.data(64, 16);
const KEYS: usize = memory.data(32, 16);
const COUNTERS: usize = memory.data<i32>([0, 1, 2, 3, 4, 5, 6, 7], 16);


@inline
function rotate(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

/** The words of counters 4j .. 4j + 7, into PAIRS: (x0, x1) and (y0, y1) go through the same steps side by side. */
function threefry(j: i32, key0: i32, key1: i32): void {
  const start = i32x4.splat((j << 2) + key0);
  let x0 = i32x4.add(start, v128.load(COUNTERS));
  let y0 = i32x4.add(start, v128.load(COUNTERS, 16));
  // from memory: as constants, V8 would compute the first steps once for both, and not merge the pairs
  let x1 = v128.load(own(KEYS));
  let y1 = v128.load(own(KEYS), 16);
  let a = key1;
  let b = key0 ^ key1 ^ PARITY;
  let c = key0;
  for (let group = 1; ; group += 2) {
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 13), x0);
    y1 = v128.xor(rotate(y1, 13), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 15), x0);
    y1 = v128.xor(rotate(y1, 15), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 26), x0);
    y1 = v128.xor(rotate(y1, 26), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 6), x0);
    y1 = v128.xor(rotate(y1, 6), y0);
    x0 = i32x4.add(x0, i32x4.splat(a));
    y0 = i32x4.add(y0, i32x4.splat(a));
    x1 = i32x4.add(x1, i32x4.splat(b + group));
    y1 = i32x4.add(y1, i32x4.splat(b + group));
    if (group == 5) break;
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 17), x0);
    y1 = v128.xor(rotate(y1, 17), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 29), x0);
    y1 = v128.xor(rotate(y1, 29), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 16), x0);
    y1 = v128.xor(rotate(y1, 16), y0);
    x0 = i32x4.add(x0, x1);
    y0 = i32x4.add(y0, y1);
    x1 = v128.xor(rotate(x1, 24), x0);
    y1 = v128.xor(rotate(y1, 24), y0);
    x0 = i32x4.add(x0, i32x4.splat(b));
    y0 = i32x4.add(y0, i32x4.splat(b));
    x1 = i32x4.add(x1, i32x4.splat(c + group + 1));
    y1 = i32x4.add(y1, i32x4.splat(c + group + 1));
    const next = a;
    a = c;
    c = b;
    b = next;
  }
  const pairs = own(PAIRS);
  storeFour(pairs, x0, y0, x1, y1);
}

/** The words of `count` elements from the i-th, a multiple of 16, into WORDS. */
function drawWords(i: i32, count: i32, key0: i32, key1: i32): void {
  v128.store(own(KEYS), i32x4.splat(key1));
  v128.store(own(KEYS), i32x4.splat(key1), 16);
  for (let at = own(WORDS); count > 0; at += 64, i += 16, count -= 16) {
    threefry(i >> 3, key0, key1);
    v128.store(at, v128.load(own(PAIRS)));
    v128.store(at, v128.load(own(PAIRS), 32), 16);
    v128.store(at, v128.load(own(PAIRS), 16), 32);
    v128.store(at, v128.load(own(PAIRS), 48), 48);
  }
}

/** Runs a loop over n floats of `result`, their words, and those of `x` where it is not 0. */
function overWords(loop: StripLoop, n: i32, key0: i32, key1: i32, result: usize, x: usize): void {
  for (let i = 0; i < n; i += FLOATS) {
    const count = min(n - i, FLOATS);
    drawWords(i, count, key0, key1);
    overStrips(loop, count, 1, result, own(WORDS), x, 0, 0);
    result += BYTES;
    if (x) x += BYTES;
  }
}

/** Uniform on [low, low + span): low + span · u, u the upper 24 bits of a word. */
export function uniform(n: i32, x: usize, key0: i32, key1: i32, low: f32, span: f32): void {
  setConstant<f32>(0, low);
  setConstant<f32>(1, span);
  overWords(uniformStrips, n, key0, key1, x, 0);
}

function uniformStrips(bytes: usize, x: usize, words: usize, _c: usize, _d: usize, _e: usize): void {
  const low = constantLanes(0);
  const span = constantLanes(1);
  for (const end = x + bytes; x < end; x += 32, words += 32) {
    const x0 = uniformLanes(v128.load(words), low, span);
    const x1 = uniformLanes(v128.load(words, 16), low, span);
    storePair(x, x0, x1);
  }
}


@inline
function uniformLanes(word: v128, low: v128, span: v128): v128 {
  const u = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(word, 8)), f32x4.splat(5.9604644775390625e-8));
  return multiplyAddExactly(u, span, low);
}

/** y[i] = x[i] · (0 where the upper 24 bits of the i-th word are below `threshold`, else factor). */
export function dropout(n: i32, x: usize, key0: i32, key1: i32, threshold: i32, factor: f32, y: usize): void {
  setConstant<i32>(0, threshold);
  setConstant<f32>(1, factor);
  overWords(dropoutStrips, n, key0, key1, y, x);
}

function dropoutStrips(bytes: usize, y: usize, words: usize, x: usize, _d: usize, _e: usize): void {
  const threshold = constantLanes(0);
  const factor = constantLanes(1);
  for (const end = y + bytes; y < end; y += 32, x += 32, words += 32) {
    const keeps0 = i32x4.ge_s(i32x4.shr_u(v128.load(words), 8), threshold);
    const keeps1 = i32x4.ge_s(i32x4.shr_u(v128.load(words, 16), 8), threshold);
    const y0 = f32x4.mul(v128.load(x), v128.and(keeps0, factor));
    const y1 = f32x4.mul(v128.load(x, 16), v128.and(keeps1, factor));
    storePair(y, y0, y1);
  }
}

/**
 * Normal with mean 0: std · sqrt(2) · erfinv(v), v symmetric on (-1, 1) from the upper 23 bits of a word. erfinv is Giles' single
 * precision approximation ("Approximating the erfinv function", 2012); the farthest draw is 5.2 standard deviations out.
 */
export function normal(n: i32, x: usize, key0: i32, key1: i32, std: f32): void {
  setConstant<f32>(0, std * <f32>1.4142135623730951);
  overWords(normalStrips, n, key0, key1, x, 0);
}

function normalStrips(bytes: usize, x: usize, words: usize, _c: usize, _d: usize, _e: usize): void {
  const scale = constantLanes(0);
  for (const end = x + bytes; x < end; x += 32, words += 32) {
    const x0 = normalLanes(v128.load(words), scale);
    const x1 = normalLanes(v128.load(words, 16), scale);
    storePair(x, x0, x1);
  }
}

const NEAR: usize = memory.data<f32>([
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
]);
const FAR: usize = memory.data<f32>([
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682,
]);


@inline
function normalLanes(word: v128, scale: v128): v128 {
  const one = ones();
  const bits = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(word, 9)), f32x4.splat(0.5));
  const v = f32x4.sub(f32x4.mul(bits, f32x4.splat(2.384185791015625e-7)), one);
  const w = f32x4.neg(log(f32x4.mul(f32x4.sub(one, v), f32x4.add(one, v))));

  const near = f32x4.sub(w, f32x4.splat(2.5));
  const p = polynomial(NEAR, near);
  const far = f32x4.sub(f32x4.sqrt(w), f32x4.splat(3));
  const q = polynomial(FAR, far);

  return f32x4.mul(f32x4.mul(select(f32x4.lt(w, f32x4.splat(5)), p, q), v), scale);
}

/** Natural logarithm of positive normal numbers (Cephes' logf): x = m · 2^e, m in [sqrt(1/2), sqrt(2)), a polynomial in m - 1. */
@inline
function log(x: v128): v128 {
  const one = ones();
  // counted from sqrt(1/2), whose bits are 0x3f3504f3, the exponent is that of m's interval
  const shifted = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(shifted, 23));
  const m = i32x4.add(v128.and(shifted, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  const f = f32x4.sub(m, one);
  const square = f32x4.mul(f, f);
  let y = logCubic(f, square);
  y = multiplyAddExactly(e, f32x4.splat(-0.000212194440054691), y);
  y = multiplyAddExactly(square, f32x4.splat(-0.5), y);
  return multiplyAddExactly(e, f32x4.splat(0.693359375), f32x4.add(f, y));
}
