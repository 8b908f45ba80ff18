// Loops over memory go by strips: four vectors, 64 bytes, of each operand. The tail, less than a strip, is copied to strips of its own and
// goes through the same loop: one body for every element, and nothing is read or written past an operand's end.
//
// These strips, a loop's constants and its sums are each thread's own.

import { sum } from "./lanes";
import { own } from "./thread";

/** Bytes of a strip. */
export const STRIP: usize = 64;

/** A loop over whole strips of up to five operands; `bytes` of each. */
export type StripLoop = (bytes: usize, a: usize, b: usize, c: usize, d: usize, e: usize) => void;

const OPERANDS: i32 = 5;
/** A strip for each operand's tail. */
const TAIL_STRIPS: usize = memory.data(5 * 64, 16);
/** Where the operands' tails are. */
const TAIL_ADDRESSES: usize = memory.data(5 * 4, 4);

/** Runs the loop over n floats of each operand; an address of 0 is no operand. The first `results` of them are written. */
export function overStrips(
  loop: StripLoop,
  n: i32,
  results: i32,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  e: usize,
): void {
  overPaddedStrips(loop, n, results, 0, a, b, c, d, e);
}

/** The same with a tail of b padded by `padding`, for a loop that adds up; other tails are padded by 0. */
export function overPaddedStrips(
  loop: StripLoop,
  n: i32,
  results: i32,
  padding: f32,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  e: usize,
): void {
  const bytes = (<usize>n) << 2;
  const whole = bytes & ~(STRIP - 1);
  if (whole) loop(whole, a, b, c, d, e);
  if (bytes == whole) return;
  const tails = own(TAIL_ADDRESSES);
  store<usize>(tails, a && a + whole);
  store<usize>(tails, b && b + whole, 4);
  store<usize>(tails, c && c + whole, 8);
  store<usize>(tails, d && d + whole, 12);
  store<usize>(tails, e && e + whole, 16);
  const strips = own(TAIL_STRIPS);
  for (let i: usize = 0; i < 5 * STRIP; i += 16) {
    v128.store(strips + i, f32x4.splat(i / STRIP == 1 ? padding : 0));
  }
  copyTails(OPERANDS, bytes - whole, true);
  loop(
    STRIP,
    strips,
    b ? strips + STRIP : 0,
    c ? strips + 2 * STRIP : 0,
    d ? strips + 3 * STRIP : 0,
    e ? strips + 4 * STRIP : 0,
  );
  copyTails(results, bytes - whole, false);
}

/** Copies the first operands' tails to their strips, or back. For a few floats a loop is faster than memory.copy. */
function copyTails(operands: i32, bytes: usize, toStrips: bool): void {
  for (let i: usize = 0; i < <usize>operands; i++) {
    const tail = load<usize>(own(TAIL_ADDRESSES) + (i << 2));
    if (tail == 0) continue;
    const strip = own(TAIL_STRIPS) + i * STRIP;
    let from = toStrips ? tail : strip;
    let to = toStrips ? strip : tail;
    const end = from + bytes;
    for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
    for (; from < end; from += 4, to += 4) store<f32>(to, load<f32>(from));
  }
}

/** A loop's constants, up to eight numbers. It reads them as it begins. */
const CONSTANTS: usize = memory.data(32, 16);


@inline
export function setConstant<T>(i: i32, value: T): void {
  store<T>(own(CONSTANTS) + ((<usize>i) << 2), value);
}


@inline
export function constant<T>(i: i32): T {
  return load<T>(own(CONSTANTS) + ((<usize>i) << 2));
}

/** A constant in every lane. */
@inline
export function constantLanes(i: i32): v128 {
  return v128.load32_splat(own(CONSTANTS) + ((<usize>i) << 2));
}

const SUMS: usize = memory.data(64, 16);

/** Where loops leave their sums: two vectors, and from SECOND_SUM on two of another sum. */
@inline
export function sumsAddress(): usize {
  return own(SUMS);
}
export const SECOND_SUM: usize = 32;

export function clearSums(): void {
  for (let i: usize = 0; i < 64; i += 16) v128.store(sumsAddress() + i, f32x4.splat(0));
}

/** The sum of the two vectors at sumsAddress(), or at sumsAddress() + SECOND_SUM. */
export function sumAt(sums: usize): f64 {
  return <f64>sum(f32x4.add(v128.load(sums), v128.load(sums, 16)));
}
