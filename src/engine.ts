import { COPY, checkBoolean, checkOneOf, checkOptions, checkSeed, checkSize, type Mark, mark, show } from "./checks.js";
import { ArgumentError, EngineError } from "./errors.js";
import type { WasmModule } from "./host-types.js";
import { createTwin } from "./kernels/js/index.js";
import type { KernelSet, Kernels } from "./kernels/kernels.js";
import { Team } from "./kernels/threads/team.js";
import { kernelNames, threaded } from "./kernels/threads/threaded.js";
import { exerciseKernels } from "./kernels/warm-up.js";
import {
  bestKernelSet,
  isAvailable,
  isModule,
  kernelsOf,
  loadKernels,
  type WasmKernels,
  wantsSharedMemory,
} from "./kernels/wasm.js";
import { isWideByDefault } from "./kernels/wide/gate.js";
import { openWide } from "./kernels/wide/wide.js";
import type { Width } from "./kernels/wide/width.js";
import { LinearMemory } from "./memory.js";
import { RandomGenerator } from "./random.js";
import { checkShape, handOut, type Tensor, type TensorData, tensorFrom, zerosTensor } from "./tensor.js";

/** What an engine is made with. */
export interface EngineOptions {
  /**
   * "relaxed-simd" (multiplies and adds in one instruction), "simd" (the same bits on every machine), "js" (plain JavaScript), or "auto", the
   * default: the fastest that this runtime has.
   */
  kernels?: "auto" | KernelSet;
  /**
   * How many threads large kernel calls are split over, an integer >= 1; default 1. The others are worker threads, which take a few tens of
   * milliseconds to start; the engine works meanwhile. The results have the same bits for every number. "js" kernels have one thread, and so has
   * a runtime that has no workers or cannot share memory.
   */
  threads?: number;
  /** Bytes that the linear memory may grow to, at most 4 GiB; default 1 GiB. If the runtime has no room, less: see `engine.memory.maximum`. */
  maximumMemory?: number;
  /**
   * Kernels of 256 bits where V8 can make them (Node 24 and 26 on x64): the same results in about half the time. This is an experiment:
   * while the engine is made, an experimental flag of V8 is on for the whole process. If it is refused, `engine.wideReason` says why.
   * Default false, or true if the environment has LANEGRAD_WIDE=1.
   */
  wide?: boolean;
  /** Kernels that were compiled elsewhere: a module of "lanegrad/kernels/*.wasm", of this version. Its memory is not shared, so it runs on one thread. */
  module?: WasmModule;
  /** Seed of the engine's generator (initialisation, shuffling), a safe integer; default 0. */
  seed?: number;
}

/** Bytes of an engine's memory. */
export interface MemoryUse {
  /** In live tensors, layers' buffers and the kernels' work area. */
  used: number;
  /** The most that was ever in use. */
  peak: number;
  /** The size of the linear memory. */
  reserved: number;
  /** What the linear memory may grow to. */
  maximum: number;
}

const OPTIONS = ["kernels", "threads", "maximumMemory", "wide", "module", "seed"] as const;
const KERNEL_SETS = ["auto", "relaxed-simd", "simd", "js"] as const;
const DEFAULT_MAXIMUM_MEMORY = 1_073_741_824;
const ADDRESSABLE_MEMORY = 4_294_967_296;

/** Kernels, linear memory and a seeded generator. Tensors and layers belong to one engine. Made by `createEngine`. */
export class Engine {
  /** The kernel set that runs. */
  readonly kernels: KernelSet;
  /** @internal */
  readonly generator: RandomGenerator;
  // undefined once the engine is disposed
  #alive: ({ linear: LinearMemory } & Opened) | undefined;
  // a view keeps its tensor alive
  readonly #viewed = new WeakMap<Float32Array, Tensor>();

  /** @internal */
  constructor(options: EngineOptions) {
    const {
      kernels = "auto",
      threads = 1,
      maximumMemory = DEFAULT_MAXIMUM_MEMORY,
      wide = isWideByDefault(),
      module,
      seed = 0,
    } = options;
    checkOneOf(kernels, KERNEL_SETS, "createEngine: kernels");
    checkSize(threads, "createEngine: threads");
    checkSize(maximumMemory, "createEngine: maximumMemory");
    if (maximumMemory > ADDRESSABLE_MEMORY) {
      throw new ArgumentError(
        `createEngine: maximumMemory: got ${maximumMemory}, expected at most ${ADDRESSABLE_MEMORY} bytes`,
      );
    }
    checkBoolean(wide, "createEngine: wide");
    checkSeed(seed, "createEngine: seed");
    if (module !== undefined && typeof WebAssembly === "undefined") {
      throw new EngineError("createEngine: module: this runtime has no WebAssembly");
    }
    if (module !== undefined && !isModule(module)) {
      throw new ArgumentError(`createEngine: module: got ${show(module)}, expected a WebAssembly.Module`);
    }
    if (module !== undefined && kernels === "js") {
      throw new EngineError('createEngine: module: the "js" kernels take none');
    }
    const set = kernels === "auto" ? bestKernelSet() : kernels;
    if (set !== "js" && module === undefined && !isAvailable(set)) {
      throw new EngineError(
        `createEngine: kernels ${show(set)} are not available here; "auto" picks from those that are`,
      );
    }
    const linear = new LinearMemory({
      maximum: maximumMemory,
      isShared: wantsSharedMemory(module),
      mayBeArray: set === "js" || (kernels === "auto" && module === undefined),
    });
    try {
      const opened = openKernels(set, linear, { isAuto: kernels === "auto", module, wide, threads });
      this.kernels = opened.ops.set;
      this.#alive = { linear, ...opened };
    } catch (error) {
      linear.release();
      throw error;
    }
    linear.settle();
    this.generator = new RandomGenerator(seed);
  }

  /** How many threads kernels are split over right now. */
  get threads(): number {
    return this.#alive?.team?.threads ?? 1;
  }

  /** Settles when every thread has reported in, or will not: after 10 s at the latest. */
  get ready(): Promise<void> {
    return this.#alive?.team?.ready() ?? Promise.resolve();
  }

  /**
   * Whether kernels of 256 bits are in effect. It is measured at each call, in a third of a millisecond. Once a debugger is attached it
   * becomes false, and stays so; results keep the same bits.
   */
  get wide(): boolean {
    return this.wideReason === "";
  }

  /** Why `wide` is false; empty if it is true. */
  get wideReason(): string {
    const width = this.#alive?.width ?? "the engine was disposed";
    if (typeof width === "string") return width;
    return width.look() ? "" : "the kernels are not wide at present: a debugger is or was attached";
  }

  /** Looks for a private field: no proxy can fake or hide it. @internal */
  static isOne(value: unknown): value is Engine {
    return typeof value === "object" && value !== null && #alive in value;
  }

  /** @internal */
  get [COPY](): Mark {
    return mark("Engine");
  }

  /** Bytes in use, their peak, and what is reserved and allowed. Throws EngineError once the engine is disposed. */
  get memory(): MemoryUse {
    const { used, peak, reserved, maximum } = this.linear;
    return { used, peak, reserved, maximum };
  }

  /** Runs every kernel until V8 has compiled it well, so that the first step is not slow; takes a few milliseconds. */
  warmUp(): void {
    this.assertAlive();
    exerciseKernels(this.ops, this.linear);
  }

  /**
   * A tensor of this engine with a copy of `data`: a Float32Array or Float64Array, of shape [length] unless another is given, or numbers
   * nested as deep as the shape. Throws ShapeError if data and shape do not fit or arrays are ragged, ArgumentError for a value that is no number,
   * MemoryError if there is no room.
   */
  tensor(data: TensorData, shape?: readonly number[]): Tensor {
    return handOut(tensorFrom(this, data, shape));
  }

  /** A tensor of zeros in this shape, sizes >= 0. Throws ShapeError or ArgumentError for a wrong shape, MemoryError if there is no room. */
  zeros(shape: readonly number[]): Tensor {
    this.assertAlive();
    return handOut(zerosTensor(this, checkShape(shape, "zeros")));
  }

  /**
   * Frees the memory; the next engine of the same `maximumMemory` takes it over, unless it is large. Any use of the engine, its tensors and
   * layers afterwards is an EngineError. A `data` that was fetched before still lies over that memory: do not write to it any more.
   * Disposing twice does nothing.
   */
  dispose(): void {
    const alive = this.#alive;
    this.#alive = undefined;
    alive?.team?.end();
    alive?.linear.release({ mayBeWritten: alive.team?.mayWrite });
  }

  /** As `dispose`, at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#alive === undefined;
  }

  /** @internal */
  assertAlive(): void {
    if (this.#alive === undefined) throw new EngineError("the engine was disposed");
  }

  /** @internal */
  get linear(): LinearMemory {
    this.assertAlive();
    return this.#alive!.linear;
  }

  /** @internal */
  get ops(): Kernels {
    this.assertAlive();
    return this.#alive!.ops;
  }

  /** @internal */
  keepAlive(view: Float32Array, tensor: Tensor): void {
    this.#viewed.set(view, tensor);
  }
}

interface Opened {
  readonly ops: Kernels;
  /** The width of widened kernels, or why they are not wide. */
  readonly width: Width | string;
  /** The threads, where there are several. */
  readonly team?: Team;
}

interface Choice {
  readonly isAuto: boolean;
  readonly module: WebAssembly.Module | undefined;
  readonly wide: boolean;
  readonly threads: number;
}

/** The kernels of a set, or of a given module. With "auto" a given module decides the set, and the twin takes the place of kernels that fail. */
function openKernels(set: KernelSet, linear: LinearMemory, { isAuto, module, wide, threads }: Choice): Opened {
  if (set === "js" || linear.isArray) return openTwin(linear);
  if (module !== undefined) {
    const kernels = kernelsOf(module, isAuto ? undefined : set, linear);
    return onThreads(threads, linear, kernels, "the module was compiled elsewhere");
  }
  try {
    const width = wide ? openWide(set, linear) : "not asked for: createEngine({ wide: true }) or LANEGRAD_WIDE=1";
    return onThreads(threads, linear, typeof width === "string" ? loadKernels(set, linear) : width.kernels, width);
  } catch (error) {
    if (isAuto && error instanceof EngineError) return openTwin(linear);
    throw error;
  }
}

function onThreads(threads: number, linear: LinearMemory, kernels: WasmKernels, width: Width | string): Opened {
  const ops = typeof width === "string" ? kernels : width.watched();
  if (threads === 1 || !linear.isShared) return { ops, width };
  const isWide = (): boolean => typeof width !== "string" && width.isWide;
  const team = new Team(kernels, linear, { count: threads - 1, names: kernelNames(), isWide });
  return { ops: threaded(ops, team, linear, threads), width, team };
}

const openTwin = (linear: LinearMemory): Opened => ({
  ops: createTwin(linear),
  width: "the js kernels are no WebAssembly",
});

/**
 * Makes an engine: kernels over a linear memory of their own. Throws ArgumentError for a wrong option, EngineError for kernels that were asked
 * for by name and that this runtime does not have, MemoryError if `maximumMemory` is too small for the kernels' work area or the runtime has
 * no room.
 */
export function createEngine(options?: EngineOptions): Engine {
  return new Engine(checkOptions(options, OPTIONS, "createEngine"));
}

let shared: Engine | undefined;

/** The engine that everything uses unless given another. Made on first use, and anew after it was disposed. */
export function defaultEngine(): Engine {
  if (shared === undefined || shared.disposed) shared = createEngine();
  return shared;
}

/**
 * Makes an engine the default one, so that a whole program runs on one seed or kernel set. Layers and tensors that exist stay on theirs.
 * Returns the default engine before it. Throws ArgumentError for anything but an engine, EngineError for a disposed one.
 */
export function setDefaultEngine(engine: Engine): Engine {
  checkEngine(engine, "setDefaultEngine");
  const before = defaultEngine();
  shared = engine;
  return before;
}

/** The engine of `options`, or the default one. @internal */
export function engineFrom({ engine = defaultEngine() }: { engine?: Engine }): Engine {
  return checkEngine(engine, "engine");
}

function checkEngine(engine: unknown, what: string): Engine {
  if (!Engine.isOne(engine)) throw new ArgumentError(`${what}: got ${show(engine)}, expected an Engine`);
  engine.assertAlive();
  return engine;
}

/** A tensor on the default engine; see `Engine.tensor`. */
export function tensor(data: TensorData, shape?: readonly number[]): Tensor {
  return defaultEngine().tensor(data, shape);
}
