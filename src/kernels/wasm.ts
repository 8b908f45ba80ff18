import { instantiateSync } from "@assemblyscript/loader";
import { EngineError, MemoryError } from "../errors.js";
import type { LinearMemory } from "../memory.js";
import type { KernelSet, Kernels } from "./kernels.js";
import simdBase64 from "./simd.wasm.js";

/**
 * The WebAssembly kernels. The module travels as base64 inside the JavaScript (written by `npm run build`): it survives every
 * bundler, needs no file access or top-level await, and decodes in well under a millisecond.
 */
type WasmKernelSet = Exclude<KernelSet, "js">;

const MODULES: Partial<Record<WasmKernelSet, string>> = { simd: simdBase64 };

/** (func (result v128) i32.const 0, i8x16.splat): validates where there are 128-bit lanes. Never ask the version. */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

/** The fastest set of kernels that this runtime validates. */
export function bestKernelSet(): KernelSet {
  return isAvailable("simd") ? "simd" : "js";
}

export function isAvailable(set: WasmKernelSet): boolean {
  return MODULES[set] !== undefined && WebAssembly.validate(SIMD_PROBE);
}

const compiled = new Map<string, WebAssembly.Module>();

function compile(set: WasmKernelSet, isShared: boolean): WebAssembly.Module {
  const key = `${set} ${isShared}`;
  let module = compiled.get(key);
  if (module === undefined) {
    const base64 = MODULES[set];
    if (base64 === undefined) throw new EngineError(`kernels "${set}" are not part of this build`);
    const bytes = decodeBase64(base64);
    if (!isShared) askForUnsharedMemory(bytes);
    module = new WebAssembly.Module(bytes);
    compiled.set(key, module);
  }
  return module;
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

/** What the module exports beside the kernels themselves. */
interface Setup {
  workBytes(): number;
  useWork(address: number): void;
}

/**
 * Kernels over `memory`, with a work area allocated in it. `module` are kernels compiled elsewhere.
 * Throws EngineError where the module does not fit this version or this runtime.
 */
export function loadKernels(set: WasmKernelSet, memory: LinearMemory, module = compile(set, memory.isShared)): Kernels {
  let exports: Omit<Kernels, "set"> & Setup;
  try {
    // the loader's own `exports` wrap every function once more
    const { instance } = instantiateSync(module, { env: { memory: memory.memory } });
    exports = instance.exports as unknown as typeof exports;
    exports.useWork(memory.allocate(exports.workBytes()));
  } catch (cause) {
    if (cause instanceof MemoryError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(`createEngine: kernels "${set}" do not instantiate here: ${reason}`, { cause });
  }
  return { set, ...exports };
}
