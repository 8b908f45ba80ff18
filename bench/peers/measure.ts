import { FEWEST_ROUNDS, isEnough, type Probe } from "../measure.js";
import { median } from "../numbers.js";
import type { RunRow } from "../run.js";
import type { Call } from "./contender.js";

/** As in bench/measure.ts. */
const TURN_MS = 4;
const SAMPLE_MS = 0.25;
const WARM_UP_MS = 500;

interface Turn {
  name: string;
  call: Call<unknown>;
  /** So many make a sample. */
  calls: number;
}

interface Round {
  times: Record<string, number>;
  quiet: boolean;
}

/**
 * What `measure` of the other tables does (contenders in turns, a probe around each), for calls that may return
 * promises.
 */
export async function measureInTurns(
  contenders: Record<string, Call<unknown>>,
  probe: Probe,
  milliseconds: number,
): Promise<Omit<RunRow, "name">> {
  const turns: Turn[] = [];
  for (const [name, call] of Object.entries(contenders)) turns.push({ name, call, calls: await warmUp(call) });

  probe.settle();
  const rounds: Round[] = [];
  const quietRounds = () => rounds.filter(({ quiet }) => quiet);
  const start = performance.now();
  const progress = () => ({ elapsed: performance.now() - start, rounds: rounds.length, quiet: quietRounds().length });
  while (!isEnough(progress(), milliseconds)) {
    rounds.push(await playRound(turns, probe, rounds.length));
  }
  const countedRounds = quietRounds().length;
  const noisy = countedRounds < FEWEST_ROUNDS;
  const counting = noisy ? rounds : quietRounds();
  const medians = turns.map(({ name }) => [name, median(counting.map(({ times }) => times[name]))]);
  return { milliseconds: Object.fromEntries(medians), rounds: rounds.length, countedRounds, noisy };
}

/** How many calls make a sample. */
async function warmUp(call: Call<unknown>): Promise<number> {
  let count = 0;
  const start = performance.now();
  for (; performance.now() - start < WARM_UP_MS; count++) await call();
  return Math.ceil((SAMPLE_MS * count) / (performance.now() - start));
}

async function playRound(turns: Turn[], probe: Probe, index: number): Promise<Round> {
  const times: Record<string, number> = {};
  let quiet = probe.isQuiet(probe.read());
  for (let i = 0; i < turns.length; i++) {
    const turn = turns[(index + i) % turns.length];
    times[turn.name] = await takeTurn(turn);
    quiet = probe.isQuiet(probe.read()) && quiet;
  }
  return { times, quiet };
}

/** Milliseconds a call: the median of the turn's samples. */
async function takeTurn({ call, calls }: Turn): Promise<number> {
  const samples: number[] = [];
  for (const start = performance.now(); performance.now() - start < TURN_MS; ) {
    const begin = performance.now();
    for (let i = 0; i < calls; i++) {
      const result = call();
      // who returns no promise does not pay for one
      if (result instanceof Promise) await result;
    }
    samples.push((performance.now() - begin) / calls);
  }
  return median(samples);
}
