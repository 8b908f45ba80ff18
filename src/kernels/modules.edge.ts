import simd from "#simd-module";
import { EngineError } from "../errors.js";
import type { WasmKernelSet } from "./modules.js";

/**
 * Stands in for modules.ts on edge runtimes, which compile only what is imported: one module with every kernel. One set, since a runtime
 * that does not know an imported module's instructions does not start at all; another one comes in through `createEngine({ module })`.
 */

/** Edge runtimes have no SharedArrayBuffer. */
export const isMadeForSharing: boolean = false;

export const hasModules = (set: WasmKernelSet): boolean => set === "simd";

export function modulesOf(set: WasmKernelSet, isShared: boolean): readonly WebAssembly.Module[] {
  if (!hasModules(set) || isShared)
    throw new EngineError(`no ${isShared ? "shared " : ""}"${set}" kernels in this build`);
  return [simd];
}
