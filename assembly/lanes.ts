// The f32x4 vocabulary that the kernels share. Everything here is inlined; a function that takes or returns v128 is never exported.

/** Which build this is. */
export function isRelaxed(): bool {
  return ASC_FEATURE_RELAXED_SIMD;
}

/** c + a · b, two roundings: the same bits on every machine. */
@inline
export function multiplyAddExactly(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(c, f32x4.mul(a, b));
}

/** c + a · b; in the relaxed-simd build as the machine does it best, with one rounding or two. */
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return multiplyAddExactly(a, b, c);
}

/** Lane by lane: `condition` (all ones or all zeros) ? a : b. */
@inline
export function select(condition: v128, a: v128, b: v128): v128 {
  return v128.bitselect(a, b, condition);
}

/** (l0 + l1) + (l2 + l3) of four vectors at once: lane i of the result is the sum of the i-th vector's lanes. */
@inline
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 2, 4, 6), v128.shuffle<f32>(a, b, 1, 3, 5, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 2, 4, 6), v128.shuffle<f32>(c, d, 1, 3, 5, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** (l0 + l1) + (l2 + l3). */
@inline
export function sum(a: v128): f32 {
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3));
}

/** Loads `count` (1 to 3) floats and leaves the other lanes 0: a tail that must not be read past. */
@inline
export function loadTail(address: usize, count: usize): v128 {
  if (count == 1) return v128.load_zero<f32>(address);
  const two = v128.load_zero<f64>(address);
  return count == 2 ? two : v128.load_lane<f32>(address, two, 2, 8);
}

/** Stores the first `count` (1 to 3) lanes. */
@inline
export function storeTail(address: usize, value: v128, count: usize): void {
  if (count == 1) {
    v128.store_lane<f32>(address, value, 0);
  } else {
    v128.store_lane<f64>(address, value, 0);
    if (count == 3) v128.store_lane<f32>(address, value, 2, 8);
  }
}

/** Loads `count` (1 to 4) floats. */
@inline
export function loadUpTo4(address: usize, count: usize): v128 {
  return count == 4 ? v128.load(address) : loadTail(address, count);
}

/** Stores the first `count` (1 to 4) lanes. */
@inline
export function storeUpTo4(address: usize, value: v128, count: usize): void {
  if (count == 4) v128.store(address, value);
  else storeTail(address, value, count);
}

/** Stores two vectors side by side, the higher address first: what V8 merges into one store of 256 bits. */
@inline
export function storePair(address: usize, v0: v128, v1: v128): void {
  v128.store(address, v1, 16);
  v128.store(address, v0);
}

/** Stores four vectors side by side, as pairs. */
@inline
export function storeFour(address: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  storePair(address, v0, v1);
  v128.store(address, v3, 48);
  v128.store(address, v2, 32);
}

/** The same, or adds them to what is there. */
@inline
export function storeOrAddFour(accumulate: bool, address: usize, v0: v128, v1: v128, v2: v128, v3: v128): void {
  if (accumulate) {
    v0 = f32x4.add(v128.load(address), v0);
    v1 = f32x4.add(v128.load(address, 16), v1);
    v2 = f32x4.add(v128.load(address, 32), v2);
    v3 = f32x4.add(v128.load(address, 48), v3);
  }
  storeFour(address, v0, v1, v2, v3);
}

/** Tiles and panels of 8 columns. */
export class Narrow {}

/** Of 16: for 256 bits. */
export class Wide {}

/** Bytes of a row of a panel. */
@inline
export function rowOf<W>(): usize {
  return idof<W>() == idof<Wide>() ? 64 : 32;
}

/** Copies a row of a panel. */
@inline
export function copyRow<W>(from: usize, to: usize): void {
  const v0 = v128.load(from);
  const v1 = v128.load(from, 16);
  if (idof<W>() == idof<Wide>()) storeFour(to, v0, v1, v128.load(from, 32), v128.load(from, 48));
  else storePair(to, v0, v1);
}

/** Sums before their first product: -0 + a · b is a · b, also where that is -0. `count` floats, a multiple of 8. */
export function fillNone(address: usize, count: i32): void {
  const none = f32x4.splat(-0.0);
  for (const end = address + ((<usize>count) << 2); address < end; address += 32) storePair(address, none, none);
}
