// Kernels of 256 bits. V8 can merge neighbouring operations on 128 bits into one on 256, behind an experimental flag. Kernels are
// compiled with the flag on (compile.ts) where nothing is in the way (gate.ts), taken where they are faster (calibration.ts) and give the
// same bits (self-test.ts, random-calls.ts), and run by the ordinary tiles when they no longer are faster (width.ts).
import { LinearMemory } from "../../memory.js";
import { codesOf } from "../codes.js";
import type { WasmKernelSet } from "../modules.js";
import { loadKernels, openModules } from "../wasm.js";
import { isWider } from "./calibration.js";
import { compileWide } from "./compile.js";
import { type Environment, readEnvironment, refusal } from "./gate.js";
import { firstDifference } from "./self-test.js";
import { Width } from "./width.js";

/** Widened modules, or why there are none; and whether another attempt may succeed. */
export type Attempt =
  | { readonly modules: readonly WebAssembly.Module[] }
  | { readonly reason: string; readonly mayPass?: boolean };

/** What an attempt depends on. Tests replace parts of it. */
export interface Steps {
  readonly readEnvironment: () => Environment;
  readonly compileWide: typeof compileWide;
  readonly isWider: typeof isWider;
  readonly firstDifference: typeof firstDifference;
}

const STEPS: Steps = { readEnvironment, compileWide, isWider, firstDifference };

/** Of the self-test: two work areas, the operands, a convolution's scratch. */
const TEST_MEMORY = 64 << 20;

const attempts = new Map<WasmKernelSet, Attempt>();

/** Widened kernels of a set over `memory` and the tiles that they run, or why there are none. */
export function openWide(set: WasmKernelSet, memory: LinearMemory): Width | string {
  if (!memory.isShared) return "it takes a SharedArrayBuffer, and there is none";
  const attempt = widen(set);
  if ("reason" in attempt) return attempt.reason;
  const width = new Width(openModules(attempt.modules, memory));
  width.look();
  return width;
}

/** The widened modules of a set, which all engines share: compiled and tested once in a process, unless the obstacle may have passed. */
export function widen(set: WasmKernelSet): Attempt {
  let attempt = attempts.get(set);
  if (attempt === undefined || ("reason" in attempt && attempt.mayPass)) {
    attempt = attemptToWiden(set, STEPS);
    attempts.set(set, attempt);
  }
  return attempt;
}

export function attemptToWiden(set: WasmKernelSet, steps: Steps): Attempt {
  const reason = refusal(steps.readEnvironment());
  if (reason !== undefined) return { reason };
  try {
    return compileAndTest(set, steps);
  } catch (error) {
    return { reason: `it failed: ${error instanceof Error ? error.message : error}`, mayPass: true };
  }
}

function compileAndTest(set: WasmKernelSet, steps: Steps): Attempt {
  const heap = new LinearMemory({ maximum: TEST_MEMORY });
  try {
    return compileAndTestOver(heap, set, steps);
  } finally {
    heap.release();
  }
}

function compileAndTestOver(heap: LinearMemory, set: WasmKernelSet, steps: Steps): Attempt {
  const modules = steps.compileWide(codesOf(set, true), heap.memory);
  const wide = openModules(modules, heap);
  const isFaster = steps.isWider(
    (together, turns) => wide.calibrate(together, turns),
    () => performance.now(),
  );
  if (!isFaster) {
    return {
      reason: "the widened kernels are not the faster ones here: no AVX2, a debugger, or a flag that keeps V8 from it",
      mayPass: true,
    };
  }
  wide.useWide(true);
  const difference = steps.firstDifference(loadKernels(set, heap), wide, heap);
  return difference === undefined ? { modules } : { reason: `the self-test failed: ${difference} gives other bits` };
}
