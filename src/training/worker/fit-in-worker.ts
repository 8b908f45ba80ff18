import { checkOptions, reasonOf, show } from "../../checks.js";
import {
  ArgumentError,
  EngineError,
  FormatError,
  LanegradError,
  MemoryError,
  ShapeError,
  StateError,
} from "../../errors.js";
import type { Bytes, Signal, Url } from "../../host-types.js";
import type * as lanegrad from "../../index.js";
import type { Layer } from "../../layers/layer.js";
import { carrying } from "../fit.js";
import { type BatchInfo, checkCallback, type EpochRecord, type FitOptions, isSignal } from "../settings.js";
import { ownFile } from "./library.js";
import type { FromWorker, Start, ToWorker } from "./messages.js";
import { moduleUrl } from "./module-url.js";
import { type End, type RunningWorker, startWorker } from "./start.js";
import { programText } from "./text.js";
import { describeThrown, type ErrorClass, reviveThrown } from "./thrown.js";

/** What the module that trains gets beside its options. */
export interface WorkerContext {
  /** The library, as `import * as lg from "lanegrad"` gives it. Its default engine is the worker's own. */
  lg: typeof lanegrad;
  /** Aborted when the caller's signal is. */
  signal: Signal;
  /** Sends a value, cloned, to the caller's `onReport`. Throws an ArgumentError for one that cannot be cloned. */
  report(value: unknown): void;
}

/** What the module that trains returns: what `fit` gets. */
export interface WorkerTraining {
  /** What is trained. */
  net: Layer;
  /** The options of `fit`. Its callbacks and its signal work beside the caller's. */
  fit: FitOptions;
}

/** The default export of a module that trains in a worker. */
export type WorkerModule<Options = unknown> = (
  options: Options,
  context: WorkerContext,
) => WorkerTraining | Promise<WorkerTraining>;

/** The caller's side of a training in a worker. */
export interface FitInWorkerOptions {
  /** Called after each batch, and awaited by the training. `false` ends it, as in `fit`. */
  onBatch?: (info: BatchInfo) => unknown;
  /** Called after each epoch, and awaited by the training. `false` ends it, as in `fit`. */
  onEpoch?: (record: EpochRecord) => unknown;
  /** Called with what the module reports; the training does not wait. */
  onReport?: (value: unknown) => unknown;
  /** An AbortSignal: the training ends after the current batch, and the promise rejects with the signal's reason. */
  signal?: Signal;
}

/** What a training in a worker gives back. */
export interface FitInWorkerResult {
  /** The trained net as a safetensors file: `save(net)`. */
  state: Bytes;
  /** What `fit` resolved to. */
  history: EpochRecord[];
}

/** How long a thread whose training is done may take to end, in milliseconds: it may still print. */
const LAST_WORDS = 200;
/** How long an aborted training may take to end: its current batch, a file that it writes. */
const LAST_BATCH = 5000;

/**
 * `fit` in a worker thread (a Web Worker in browsers), with an engine of its own: this thread stays free however large a step is. The result
 * has the bits that `fit` gives in this thread. The worker has ended when the promise settles.
 *
 * `module` is what trains, a URL or a path (relative to the working directory; in browsers to the page). Its default export is called as
 * `(options, { lg, signal, report }) => ({ net, fit })`, and may be async. The runtime loads it as it loads modules in workers, with the
 * flags of this process. `options` are cloned (structuredClone); an array over a SharedArrayBuffer is shared. A module with an export named
 * `lg` is given that library: so it works in bundles, where lanegrad has no file of its own.
 *
 * Rejects with what the module or `fit` throws there, an error of the same class, code, message, cause and history; with the signal's
 * reason, which has the `history` if it is an object; with what a callback throws; with ArgumentError for wrong arguments, for options that
 * cannot be cloned, and for a module that is not there or has no such export; with EngineError where there are no workers, and for a worker
 * that ends before its training does. That error has the `history`, too.
 */
export async function fitInWorker<Options>(
  module: Url | string,
  options?: Options,
  settings?: FitInWorkerOptions,
): Promise<FitInWorkerResult> {
  const given = checkOptions(settings, ["signal", "onEpoch", "onBatch", "onReport"], "fitInWorker");
  checkCallback(given.onBatch, "onBatch", "fitInWorker");
  checkCallback(given.onEpoch, "onEpoch", "fitInWorker");
  checkCallback(given.onReport, "onReport", "fitInWorker");
  const { signal } = given;
  if (signal !== undefined && !isSignal(signal, "fitInWorker")) {
    throw new ArgumentError(`fitInWorker: signal: got ${show(signal)}, expected an AbortSignal`);
  }
  const url = moduleUrl(module);
  if (signal?.aborted) throw carrying(signal.reason, []);
  return new Run(given).run({
    type: "start",
    module: url,
    library: ownFile(),
    options,
    asksAtBatches: given.onBatch !== undefined,
    asksAtEpochs: given.onEpoch !== undefined,
  });
}

/** One training, seen from the caller's thread. */
class Run {
  readonly #options: FitInWorkerOptions;
  readonly #history: EpochRecord[] = [];
  #worker: RunningWorker | undefined;
  #reports: Promise<unknown> = Promise.resolve();
  #settle!: (outcome: () => FitInWorkerResult, patience: number) => void;
  /** How the training went, and how long the thread has to end. */
  readonly #outcome = new Promise<{ outcome: () => FitInWorkerResult; patience: number }>((resolve) => {
    this.#settle = (outcome, patience) => resolve({ outcome, patience });
  });

  constructor(options: FitInWorkerOptions) {
    this.#options = options;
  }

  async run(start: Start): Promise<FitInWorkerResult> {
    const worker = startWorker(programText(), {
      onMessage: (message) => this.#receive(message as FromWorker),
      onGone: (end) => this.#fail(this.#lost(end)),
    });
    this.#worker = worker;
    const signal = this.#options.signal as AbortSignal | undefined;
    let lastBatch: ReturnType<typeof setTimeout> | undefined;
    const abort = (): void => {
      this.#post({ type: "abort", reason: describeThrown(signal!.reason) });
      lastBatch = setTimeout(() => this.#fail(carrying(signal!.reason, this.#history)), LAST_BATCH);
    };
    try {
      this.#begin(worker, start);
      signal?.addEventListener("abort", abort);
      const { outcome, patience } = await this.#outcome;
      await worker.end(patience);
      await this.#reports;
      return outcome();
    } finally {
      signal?.removeEventListener("abort", abort);
      clearTimeout(lastBatch);
      await worker.end(0);
    }
  }

  #begin(worker: RunningWorker, start: Start): void {
    try {
      worker.post(start);
    } catch (cause) {
      throw new ArgumentError(`fitInWorker: options: they cannot be cloned: ${reasonOf(cause)}`, { cause });
    }
  }

  #post(message: ToWorker): void {
    this.#worker?.post(message);
  }

  #fail(error: unknown, patience = 0): void {
    this.#settle(() => {
      throw error;
    }, patience);
  }

  #receive(message: FromWorker): void {
    const { onBatch, onEpoch, onReport, signal } = this.#options;
    switch (message.type) {
      case "batch":
        void this.#tell(onBatch, message.info);
        break;
      case "epoch":
        this.#history.push(message.record);
        void this.#tell(onEpoch, message.record);
        break;
      case "report":
        this.#reports = Promise.all([this.#reports, this.#report(onReport, message.value)]);
        // the training may be over by the time that somebody waits for them
        this.#reports.catch(() => {});
        break;
      case "done": {
        const { state, history } = message;
        if (signal?.aborted) this.#fail(carrying(signal.reason, history), LAST_WORDS);
        else this.#settle(() => ({ state: state as Bytes, history }), LAST_WORDS);
        break;
      }
      case "failed": {
        const error = reviveThrown(message.thrown, classOf);
        const { history = this.#history } = Object(error) as { history?: EpochRecord[] };
        this.#fail(signal?.aborted ? carrying(signal.reason, history) : error, LAST_WORDS);
      }
    }
  }

  /** Calls a callback for which the worker waits, and answers. */
  async #tell<T>(callback: ((told: T) => unknown) | undefined, told: T): Promise<void> {
    if (callback === undefined) return;
    try {
      const answer = this.#options.signal?.aborted ? undefined : await callback(told);
      this.#post({ type: "answer", ends: answer === false });
    } catch (error) {
      this.#fail(error);
    }
  }

  async #report(callback: FitInWorkerOptions["onReport"], value: unknown): Promise<void> {
    try {
      await callback?.(value);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** What a worker is that ended before its training did. */
  #lost(end: End): unknown {
    const { signal } = this.#options;
    if (signal?.aborted) return carrying(signal.reason, this.#history);
    const cause = "error" in end ? end.error : undefined;
    const words = "error" in end ? reasonOf(end.error) : end.words;
    return carrying(
      new EngineError(`fitInWorker: the worker was lost: ${words}`, cause === undefined ? undefined : { cause }),
      this.#history,
    );
  }
}

/** The library's class of this name. */
function classOf(name: string, code: unknown): ErrorClass | undefined {
  if (typeof code !== "string" || !code.startsWith("ERR_LANEGRAD")) return undefined;
  const own = [ArgumentError, EngineError, FormatError, LanegradError, MemoryError, ShapeError, StateError];
  return own.find((error) => error.name === name);
}
