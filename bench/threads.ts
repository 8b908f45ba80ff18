import { Worker } from "node:worker_threads";
import * as lg from "../src/index.js";
import { IMAGE_BATCH } from "./network.js";
import { median, millisecondsOf } from "./numbers.js";
import { Scope } from "./row.js";
import type { Measured } from "./run.js";
import { createImageTraining } from "./step.js";
import { createProblem, createTraining, type Training } from "./training.js";

const ROUNDS = 31;
const TURN_MS = 40;

export interface ThreadOptions {
  readonly kernels: "simd" | "relaxed-simd";
  readonly wide: boolean;
  readonly threads: number;
}

/** The dense step by batch, and the image step. */
const STEPS: readonly (readonly [name: string, create: (engine: lg.Engine, scope: Scope) => Training])[] = [
  ...[1, 8, 32, 128, 512].map(
    (batch) =>
      [
        `step sgd batch ${batch}`,
        (engine: lg.Engine, scope: Scope) => createTraining("sgd", createProblem(batch), engine, scope),
      ] as const,
  ),
  [`step cnn sgd batch ${IMAGE_BATCH}`, createImageTraining],
];

/**
 * `npm run bench -- threads`: training steps on one thread and on several, which take turns in one process; the ratio is the median of the
 * rounds' own. Before each row a probe says whether the cores are free: a loop on this thread, alone and beside loops on the others.
 */
export async function measureThreads(
  { kernels, wide, threads }: ThreadOptions,
  pace: number,
  print: (text: string) => void,
): Promise<Measured> {
  using alone = lg.createEngine({ kernels, wide });
  using together = lg.createEngine({ kernels, wide, threads });
  await together.ready;
  if (together.threads !== threads) throw new Error(`${together.threads} of ${threads} threads have started`);
  for (const engine of [alone, together]) engine.warmUp();
  const names = ["1 thread", `${threads} threads`] as const;
  print(`${kernels}${together.wide ? ", wide" : ""}; times in ms, medians of ${Math.ceil(pace * ROUNDS)} rounds`);
  print(`${"".padEnd(24)}${names.map((name) => name.padStart(12)).join("")}${"speed-up".padStart(12)}   free cores`);
  using cores = new Cores(threads - 1);
  const rows = [];
  for (const [name, create] of STEPS) {
    using scope = new Scope();
    const steps = [alone, together].map((engine) => {
      const training = create(engine, scope);
      const { step } = training;
      for (let i = 0; i < 3; i++) step();
      training.freeze();
      return step;
    });
    const free = await cores.free();
    const times = race(steps, Math.ceil(pace * ROUNDS));
    const [one, many] = times.map(median);
    const gain = median(times[0].map((time, i) => time / times[1][i]));
    print(
      `${name.padEnd(24)}${[one, many].map((time) => time.toFixed(3).padStart(12)).join("")}${gain.toFixed(2).padStart(12)}` +
        `   ${free.toFixed(2)} of ${threads}`,
    );
    const count = times[0].length;
    const milliseconds = { [names[0]]: one, [names[1]]: many };
    rows.push({ name, milliseconds, rounds: count, countedRounds: count, noisy: free < 0.9 * threads });
  }
  return { bench: "threads", contenders: names.map((name) => ({ name })), rows };
}

/** Milliseconds a step in each round, for each contender. */
function race(steps: readonly (() => unknown)[], rounds: number): number[][] {
  const counts = steps.map((step) => Math.max(1, Math.round(TURN_MS / millisecondsOf(step))));
  const times = steps.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < steps.length; turn++) {
      const i = (round + turn) % steps.length;
      const milliseconds = millisecondsOf(() => {
        for (let n = 0; n < counts[i]; n++) steps[i]();
      });
      times[i].push(milliseconds / counts[i]);
    }
  }
  return times;
}

const PROBE_MS = 50;

/** Says how many cores this process can have. */
class Cores implements Disposable {
  readonly #counts: Int32Array;
  readonly #workers: Worker[];

  constructor(others: number) {
    this.#counts = new Int32Array(new SharedArrayBuffer(4 * (others + 1)));
    this.#workers = Array.from({ length: others }, (_, i) => {
      const data = { counts: this.#counts, index: i + 1 };
      return new Worker(LOOP, { eval: true, workerData: data });
    });
  }

  /** Loops that all threads get done side by side, in those that this thread gets done alone. */
  async free(): Promise<number> {
    const counts = this.#counts;
    const count = (): number => {
      let done = 0;
      for (const end = performance.now() + PROBE_MS; performance.now() < end; ) done++;
      return done;
    };
    // the first times are those of code that V8 has not compiled well yet
    const alone = Math.max(count(), count(), count(), count());
    const others = this.#workers.map((worker) => new Promise((resolve) => worker.once("message", resolve)));
    for (const worker of this.#workers) worker.postMessage(PROBE_MS);
    counts[0] = count();
    await Promise.all(others);
    return counts.reduce((sum, done) => sum + done) / alone;
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) void worker.terminate();
  }
}

const LOOP = `
const { parentPort, workerData } = require("node:worker_threads");
parentPort.on("message", (milliseconds) => {
  let done = 0;
  for (const end = performance.now() + milliseconds; performance.now() < end; ) done++;
  workerData.counts[workerData.index] = done;
  parentPort.postMessage(0);
});`;
