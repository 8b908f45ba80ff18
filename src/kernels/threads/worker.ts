// The program of a worker: instances of the modules over the engine's memory, which take chunks of calls as they come. It imports nothing:
// the build makes a text of it (../generated/worker-text.ts), which starts in any runtime without a file of its own.

/** What a worker starts with. */
export interface WorkerStart {
  readonly modules: readonly WebAssembly.Module[];
  readonly memory: WebAssembly.Memory;
  /** The words of `control.ts`. */
  readonly control: SharedArrayBuffer;
  /** Where this worker's work area is. */
  readonly work: number;
  /** From a call's scratch to this worker's, in copies of it. */
  readonly index: number;
  readonly isTall: boolean;
  /** The kernels, as calls number them. */
  readonly names: readonly string[];
  readonly words: typeof import("./control.js").WORD;
  readonly mostArguments: number;
  readonly spinMs: number;
}

type Export = (...args: number[]) => void;

function serve(start: WorkerStart, report: () => void): void {
  const { words: WORD, mostArguments } = start;
  const control = new Int32Array(start.control);
  if (Atomics.load(control, WORD.ENDED) === 1) return;
  const numbers = new Float64Array(start.control, WORD.NUMBERS * 4);
  const kernels = open(start);
  let isWide = 0;

  function runChunk(chunk: number): void {
    if (control[WORD.WIDE] !== isWide) {
      isWide = control[WORD.WIDE];
      kernels.useWide(isWide);
    }
    const args = Array.from(numbers.subarray(0, control[WORD.ARGUMENTS]));
    const axis = control[WORD.AXIS];
    const chunks = control[WORD.CHUNKS];
    const scratch = control[WORD.SCRATCH];
    if (scratch >= 0) args[scratch] += start.index * numbers[2 * mostArguments];
    if (axis < 0) {
      kernels.useShare(chunk, chunks);
    } else {
      kernels.useShare(0, 1);
      const unit = control[WORD.UNIT];
      const from = chunk * unit;
      for (let i = 0; i < args.length; i++) {
        const step = numbers[mostArguments + i];
        // a factor of -0 stays -0
        if (step !== 0) args[i] += from * step;
      }
      args[axis] = Math.min(unit, args[axis] - from);
    }
    kernels[start.names[control[WORD.KERNEL]]](...args);
  }

  /** The number of a chunk that nobody has taken, or -1. */
  function claim(): number {
    for (;;) {
      const left = Atomics.load(control, WORD.LEFT);
      if (left <= 0) return -1;
      if (Atomics.compareExchange(control, WORD.LEFT, left, left - 1) === left) return left - 1;
    }
  }

  function wait(): void {
    for (const end = performance.now() + start.spinMs; performance.now() < end; ) {
      // looking at the clock takes longer than looking at a word
      for (let i = 0; i < 32; i++) if (Atomics.load(control, WORD.LEFT) !== 0) return;
    }
    Atomics.add(control, WORD.SLEEPERS, 1);
    Atomics.wait(control, WORD.LEFT, 0);
    Atomics.sub(control, WORD.SLEEPERS, 1);
  }

  Atomics.add(control, WORD.READY, 1);
  report();
  while (Atomics.load(control, WORD.ENDED) === 0) {
    const chunk = claim();
    if (chunk < 0) {
      wait();
      continue;
    }
    try {
      runChunk(chunk);
    } catch {
      Atomics.store(control, WORD.FAILED, 1);
    }
    Atomics.add(control, WORD.DONE, 1);
    if (Atomics.load(control, WORD.CALLER_SLEEPS) === 1) Atomics.notify(control, WORD.DONE);
  }
}

function open({ modules, memory, work, isTall }: WorkerStart): Record<string, Export> {
  const core = new WebAssembly.Instance(modules[0], { env: { memory } }).exports;
  const groups = modules.slice(1).map((module) => new WebAssembly.Instance(module, { env: { memory }, core }).exports);
  const kernels = Object.assign({}, core, ...groups) as Record<string, Export>;
  kernels.useWork(work);
  kernels.useTall(Number(isTall));
  return kernels;
}

interface NodeThreads {
  readonly workerData: WorkerStart;
  readonly parentPort: { postMessage(message: unknown): void };
}

const host = globalThis as unknown as {
  process?: { getBuiltinModule?(name: string): NodeThreads };
  onmessage?: (event: { data: WorkerStart }) => void;
  postMessage?(message: unknown): void;
  close?(): void;
};
const node = host.process?.getBuiltinModule?.("node:worker_threads");
if (node?.parentPort) {
  serve(node.workerData, () => node.parentPort.postMessage(0));
} else {
  host.onmessage = ({ data }) => {
    serve(data, () => host.postMessage?.(0));
    host.close?.();
  };
}
