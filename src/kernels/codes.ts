import { neededGroups } from "./groups.js";
import { askForMemory, decode } from "./module-text.js";
import type { WasmKernelSet } from "./modules.js";
import { core } from "./pieces.js";
import type { Code } from "./wide/compile.js";

/**
 * The kernels as they travel inside the JavaScript: they survive every bundler and need no file access or top-level await. A program has the
 * core, and a module for each group of kernels that its layers need. codes.files.ts stands in for this file in CommonJS.
 */

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

/** The bytes of a set's modules, the core first, for a memory that is shared or not, and which of their functions can be widened. */
export function codesOf(set: WasmKernelSet, isShared: boolean): Code[] {
  const groups = neededGroups().flatMap((group) => group.module() ?? []);
  return [core, ...groups].map(({ pieces, widening }) => {
    const bytes = decode(pieces.filter((_, i) => i % TURNS === 0 || i % TURNS === TURN[set]).join(""));
    return { bytes: askForMemory(bytes, isShared), widening: widening[set] };
  });
}
