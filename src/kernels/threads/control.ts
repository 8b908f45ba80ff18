/** Where in the shared control block, in words of 32 bits, threads tell each other what to do. */
export const WORD = {
  /** Chunks of the call that nobody has taken; they are taken from the last to the first. Below 0: there will be no more. */
  LEFT: 0,
  /** Chunks that are done. */
  DONE: 1,
  /** Workers that sleep until LEFT is no longer 0. */
  SLEEPERS: 2,
  /** Whether the caller sleeps until DONE changes. */
  CALLER_SLEEPS: 3,
  /** Workers that have reported in. */
  READY: 4,
  ENDED: 5,
  /** A chunk threw. */
  FAILED: 6,
  // the call: what is below is written while no chunk is left, and read by those who have taken one
  /** Whether wide tiles are in effect. */
  WIDE: 7,
  KERNEL: 8,
  ARGUMENTS: 9,
  CHUNKS: 10,
  /** The size that is cut, by its argument; below 0 the kernel computes shares itself. */
  AXIS: 11,
  /** Of the axis: the size of a chunk, the last one excepted. */
  UNIT: 12,
  /** The argument that is a scratch, of which each thread has its own; below 0: none. */
  SCRATCH: 13,
  /** Numbers of 64 bits: arguments, by how much each grows with a step along the axis, and the bytes of a scratch. */
  NUMBERS: 16,
} as const;

export const MOST_ARGUMENTS = 16;

export const CONTROL_BYTES: number = 4 * WORD.NUMBERS + 8 * (2 * MOST_ARGUMENTS + 1);
