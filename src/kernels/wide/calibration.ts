/** Whether widening took, by the clock: V8 does not say. */

/** Does the same number of operations `turns` times, on vectors that lie together, which can be merged, or apart, which cannot. */
export type Calibrate = (together: boolean, turns: number) => void;

export type Clock = () => number;

/** The time apart over the time together: 1 as V8 compiles them by itself, 2 widened, whatever the processor (test/long/wide/ratios.ts). */
const WIDE_FROM = 1.4;
/** Some 8 µs, so that a clock of microseconds tells enough and little comes between. */
const TURNS = 32;
const PAIRS = 25;
/** A neighbour on the core may disturb for a while. */
const TRIES = 4;

/** Whether what lies together is the faster one: in half a millisecond where it is, three where it is not. */
export function isWider(calibrate: Calibrate, now: Clock): boolean {
  for (let i = 0; i < TRIES; i++) {
    if (measureRatio(calibrate, now) >= WIDE_FROM) return true;
  }
  return false;
}

/** Of the shortest times, in turns: what comes between only adds to one. */
export function measureRatio(calibrate: Calibrate, now: Clock): number {
  const time = (together: boolean): number => {
    const start = now();
    calibrate(together, TURNS);
    return now() - start;
  };
  let [apart, together] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < PAIRS; i++) {
    apart = Math.min(apart, time(false));
    together = Math.min(together, time(true));
  }
  return apart / together;
}
