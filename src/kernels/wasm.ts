import { instantiateSync } from "@assemblyscript/loader";
import { EngineError, MemoryError } from "../errors.js";
import type { LinearMemory } from "../memory.js";
import type { KernelSet, Kernels } from "./kernels.js";
import * as relaxedSimd from "./relaxed-simd.wasm.js";
import * as simd from "./simd.wasm.js";
import type { Code } from "./wide/compile.js";
import { isExportName } from "./wide/module-bytes.js";

/**
 * The WebAssembly kernels. The module travels as base64 inside the JavaScript (written by `npm run build`): it survives every
 * bundler, needs no file access or top-level await, and decodes in well under a millisecond.
 */
export type WasmKernelSet = Exclude<KernelSet, "js">;

const BUILDS = { "relaxed-simd": relaxedSimd, simd };

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
  return WebAssembly.validate(PROBES[set]());
}

const compiled = new Map<string, WebAssembly.Module>();

function compile(set: WasmKernelSet, isShared: boolean): WebAssembly.Module {
  const key = `${set} ${isShared}`;
  let module = compiled.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(codeOf(set, isShared).bytes);
    compiled.set(key, module);
  }
  return module;
}

/** A build, for a memory that is shared or is not. */
export function codeOf(set: WasmKernelSet, isShared: boolean): Code {
  const { base64, widening } = BUILDS[set];
  const bytes = decodeBase64(base64);
  if (!isShared) askForUnsharedMemory(bytes);
  return { bytes, widening };
}

/** One byte of the module says whether it asks for a shared memory; where there is none it must not. */
function askForUnsharedMemory(bytes: Uint8Array): void {
  const text = (name: string): number[] => [name.length, ...Array.from(name, (character) => character.charCodeAt(0))];
  // the import env.memory, up to the kind of its limits: 3 is shared with a maximum, 1 is not shared
  const memoryImport = [...text("env"), ...text("memory"), 2, 3];
  const start = bytes.findIndex((_, i) => memoryImport.every((byte, j) => bytes[i + j] === byte));
  bytes[start + memoryImport.length - 1] = 1;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const { Buffer } = globalThis as { Buffer?: { from(text: string, encoding: "base64"): Uint8Array } };
  // in Node ten times as fast as atob
  if (Buffer !== undefined) return new Uint8Array(Buffer.from(text, "base64"));
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** The module's exports beside the kernels themselves. */
interface Setup {
  isRelaxed(): number;
  workBytes(): number;
  useWork(address: number): void;
}

/** Which of its tiles the module uses; the results are the same. */
export interface Tiles {
  /** 4x16 instead of 4x8: for code that V8 has merged into 256 bits. */
  useWide(wide: boolean): void;
  /** 6 rows where there are as many: only in the relaxed-simd build, and only for a compiler that keeps the order of loads. */
  useTall(tall: boolean): void;
  /** Computes the same in tiles of 8 or of 16 columns, `turns` times: which one is faster tells whether the code is wide. */
  calibrate(columns: number, turns: number): void;
}

export type WasmKernels = Kernels & Tiles;

/**
 * V8 before 13 moves the loads of a basic block to its top, and a tile of 6 rows runs out of registers. This is about speed alone, so an
 * engine that does not tell gets the smaller tile.
 */
function keepsOrderOfLoads(): boolean {
  const { process } = globalThis as { process?: { versions?: { v8?: string } } };
  return Number.parseInt(process?.versions?.v8 ?? "", 10) >= 13;
}

/** Kernels over `memory`, with a work area allocated in it. Throws EngineError where they do not instantiate. */
export function loadKernels(set: WasmKernelSet, memory: LinearMemory): WasmKernels {
  return openModule(compile(set, memory.isShared), memory);
}

/** Kernels that were compiled elsewhere: of the set asked for, or of any. Throws EngineError where they do not fit. */
export function kernelsOf(
  module: WebAssembly.Module,
  set: WasmKernelSet | undefined,
  memory: LinearMemory,
): WasmKernels {
  const kernels = openModule(module, memory);
  if (set !== undefined && kernels.set !== set) {
    throw new EngineError(`createEngine: module: got "${kernels.set}" kernels, expected "${set}"`);
  }
  return kernels;
}

/** Kernels of a module that was compiled before; likewise. */
export function openModule(module: WebAssembly.Module, memory: LinearMemory): WasmKernels {
  let exports: Omit<WasmKernels, "set"> & Setup;
  try {
    // the loader's own `exports` wrap every function once more
    const { instance } = instantiateSync(module, { env: { memory: memory.memory } });
    exports = instance.exports as unknown as typeof exports;
    exports.useWork(memory.allocate(exports.workBytes()));
    exports.useTall(keepsOrderOfLoads());
  } catch (cause) {
    if (cause instanceof MemoryError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(`createEngine: the kernels do not instantiate here: ${reason}`, { cause });
  }
  const named = Object.entries(exports).filter(([name]) => !isExportName(name));
  return { set: exports.isRelaxed() ? "relaxed-simd" : "simd", ...(Object.fromEntries(named) as typeof exports) };
}
