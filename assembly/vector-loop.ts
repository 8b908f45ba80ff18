// A loop over memory takes four vectors of each operand a turn. What is left over, less than a turn, goes through the same loop in
// blocks of its own: one body for every element, and nothing is read or written past an operand's end.
//
// The blocks, and where loops leave sums, are static: one call at a time over one memory.

import { sum } from "./lanes";

/** Bytes of each operand in a turn. */
export const TURN: usize = 64;

/** A loop over whole turns of up to five operands. */
type Turns = (bytes: usize, a: usize, b: usize, c: usize, d: usize, e: usize) => void;

const OPERANDS: i32 = 5;
/** A block for each operand. */
const BLOCKS: usize = memory.data(5 * 64, 16);
/** Where the tails stand: the operands' addresses. */
const TAILS: usize = memory.data(5 * 4, 4);

/** Runs the loop over n floats of each operand. The first `results` of them are written; one that is not there is 0. */
export function inTurns(turns: Turns, n: i32, results: i32, a: usize, b: usize, c: usize, d: usize, e: usize): void {
  inPaddedTurns(turns, n, results, 0, a, b, c, d, e);
}

/** The same, with the number that follows b's tail in its block, so that the loop may add up: of the others it is 0. */
export function inPaddedTurns(
  turns: Turns,
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
  const whole = bytes & ~(TURN - 1);
  if (whole) turns(whole, a, b, c, d, e);
  if (bytes == whole) return;
  store<usize>(TAILS, a && a + whole);
  store<usize>(TAILS, b && b + whole, 4);
  store<usize>(TAILS, c && c + whole, 8);
  store<usize>(TAILS, d && d + whole, 12);
  store<usize>(TAILS, e && e + whole, 16);
  for (let i: usize = 0; i < 5 * TURN; i += 16) v128.store(BLOCKS + i, f32x4.splat(i / TURN == 1 ? padding : 0));
  copyTails(OPERANDS, bytes - whole, true);
  turns(
    TURN,
    BLOCKS,
    b ? BLOCKS + TURN : 0,
    c ? BLOCKS + 2 * TURN : 0,
    d ? BLOCKS + 3 * TURN : 0,
    e ? BLOCKS + 4 * TURN : 0,
  );
  copyTails(results, bytes - whole, false);
}

/** Between the first operands' tails and their blocks. For a few floats a loop takes less time than memory.copy. */
function copyTails(operands: i32, bytes: usize, toBlocks: bool): void {
  for (let i: usize = 0; i < <usize>operands; i++) {
    const tail = load<usize>(TAILS + (i << 2));
    if (tail == 0) continue;
    const block = BLOCKS + i * TURN;
    let from = toBlocks ? tail : block;
    let to = toBlocks ? block : tail;
    const end = from + bytes;
    for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
    for (; from < end; from += 4, to += 4) store<f32>(to, load<f32>(from));
  }
}

/** Where loops leave their sums: two vectors, and two of a second sum. */
export const SUMS: usize = memory.data(64, 16);
export const SECOND: usize = 32;
const SUMS_POINTER: usize = memory.data<usize>([SUMS]);

/** SUMS, but not as a constant: V8 14 does not see that stores to constant addresses are neighbours. */
@inline
export function sumsAddress(): usize {
  return load<usize>(SUMS_POINTER);
}

export function clearSums(): void {
  for (let i: usize = 0; i < 64; i += 16) v128.store(SUMS + i, f32x4.splat(0));
}

/** The sum of the two vectors at SUMS, or at SUMS + SECOND. */
export function sumAt(sums: usize): f64 {
  return <f64>sum(f32x4.add(v128.load(sums), v128.load(sums, 16)));
}
