import { EngineError } from "../../errors.js";
import { builtin } from "../../host-types.js";

/** How a worker ended, if not as it should: an error that nobody caught, or words. */
export type End = { readonly error: unknown } | { readonly words: string };

/** A worker that runs, whatever the runtime. */
export interface RunningWorker {
  /** Throws what structured clone throws. */
  post(message: unknown): void;
  /** Resolves when the thread is no more; it may end by itself for `patience` milliseconds, and is stopped then. */
  end(patience: number): Promise<void>;
}

interface Listeners {
  onMessage(message: unknown): void;
  /** It is called when the worker is gone, unless `end` was called. */
  onGone(end: End): void;
}

/** Starts a worker with the text of its program. Throws an EngineError if that fails. */
export function startWorker(text: string, listeners: Listeners): RunningWorker {
  try {
    const threads = builtin<NodeThreads>("node:worker_threads");
    if (threads?.Worker !== undefined) return startThread(threads.Worker, text, listeners);
    const { Worker } = globalThis as unknown as { Worker?: WebWorkerClass };
    if (Worker !== undefined) return startWebWorker(Worker, text, listeners);
  } catch (cause) {
    throw new EngineError("fitInWorker: a worker could not be started", { cause });
  }
  throw new EngineError("fitInWorker: this runtime has no workers: use fit");
}

interface NodeWorker {
  on(event: string, listener: (value: never) => void): void;
  postMessage(message: unknown): void;
  terminate(): Promise<unknown>;
}

interface NodeThreads {
  readonly Worker?: new (text: string, options: object) => NodeWorker;
}

function startThread(
  Worker: NonNullable<NodeThreads["Worker"]>,
  text: string,
  { onMessage, onGone }: Listeners,
): RunningWorker {
  // it takes over the process's flags, with which a module may need to be loaded
  const worker = new Worker(text, { eval: true, name: "lanegrad fit" });
  let isEnding = false;
  let end: End | undefined;
  const gone = new Promise<void>((resolve) => {
    worker.on("exit", (code: number) => {
      resolve();
      if (!isEnding) onGone(end ?? { words: `it ended with exit code ${code}` });
    });
  });
  worker.on("message", onMessage);
  worker.on("error", (error: unknown) => {
    end = { error };
  });
  return {
    post: (message) => worker.postMessage(message),
    async end(patience) {
      isEnding = true;
      const timer = setTimeout(() => void worker.terminate(), patience);
      await gone;
      clearTimeout(timer);
    },
  };
}

interface WebWorker {
  onmessage: (event: { data: unknown }) => void;
  onerror: (event: { message?: string; preventDefault(): void }) => void;
  postMessage(message: unknown): void;
  terminate(): void;
}

type WebWorkerClass = new (url: string, options: { type: "module" }) => WebWorker;

function startWebWorker(Worker: WebWorkerClass, text: string, { onMessage, onGone }: Listeners): RunningWorker {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onGone({ words: event.message ?? "it could not be loaded" });
  };
  return {
    post: (message) => worker.postMessage(message),
    async end() {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
