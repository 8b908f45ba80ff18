import { builtin } from "../../host-types.js";
import type { WorkerStart } from "./worker.js";

/** A worker that was started, whatever the runtime. */
export interface Worker {
  /** Settles when it has reported in, or will not; keeps the process alive until then. */
  started(): Promise<void>;
  /** Ends it. */
  end(): void;
}

interface NodeWorker {
  on(event: string, listener: () => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

interface NodeThreads {
  readonly Worker: new (text: string, options: object) => NodeWorker;
}

/**
 * Starts a worker with the text of its program; undefined where the runtime has none. If it has not reported in after `patience`
 * milliseconds, it will not. `onGone` is called when one that had started is gone.
 */
export function startWorker(
  text: string,
  start: WorkerStart,
  patience: number,
  onGone: () => void,
): Worker | undefined {
  const state = new Started(patience, onGone);
  try {
    const threads = builtin<NodeThreads>("node:worker_threads");
    return threads === undefined ? startInBrowser(text, start, state) : startInNode(threads, text, start, state);
  } catch {
    return undefined;
  }
}

function startInNode({ Worker }: NodeThreads, text: string, start: WorkerStart, state: Started): Worker {
  const worker = new Worker(text, { eval: true, execArgv: [], workerData: start, name: "lanegrad" });
  worker.on("message", () => state.begin());
  // without a listener an error would end the process
  worker.on("error", () => state.end());
  worker.on("exit", () => state.end());
  // after listening, which holds the process
  worker.unref();
  return {
    async started() {
      if (state.isOpen) worker.ref();
      await state.settled();
      worker.unref();
    },
    end() {
      state.end();
      void worker.terminate();
    },
  };
}

interface WebWorker {
  onmessage: () => void;
  onerror: () => void;
  postMessage(message: unknown): void;
  terminate(): void;
}

function startInBrowser(text: string, start: WorkerStart, state: Started): Worker | undefined {
  const { Worker } = globalThis as unknown as { Worker?: new (url: string) => WebWorker };
  if (Worker === undefined) return undefined;
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onmessage = () => state.begin();
  worker.onerror = () => state.end();
  worker.postMessage(start);
  void state.settled().then(() => URL.revokeObjectURL(url));
  return {
    started: () => state.settled(),
    end() {
      state.end();
      worker.terminate();
    },
  };
}

/** Whether a worker has reported in. */
class Started {
  readonly #patience: number;
  readonly #onGone: () => void;
  readonly #settled: Promise<void>;
  #settle!: () => void;
  #hasBegun = false;
  #hasEnded = false;

  constructor(patience: number, onGone: () => void) {
    this.#patience = patience;
    this.#onGone = onGone;
    this.#settled = new Promise((settle) => {
      this.#settle = settle;
    });
  }

  get isOpen(): boolean {
    return !(this.#hasBegun || this.#hasEnded);
  }

  begin(): void {
    this.#hasBegun = true;
    this.#settle();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#hasBegun) this.#onGone();
    this.#settle();
  }

  async settled(): Promise<void> {
    if (!this.isOpen) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((settle) => {
      timer = setTimeout(settle, this.#patience);
    });
    await Promise.race([this.#settled, late]);
    clearTimeout(timer);
  }
}
