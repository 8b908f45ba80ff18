/** Tells by the clock whether widening took: V8 does not say. */

/** Does the same operations `turns` times, on vectors that lie together and can be merged, or apart and cannot. */
export type Calibrate = (together: boolean, turns: number) => void;

export type Clock = () => number;

/**
 * From this ratio of the time apart to the time together on, code is wide. It is 1 as V8 compiles by itself and 2 widened, on any processor
 * (test/long/wide/ratios.ts).
 */
const WIDE_FROM = 1.4;
/** About 8 µs: long enough for a clock of microseconds, short enough that interruptions are rare. */
const TURNS = 32;
const PAIRS = 25;
/** Another program on the core may disturb for a while. */
const TRIES = 4;

/** Whether vectors that lie together are faster. Takes half a millisecond where they are, three where they are not. */
export function isWider(calibrate: Calibrate, now: Clock): boolean {
  for (let i = 0; i < TRIES; i++) {
    if (measureRatio(calibrate, now) >= WIDE_FROM) return true;
  }
  return false;
}

/**
 * The ratio of the shortest times, measured alternately: an interruption can only make a time longer. V8 may compile the loops anew in between; the
 * times apart come last, so that a faster compiler makes the ratio smaller and not larger.
 */
export function measureRatio(calibrate: Calibrate, now: Clock): number {
  const time = (together: boolean): number => {
    const start = now();
    calibrate(together, TURNS);
    return now() - start;
  };
  let [apart, together] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < PAIRS; i++) {
    together = Math.min(together, time(true));
    apart = Math.min(apart, time(false));
  }
  return apart / together;
}
