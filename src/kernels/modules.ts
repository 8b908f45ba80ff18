import { codesOf } from "./codes.js";
import type { KernelSet } from "./kernels.js";

/** The kernels' modules, compiled here. modules.edge.ts stands in for this file where nothing can be compiled from bytes. */

export type WasmKernelSet = Exclude<KernelSet, "js">;

/** Whether the modules can be had for a shared memory. */
export const isMadeForSharing: boolean = true;

/** Whether this build has a set. */
export const hasModules = (_set: WasmKernelSet): boolean => true;

const compiled = new Map<string, readonly WebAssembly.Module[]>();

/** The modules of a set, the core first, for a memory that is shared or not; compiled once. */
export function modulesOf(set: WasmKernelSet, isShared: boolean): readonly WebAssembly.Module[] {
  const key = `${set} ${isShared}`;
  let modules = compiled.get(key);
  if (modules === undefined) {
    modules = codesOf(set, isShared).map(({ bytes }) => new WebAssembly.Module(bytes));
    compiled.set(key, modules);
  }
  return modules;
}
