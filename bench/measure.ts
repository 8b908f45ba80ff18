import { Bench, type Task } from "tinybench";
import type { Engine } from "../src/index.js";
import { measureClock } from "./limit.js";
import { productFlop } from "./network.js";
import { median, millisecondsOf, quantile } from "./numbers.js";
import { type Contenders, Scope } from "./row.js";

export interface Rounds {
  /** Milliseconds a call: the median over the rounds that count. */
  milliseconds: { wasm: number; wide?: number; twin?: number; opponent?: number; memory?: number };
  /** GHz, the same way. */
  clock: number;
  /** How many rounds there were, and how many of them count. */
  total: number;
  counted: number;
  /** Whether too few rounds were quiet; then all count. */
  noisy: boolean;
}

export const PROBE_SIZE = 128;
const PROBE_WARM_UP_MS = 300;
/** A round counts where every probe reaches this much of the best. */
export const QUIET = 0.92;
/** The best is what one probe in twenty reaches, not the single luckiest one. */
const BEST_QUANTILE = 0.95;

interface Reading {
  /** GHz */
  clock: number;
  flopPerCycle: number;
}

/**
 * Tells whether the machine is undisturbed: a neighbour may take 40 % of a core's throughput for tens of seconds without a change of the
 * clock. The probe is a matrix product of the library, so it needs what the rows need. It is judged by the cycle, because a changing clock is
 * no disturbance.
 */
export class Probe implements Disposable {
  readonly #scope = new Scope();
  readonly #product: () => void;
  readonly #flopPerCycle: number[] = [];
  /** Flop a cycle on a quiet machine, by all probes so far. */
  best = 0;

  constructor({ ops, linear }: Engine) {
    const size = PROBE_SIZE;
    const [a, b, c] = [1, 2, 3].map(() => {
      const address = linear.allocate(size * size * 4);
      linear.f32.fill(0.5, address >>> 2, (address >>> 2) + size * size);
      this.#scope.defer(() => linear.free(address));
      return address;
    });
    this.#product = () => ops.gemm(false, false, size, size, size, a, size, b, size, c, size, 0, false);
    for (const start = performance.now(); performance.now() - start < PROBE_WARM_UP_MS; ) this.read();
  }

  read(): Reading {
    const clock = measureClock();
    // the best of a few: the first one's operands are not in the cache yet
    const milliseconds = Math.min(...[1, 2, 3, 4].map(() => millisecondsOf(this.#product)));
    const flopPerCycle = productFlop(PROBE_SIZE, PROBE_SIZE, PROBE_SIZE) / milliseconds / 1e6 / clock;
    this.#flopPerCycle.push(flopPerCycle);
    return { clock, flopPerCycle };
  }

  /** Takes all that was read so far into account. */
  settle(): void {
    this.best = quantile(this.#flopPerCycle, BEST_QUANTILE);
  }

  isQuiet({ flopPerCycle }: Reading): boolean {
    return flopPerCycle >= QUIET * this.best;
  }

  [Symbol.dispose](): void {
    this.#scope[Symbol.dispose]();
  }
}

/** Each contender's share of a round. It is cut into samples of at least SAMPLE_MS, whose median ignores an interrupt. */
const TURN_MS = 4;
const SAMPLE_MS = 0.25;
const WARM_UP_MS = 100;
export const FEWEST_ROUNDS = 5;
/** On a noisy machine a row may take so many times its time, and its least number of rounds. */
const PATIENCE = 2;

interface Progress {
  /** Milliseconds */
  elapsed: number;
  rounds: number;
  quiet: number;
}

/** Whether a row has had its time and enough quiet rounds, or has used up the patience. */
export const isEnough = ({ elapsed, rounds, quiet }: Progress, milliseconds: number): boolean =>
  quiet >= FEWEST_ROUNDS
    ? elapsed >= milliseconds
    : elapsed >= PATIENCE * milliseconds && rounds >= PATIENCE * FEWEST_ROUNDS;

/**
 * Measures contenders that take turns, so that whatever else the machine does disturbs all alike, for about so many milliseconds. tinybench
 * takes the samples: a task for each contender, run again in every round.
 */
export function measure(contenders: Contenders, probe: Probe, milliseconds: number): Rounds {
  const bench = new Bench({ time: TURN_MS, iterations: 1, warmup: false, throws: true });
  for (const [name, call] of Object.entries(contenders)) bench.add(name, sampler(call), { async: false });

  probe.settle();
  const rounds: Round[] = [];
  const quietRounds = () => rounds.filter(({ readings }) => readings.every((reading) => probe.isQuiet(reading)));
  const start = performance.now();
  const progress = () => ({ elapsed: performance.now() - start, rounds: rounds.length, quiet: quietRounds().length });
  while (!isEnough(progress(), milliseconds)) {
    rounds.push(playRound(bench.tasks, probe, rounds.length));
  }
  const quiet = quietRounds();
  const noisy = quiet.length < FEWEST_ROUNDS;
  const counting = noisy ? rounds : quiet;
  const medians = bench.tasks.map(({ name }) => [name, median(counting.map(({ times }) => times[name]))]);
  return {
    milliseconds: Object.fromEntries(medians),
    clock: median(counting.flatMap(({ readings }) => readings.map(({ clock }) => clock))),
    total: rounds.length,
    counted: quiet.length,
    noisy,
  };
}

interface Round {
  /** Milliseconds a call, by contender. */
  times: Record<string, number>;
  /** The probe before, between and after the turns. */
  readings: Reading[];
}

function playRound(tasks: Task[], probe: Probe, index: number): Round {
  const times: Record<string, number> = {};
  const readings = [probe.read()];
  // each round begins with another one: what a contender leaves in the caches must not always burden the same one
  for (let turn = 0; turn < tasks.length; turn++) {
    const task = tasks[(index + turn) % tasks.length];
    times[task.name] = takeTurn(task);
    readings.push(probe.read());
  }
  return { times, readings };
}

/** Milliseconds a call: the median of the turn's samples. */
function takeTurn(task: Task): number {
  task.reset();
  task.runSync();
  const { result } = task;
  if (result.state !== "completed") throw new Error(`${task.name}: the measurement is ${result.state}`);
  return result.latency.p50;
}

/** Warms a function up; the result calls it often enough for the timer and tells tinybench the time of one call. */
function sampler(call: () => unknown) {
  let count = 0;
  const warmUp = millisecondsOf(() => {
    for (const start = performance.now(); performance.now() - start < WARM_UP_MS; count++) call();
  });
  const calls = Math.ceil((SAMPLE_MS * count) / warmUp);
  return () => {
    const milliseconds = millisecondsOf(() => {
      for (let i = 0; i < calls; i++) call();
    });
    return { overriddenDuration: milliseconds / calls, overriddenIterationCost: milliseconds };
  };
}
