import simd from "#simd-module";
import { EngineError } from "../errors.js";
import type { WasmKernelSet } from "./modules.js";
import type { Code } from "./wide/compile.js";

/**
 * Stands in for modules.ts on edge runtimes, which compile what is imported and nothing else. One set, since a runtime that does not
 * know an imported module's instructions does not start at all; another one comes in through `createEngine({ module })`.
 */

/** The module is whole. */
export const imagePieces: Readonly<Record<number, string>> = {};

/** Edge runtimes have no SharedArrayBuffer. */
export const isMadeForSharing: boolean = false;

export const hasModule = (set: WasmKernelSet): boolean => set === "simd";

export function codeOf(): Code {
  throw new EngineError("the kernels of this build are compiled already");
}

export function moduleOf(set: WasmKernelSet, isShared: boolean): WebAssembly.Module {
  if (!hasModule(set) || isShared)
    throw new EngineError(`no ${isShared ? "shared " : ""}"${set}" kernels in this build`);
  return simd;
}
