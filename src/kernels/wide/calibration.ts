/** Whether widening took, by the clock: V8 does not say. */

/** Runs the tile of 4 rows by `columns`, `turns` times over the work area; the same number of operations for 8 columns and for 16. */
export type Calibrate = (columns: 8 | 16, turns: number) => void;

export type Clock = () => number;

/** The 4x8 tile's time over the 4x16 tile's: below 0.95 as V8 compiles them by itself, above 1.2 widened (test/long/wide/ratios.ts). */
const WIDE_FROM = 1.1;
/** Some 8 µs of one tile, so that a clock of microseconds tells enough and little comes between. */
const TURNS = 16;
const PAIRS = 25;
/** A neighbour on the core may make a widened tile look slow for a while. */
const TRIES = 4;

/** Whether the wide tile is the faster one: in half a millisecond where it is, three where it is not. */
export function isWider(calibrate: Calibrate, now: Clock): boolean {
  for (let i = 0; i < TRIES; i++) {
    if (measureRatio(calibrate, now) >= WIDE_FROM) return true;
  }
  return false;
}

/** The median over pairs of measurements, one right after the other. */
export function measureRatio(calibrate: Calibrate, now: Clock): number {
  const time = (columns: 8 | 16): number => {
    const start = now();
    calibrate(columns, TURNS);
    return now() - start;
  };
  const ratios = Float64Array.from({ length: PAIRS }, () => time(8) / time(16)).sort();
  return ratios[PAIRS >>> 1];
}
