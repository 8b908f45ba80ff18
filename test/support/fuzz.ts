import { Random } from "./random.js";

/** How long a fuzzer runs. */
export const FUZZ_SECONDS = Number(process.env.LANEGRAD_FUZZ_SECONDS ?? 60);

/** Runs rounds until the time is up, or the one of LANEGRAD_FUZZ_SEED alone; a round that fails says its seed. */
export async function fuzz(
  round: (random: Random) => Promise<void> | void,
  seconds: number = FUZZ_SECONDS,
): Promise<number> {
  const only = process.env.LANEGRAD_FUZZ_SEED;
  const end = performance.now() + seconds * 1000;
  let rounds = 0;
  for (let seed = only === undefined ? Date.now() % 1e9 : Number(only); performance.now() < end; seed++) {
    try {
      await round(new Random(seed));
    } catch (error) {
      throw new Error(`LANEGRAD_FUZZ_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
    rounds++;
    if (only !== undefined) break;
  }
  return rounds;
}

/** One of them. */
export const pick = <T>(random: Random, items: readonly T[]): T => items[random.integer(0, items.length - 1)];
