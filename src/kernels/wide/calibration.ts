/** Whether widening took, by the clock: V8 does not say. */

/** Runs the tile of 4 rows by `columns`, `turns` times over the work area; the same number of operations for 8 columns and for 16. */
export type Calibrate = (columns: 8 | 16, turns: number) => void;

export type Clock = () => number;

/** The 4x8 tile's time over the 4x16 tile's: 0.6 to 0.96 as V8 compiles them by itself, 1.25 to 1.41 widened. */
const WIDE_FROM = 1.1;
/** Some 30 to 60 µs of one tile, and so many of each by turns: the fastest is the one that nothing came between. */
const TURNS = 64;
const SAMPLES = 6;
/** A neighbour on the core can only make a widened tile look slow for a while, never an ordinary one look wide for long. */
const TRIES = 4;

/** Whether the wide tile is the faster one; half a millisecond where it is, two where it is not. */
export function isWider(calibrate: Calibrate, now: Clock): boolean {
  for (let i = 0; i < TRIES; i++) {
    if (measureRatio(calibrate, now) >= WIDE_FROM) return true;
  }
  return false;
}

function measureRatio(calibrate: Calibrate, now: Clock): number {
  const best = { 8: Number.POSITIVE_INFINITY, 16: Number.POSITIVE_INFINITY };
  for (let i = 0; i < SAMPLES; i++) {
    for (const columns of [8, 16] as const) {
      const start = now();
      calibrate(columns, TURNS);
      best[columns] = Math.min(best[columns], now() - start);
    }
  }
  return best[8] / best[16];
}
