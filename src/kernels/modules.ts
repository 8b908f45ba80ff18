import { neededGroups } from "./groups.js";
import type { KernelSet } from "./kernels.js";
import { askForUnsharedMemory, decode } from "./module-text.js";
import { core } from "./pieces.js";
import type { Code } from "./wide/compile.js";

/**
 * The kernel modules that travel inside the JavaScript: they survive every bundler and need no file access or top-level await. A program
 * has the core, and a module for each group of kernels that its layers need. modules.edge.ts stands in for this file where nothing can
 * be compiled from bytes.
 */

export type WasmKernelSet = Exclude<KernelSet, "js">;

/**
 * A module in both sets, which have most of their functions in common: pieces of both, of each, of both, and so on in turns
 * (pieces.ts, written by `npm run build`).
 */
export interface ModulePieces {
  readonly pieces: readonly string[];
  /** Functions that can be widened, by their places in the module. */
  readonly widening: Readonly<Record<WasmKernelSet, readonly number[]>>;
}

const TURNS = 3;
const TURN: Record<WasmKernelSet, number> = { simd: 1, "relaxed-simd": 2 };

/** Whether the modules can be had for a shared memory. */
export const isMadeForSharing: boolean = true;

/** Whether this build has a set. */
export const hasModules = (set: WasmKernelSet): boolean => set in TURN;

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

/** Their bytes, and which of their functions can be widened. */
export function codesOf(set: WasmKernelSet, isShared: boolean): Code[] {
  const groups = neededGroups().flatMap((group) => group.module() ?? []);
  return [core, ...groups].map(({ pieces, widening }) => {
    const bytes = decode(pieces.filter((_, i) => i % TURNS === 0 || i % TURNS === TURN[set]).join(""));
    if (!isShared) askForUnsharedMemory(bytes);
    return { bytes, widening: widening[set] };
  });
}
