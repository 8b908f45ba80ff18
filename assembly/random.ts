// Random numbers by position: element i of a buffer depends on the key and on i alone, so that neither the kernel set nor a split
// over threads changes a draw. Hence every rounding is spelled out, in the relaxed build too.
//
// Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): additions, rotations and
// exclusive ors only. Four counters (4j .. 4j + 3, 0) at a time give two vectors of words: the first is for elements 8j .. 8j + 3,
// the second for 8j + 4 .. 8j + 7.

import { logCubic } from "./exponential";
import { loadUpTo4, multiplyAddExactly, select, storeUpTo4 } from "./lanes";

const PARITY: i32 = 0x1bd11bda;
const BLOCK: usize = 32;

/** Room for the words of one block. */
const words: usize = memory.data(32, 16);


@inline
function rotate(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

/** The two vectors of words of counters 4j .. 4j + 3, into `words`. */
function threefry(j: i32, key0: i32, key1: i32): void {
  const key2 = key0 ^ key1 ^ PARITY;
  let x0 = i32x4.add(i32x4.splat((j << 2) + key0), i32x4(0, 1, 2, 3));
  let x1 = i32x4.splat(key1);
  let a = key1;
  let b = key2;
  let c = key0;
  for (let group = 1; group <= 5; group++) {
    const isOdd = group & 1;
    x0 = i32x4.add(x0, x1);
    x1 = v128.xor(rotate(x1, isOdd ? 13 : 17), x0);
    x0 = i32x4.add(x0, x1);
    x1 = v128.xor(rotate(x1, isOdd ? 15 : 29), x0);
    x0 = i32x4.add(x0, x1);
    x1 = v128.xor(rotate(x1, isOdd ? 26 : 16), x0);
    x0 = i32x4.add(x0, x1);
    x1 = v128.xor(rotate(x1, isOdd ? 6 : 24), x0);
    x0 = i32x4.add(x0, i32x4.splat(a));
    x1 = i32x4.add(x1, i32x4.splat(b + group));
    const next = a;
    a = b;
    b = c;
    c = next;
  }
  v128.store(words, x0);
  v128.store(words, x1, 16);
}

/** Stores a vector of results, or as much of it as there is room for before `end`. */
@inline
function storeUpTo(x: usize, end: usize, value: v128): void {
  if (x < end) storeUpTo4(x, value, min<usize>((end - x) >> 2, 4));
}

/** Uniform on [low, low + span): low + span · u, u the upper 24 bits of a word. */
export function uniform(n: i32, x: usize, key0: i32, key1: i32, low: f32, span: f32): void {
  const end = x + ((<usize>n) << 2);
  const base = f32x4.splat(low);
  const scale = f32x4.splat(span);
  for (let j = 0; x < end; j++) {
    threefry(j, key0, key1);
    storeUpTo(x, end, uniformLanes(v128.load(words), base, scale));
    storeUpTo(x + 16, end, uniformLanes(v128.load(words, 16), base, scale));
    x += BLOCK;
  }
}


@inline
function uniformLanes(word: v128, low: v128, span: v128): v128 {
  const u = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(word, 8)), f32x4.splat(5.9604644775390625e-8));
  return multiplyAddExactly(u, span, low);
}

/** y[i] = x[i] · (0 where the upper 24 bits of the i-th word are below `threshold`, else factor). */
export function dropout(n: i32, x: usize, key0: i32, key1: i32, threshold: i32, factor: f32, y: usize): void {
  const end = x + ((<usize>n) << 2);
  const least = i32x4.splat(threshold);
  const scale = f32x4.splat(factor);
  for (let j = 0; x < end; j++) {
    threefry(j, key0, key1);
    for (let i: usize = 0; i < BLOCK && x < end; i += 16) {
      const count = min<usize>((end - x) >> 2, 4);
      const keeps = i32x4.ge_s(i32x4.shr_u(v128.load(words + i), 8), least);
      storeUpTo4(y, f32x4.mul(loadUpTo4(x, count), v128.and(keeps, scale)), count);
      x += 16;
      y += 16;
    }
  }
}

/**
 * Normal with mean 0: std · sqrt(2) · erfinv(v), v symmetric on (-1, 1) from the upper 23 bits of a word. erfinv is Giles' single
 * precision approximation ("Approximating the erfinv function", 2012); the farthest draw is 5.2 standard deviations out.
 */
export function normal(n: i32, x: usize, key0: i32, key1: i32, std: f32): void {
  const end = x + ((<usize>n) << 2);
  const scale = f32x4.splat(std * <f32>1.4142135623730951);
  for (let j = 0; x < end; j++) {
    threefry(j, key0, key1);
    storeUpTo(x, end, normalLanes(v128.load(words), scale));
    storeUpTo(x + 16, end, normalLanes(v128.load(words, 16), scale));
    x += BLOCK;
  }
}


@inline
function normalLanes(word: v128, scale: v128): v128 {
  const one = f32x4.splat(1);
  const bits = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(word, 9)), f32x4.splat(0.5));
  const v = f32x4.sub(f32x4.mul(bits, f32x4.splat(2.384185791015625e-7)), one);
  const w = f32x4.neg(log(f32x4.mul(f32x4.sub(one, v), f32x4.add(one, v))));

  const near = f32x4.sub(w, f32x4.splat(2.5));
  let p = multiplyAddExactly(f32x4.splat(2.81022636e-8), near, f32x4.splat(3.43273939e-7));
  p = multiplyAddExactly(p, near, f32x4.splat(-3.5233877e-6));
  p = multiplyAddExactly(p, near, f32x4.splat(-4.39150654e-6));
  p = multiplyAddExactly(p, near, f32x4.splat(0.00021858087));
  p = multiplyAddExactly(p, near, f32x4.splat(-0.00125372503));
  p = multiplyAddExactly(p, near, f32x4.splat(-0.00417768164));
  p = multiplyAddExactly(p, near, f32x4.splat(0.246640727));
  p = multiplyAddExactly(p, near, f32x4.splat(1.50140941));

  const far = f32x4.sub(f32x4.sqrt(w), f32x4.splat(3));
  let q = multiplyAddExactly(f32x4.splat(-0.000200214257), far, f32x4.splat(0.000100950558));
  q = multiplyAddExactly(q, far, f32x4.splat(0.00134934322));
  q = multiplyAddExactly(q, far, f32x4.splat(-0.00367342844));
  q = multiplyAddExactly(q, far, f32x4.splat(0.00573950773));
  q = multiplyAddExactly(q, far, f32x4.splat(-0.0076224613));
  q = multiplyAddExactly(q, far, f32x4.splat(0.00943887047));
  q = multiplyAddExactly(q, far, f32x4.splat(1.00167406));
  q = multiplyAddExactly(q, far, f32x4.splat(2.83297682));

  return f32x4.mul(f32x4.mul(select(f32x4.lt(w, f32x4.splat(5)), p, q), v), scale);
}

/** Natural logarithm of positive normal numbers (Cephes' logf): x = m · 2^e, m in [sqrt(1/2), sqrt(2)), a polynomial in m - 1. */
@inline
function log(x: v128): v128 {
  const one = f32x4.splat(1);
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
