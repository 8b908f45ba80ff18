import { instantiateSync } from "@assemblyscript/loader";
import { reasonOf } from "../checks.js";
import { EngineError, LanegradError } from "../errors.js";
import type { LinearMemory } from "../memory.js";
import type { KernelSet, Kernels } from "./kernels.js";
import { hasModules, isMadeForSharing, modulesOf, type WasmKernelSet } from "./modules.js";
import { isInternal } from "./wide/module-bytes.js";

/** A module with one function () -> v128 of this code. */
const probe = (...code: number[]): Uint8Array<ArrayBuffer> => {
  const body = [0, ...code, 11];
  const section = [1, body.length, ...body];
  return new Uint8Array([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
    ...[10, section.length, ...section],
  ]);
};
const SPLAT_OF_0 = [65, 0, 253, 15];

/** Tiny modules that validate where the builds do. Never ask the version. */
const PROBES: Record<WasmKernelSet, () => Uint8Array<ArrayBuffer>> = {
  "relaxed-simd": () => probe(...SPLAT_OF_0, ...SPLAT_OF_0, ...SPLAT_OF_0, 253, 0x85, 2), // f32x4.relaxed_madd
  simd: () => probe(...SPLAT_OF_0),
};

/** The fastest set of kernels that this runtime validates. */
export function bestKernelSet(): KernelSet {
  if (isAvailable("relaxed-simd")) return "relaxed-simd";
  return isAvailable("simd") ? "simd" : "js";
}

export function isAvailable(set: WasmKernelSet): boolean {
  return typeof WebAssembly !== "undefined" && hasModules(set) && WebAssembly.validate(PROBES[set]());
}

/**
 * Whether the memory under the kernels, or under a module compiled elsewhere, is to be shared: wherever that is possible, since a
 * shared memory keeps its views when it grows.
 */
export function wantsSharedMemory(module: WebAssembly.Module | undefined): boolean {
  if (typeof SharedArrayBuffer === "undefined") return false;
  return module === undefined ? isMadeForSharing : linksWithSharedMemory(module);
}

/** The exports of each of our modules over one memory; all but the first, the core, import from it what they share. */
export function link(modules: readonly WebAssembly.Module[], memory: WebAssembly.Memory): WebAssembly.Exports[] {
  const core = instantiate(modules[0], { env: { memory } });
  return [core, ...modules.slice(1).map((module) => instantiate(module, { env: { memory }, core }))];
}

/**
 * A module's exports as they are: what AssemblyScript's loader makes of them for strings and objects, which no kernel passes, would
 * cost a call more.
 */
function instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Exports {
  // the loader would take another realm's module for bytes
  const isOfThisRealm = module instanceof WebAssembly.Module;
  const instance = isOfThisRealm
    ? instantiateSync(module, imports).instance
    : new WebAssembly.Instance(module, imports);
  return instance.exports;
}

/** Whether it is a module, of this realm or another. */
export function isModule(value: unknown): value is WebAssembly.Module {
  try {
    WebAssembly.Module.exports(value as WebAssembly.Module);
    return true;
  } catch {
    return false;
  }
}

/** A module does not say what memory it asks for: one has to try. */
function linksWithSharedMemory(module: WebAssembly.Module): boolean {
  try {
    link([module], new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
    return true;
  } catch {
    return false;
  }
}

/** Exports of the core beside the kernels themselves. */
interface Setup {
  isRelaxed(): number;
  useWork(address: number): void;
}

/** Which tiles the kernels use; the results are the same. */
export interface Tiles {
  /** 4x16 instead of 4x8: for code that V8 has merged into 256 bits. */
  useWide(wide: boolean): void;
  /** 6 rows where there are as many: only in the relaxed-simd build, and only for a compiler that keeps the order of loads. */
  useTall(tall: boolean): void;
  /**
   * Computes the same, `turns` times, on vectors that lie together and can be merged, or apart: which is faster tells whether the code is
   * wide.
   */
  calibrate(together: boolean, turns: number): void;
}

/** What other threads need to run the same kernels. */
export interface Shared {
  readonly modules: readonly WebAssembly.Module[];
  readonly isTall: boolean;
  /** The bytes of a work area: each thread has its own. */
  workBytes(): number;
  /** Which share of their results the next calls compute, and how many shares there are. */
  useShare(share: number, shares: number): void;
}

export type WasmKernels = Kernels & Tiles & Shared;

/**
 * V8 before 13 moves the loads of a basic block to its top, and a tile of 6 rows runs out of registers. Only speed depends on this, so an
 * engine that does not give its version gets the smaller tile.
 */
function keepsOrderOfLoads(): boolean {
  const { process } = globalThis as { process?: { versions?: { v8?: string } } };
  return Number.parseInt(process?.versions?.v8 ?? "", 10) >= 13;
}

/** Kernels over `memory`, with a work area allocated in it. Throws EngineError where they do not compile or instantiate. */
export function loadKernels(set: WasmKernelSet, memory: LinearMemory): WasmKernels {
  return openModules(
    inOurWords(() => modulesOf(set, memory.isShared)),
    memory,
  );
}

/** What the runtime refuses is an EngineError. */
function inOurWords<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof LanegradError) throw cause;
    throw new EngineError(`createEngine: the kernels do not instantiate here: ${reasonOf(cause)}`, { cause });
  }
}

/** Kernels that were compiled elsewhere: of the set asked for, or of any. Throws EngineError where they do not fit. */
export function kernelsOf(
  module: WebAssembly.Module,
  set: WasmKernelSet | undefined,
  memory: LinearMemory,
): WasmKernels {
  const kernels = openModules([module], memory);
  if (set !== undefined && kernels.set !== set) {
    throw new EngineError(`createEngine: module: got "${kernels.set}" kernels, expected "${set}"`);
  }
  return kernels;
}

/** Kernels of modules that were compiled before; likewise. */
export function openModules(modules: readonly WebAssembly.Module[], memory: LinearMemory): WasmKernels {
  const isTall = keepsOrderOfLoads();
  const exports = inOurWords(() => {
    const opened = Object.assign({}, ...link(modules, memory.memory)) as Omit<WasmKernels, "set"> & Setup;
    opened.useWork(memory.allocate(opened.workBytes()));
    opened.useTall(isTall);
    return opened;
  });
  const named = Object.entries(exports).filter(([name]) => !isInternal(name));
  return {
    set: exports.isRelaxed() ? "relaxed-simd" : "simd",
    ...(Object.fromEntries(named) as typeof exports),
    modules,
    isTall,
  };
}
