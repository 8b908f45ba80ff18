import { unwatch, watch } from "../../collector.js";
import { EngineError } from "../../errors.js";
import { builtin } from "../../host-types.js";
import type { LinearMemory } from "../../memory.js";
import { WORKER } from "../generated/worker-text.js";
import type { WasmKernels } from "../wasm.js";
import { CONTROL_BYTES, MOST_ARGUMENTS, WORD } from "./control.js";
import type { Arguments, Cut } from "./cuts.js";
import { LEAST_REST_MS, LOST_MS, MOST_REST_MS, SPIN_MS } from "./numbers.js";
import { startWorker, type Worker } from "./start.js";
import type { WorkerStart } from "./worker.js";

/** What calls of a kernel in chunks need to know of it. */
export interface Callee {
  readonly index: number;
  /** The call on this thread. */
  readonly run: (args: Arguments) => void;
  /** The argument that is a scratch, or -1. */
  readonly scratch: number;
}

/**
 * The threads of one engine: the caller, and workers with instances of the same modules over the same memory. A call in chunks is written to a
 * control block; whoever is free takes a chunk from its counter, the caller too. The caller waits for chunks that were taken, and for
 * nothing else: not for a worker that has not started, nor for one that sleeps.
 */
export class Team {
  readonly #words = new SharedArrayBuffer(CONTROL_BYTES);
  readonly #control = new Int32Array(this.#words);
  readonly #numbers = new Float64Array(this.#words, 4 * WORD.NUMBERS);
  readonly #kernels: WasmKernels;
  readonly #isWide: () => boolean;
  readonly #workers: Worker[];
  readonly #lostAfter: number;
  readonly #mostRest: number;
  readonly #spinMs: number;
  #rest = 0;
  #restsUntil = 0;
  /** Workers that had reported in and are gone. */
  readonly #gone: { count: number };
  #lost = false;

  constructor(
    kernels: WasmKernels,
    memory: LinearMemory,
    { count, names, isWide, lostAfter = LOST_MS, mostRest = MOST_REST_MS, program = WORKER }: TeamOptions,
  ) {
    this.#kernels = kernels;
    this.#spinMs = count < cores() ? SPIN_MS : 0;
    this.#isWide = isWide;
    this.#lostAfter = lostAfter;
    this.#mostRest = mostRest;
    // nothing that a worker's events hold may hold the team
    const gone = { count: 0 };
    this.#gone = gone;
    this.#workers = Array.from(
      { length: count },
      (_, i): WorkerStart => ({
        modules: kernels.modules,
        memory: memory.memory,
        control: this.#words,
        work: memory.allocate(kernels.workBytes()),
        index: i + 1,
        isTall: kernels.isTall,
        names,
        words: WORD,
        mostArguments: MOST_ARGUMENTS,
        spinMs: this.#spinMs,
      }),
    ).flatMap((start) => startWorker(program, start, lostAfter, () => gone.count++) ?? []);
    const [control, workers] = [this.#control, this.#workers];
    watch(this, { release: () => endWorkers(control, workers) });
  }

  /** The caller, and the workers that have reported in and are there. */
  get threads(): number {
    return 1 + Math.max(0, Atomics.load(this.#control, WORD.READY) - this.#gone.count);
  }

  /** Settles when each worker has reported in, or will not. */
  async ready(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.started()));
  }

  /** Whether another thread may still write to the memory: one that took a chunk that was lost, or that is about to start. */
  get mayWrite(): boolean {
    return this.#lost || Atomics.load(this.#control, WORD.READY) < this.#workers.length;
  }

  /** Whether a large call is better cut: not while other programs have the cores. */
  get isFree(): boolean {
    return this.threads > 1 && (this.#rest === 0 || performance.now() >= this.#restsUntil);
  }

  /** Runs a call in chunks. Throws EngineError if one is lost, and at each call after it. */
  run(callee: Callee, args: Arguments, cut: Cut, scratchBytes: number): void {
    this.assertWhole();
    const control = this.#control;
    const numbers = this.#numbers;
    control[WORD.WIDE] = Number(this.#isWide());
    control[WORD.KERNEL] = callee.index;
    control[WORD.ARGUMENTS] = args.length;
    control[WORD.CHUNKS] = cut.chunks;
    control[WORD.AXIS] = cut.axis;
    control[WORD.UNIT] = cut.unit;
    control[WORD.SCRATCH] = callee.scratch;
    for (let i = 0; i < args.length; i++) {
      numbers[i] = Number(args[i]);
      numbers[MOST_ARGUMENTS + i] = cut.steps[i] ?? 0;
    }
    numbers[2 * MOST_ARGUMENTS] = scratchBytes;
    Atomics.store(control, WORD.DONE, 0);
    Atomics.store(control, WORD.LEFT, cut.chunks);
    if (Atomics.load(control, WORD.SLEEPERS) > 0) Atomics.notify(control, WORD.LEFT);
    const start = performance.now();
    try {
      this.#takeChunks(callee, args, cut);
    } finally {
      this.#kernels.useShare(0, 1);
      const worked = performance.now() - start;
      this.#join(cut.chunks);
      this.#restIf(performance.now() - start > 2 * worked);
    }
  }

  #restIf(wasLate: boolean): void {
    this.#rest = wasLate ? Math.min(this.#mostRest, Math.max(LEAST_REST_MS, 2 * this.#rest)) : 0;
    if (this.#rest > 0) this.#restsUntil = performance.now() + this.#rest;
  }

  #takeChunks(callee: Callee, args: Arguments, { axis, unit, chunks, steps }: Cut): void {
    const control = this.#control;
    for (;;) {
      const left = Atomics.load(control, WORD.LEFT);
      if (left <= 0) return;
      if (Atomics.compareExchange(control, WORD.LEFT, left, left - 1) !== left) continue;
      const chunk = left - 1;
      if (axis < 0) {
        this.#kernels.useShare(chunk, chunks);
        callee.run(args);
      } else {
        const from = chunk * unit;
        const part = args.map((value, i) => (steps[i] === 0 ? value : Number(value) + from * steps[i]));
        part[axis] = Math.min(unit, Number(args[axis]) - from);
        callee.run(part);
      }
      Atomics.add(control, WORD.DONE, 1);
    }
  }

  /** Waits for the chunks that workers have taken. */
  #join(chunks: number): void {
    const control = this.#control;
    const isDone = (): boolean => Atomics.load(control, WORD.DONE) >= chunks;
    for (const end = performance.now() + this.#spinMs; !isDone() && performance.now() < end; );
    if (!isDone()) this.#sleepUntil(isDone);
    this.#lost = !isDone() || Atomics.load(control, WORD.FAILED) === 1;
    this.assertWhole();
  }

  /** Gives up after a time. */
  #sleepUntil(isDone: () => boolean): void {
    const control = this.#control;
    const end = performance.now() + this.#lostAfter;
    Atomics.store(control, WORD.CALLER_SLEEPS, 1);
    while (!isDone() && performance.now() < end) {
      if (canWait()) Atomics.wait(control, WORD.DONE, Atomics.load(control, WORD.DONE), 100);
    }
    Atomics.store(control, WORD.CALLER_SLEEPS, 0);
  }

  assertWhole(): void {
    if (!this.#lost) return;
    throw new EngineError(
      "WORKER_LOST: a thread of this engine ended in the middle of a kernel, whose result is not whole: dispose the engine",
    );
  }

  /** Ends the workers, those that have not started yet too. */
  end(): void {
    unwatch(this);
    endWorkers(this.#control, this.#workers);
  }
}

function endWorkers(control: Int32Array, workers: readonly Worker[]): void {
  Atomics.store(control, WORD.ENDED, 1);
  Atomics.store(control, WORD.LEFT, -1);
  Atomics.notify(control, WORD.LEFT);
  for (const worker of workers) worker.end();
}

export interface TeamOptions {
  /** Workers: one fewer than threads. */
  readonly count: number;
  /** The kernels by number. */
  readonly names: readonly string[];
  readonly isWide: () => boolean;
  /** Milliseconds; default LOST_MS. */
  readonly lostAfter?: number;
  /** Milliseconds; default MOST_REST_MS. */
  readonly mostRest?: number;
  /** What workers run. */
  readonly program?: string;
}

/** Cores of this machine, as far as the runtime tells; else 1. */
function cores(): number {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  const os = builtin<{ availableParallelism(): number }>("node:os");
  return os?.availableParallelism() ?? navigator?.hardwareConcurrency ?? 1;
}

/** Whether this thread may sleep: a browser's main thread may not, and looks again and again instead. */
let mayWait: boolean | undefined;
function canWait(): boolean {
  if (mayWait === undefined) {
    try {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
      mayWait = true;
    } catch {
      mayWait = false;
    }
  }
  return mayWait;
}
