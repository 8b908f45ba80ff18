import { describe } from "vitest";
// with every layer come all groups of kernels
import "../../src/index.js";
import { createTwin } from "../../src/kernels/js/index.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import type { WasmKernelSet } from "../../src/kernels/modules.js";
import { loadKernels, openModules, type WasmKernels } from "../../src/kernels/wasm.js";
import { widen } from "../../src/kernels/wide/wide.js";
import { LinearMemory } from "../../src/memory.js";
import { Arena } from "./arena.js";
import { hasRelaxedSimd } from "./engines.js";
import { isWideRun } from "./wide.js";

export { threefry } from "../../src/random.js";

/** The only place where the tests reach for the library's internals. */
export interface KernelsUnderTest {
  readonly name: string;
  readonly kernels: Kernels;
  readonly heap: LinearMemory;
}

const MEMORY = 256 * 2 ** 20;

const relaxed = hasRelaxedSimd ? (["relaxed-simd"] as const) : [];

/** Every kernel set, the twin first, over one memory, so that they can be run on the same bytes. */
export function kernelSets(heap = new LinearMemory({ maximum: MEMORY })): KernelsUnderTest[] {
  return [
    { name: "js", kernels: createTwin(heap), heap },
    ...(["simd", ...relaxed] as const).map((set) => withTiles(set, set, heap, isWideRun, false)),
  ];
}

/** The same with each of the tiles that products can go by. */
export function kernelSetsByTile(): KernelsUnderTest[] {
  const heap = new LinearMemory({ maximum: MEMORY });
  return [
    ...kernelSets(heap),
    withTiles("simd", "simd, wide tiles", heap, true, false),
    ...relaxed.flatMap((set) => [
      withTiles(set, `${set}, tall tiles`, heap, false, true),
      withTiles(set, `${set}, wide and tall tiles`, heap, true, true),
    ]),
  ];
}

function withTiles(
  set: "simd" | "relaxed-simd",
  name: string,
  heap: LinearMemory,
  wide: boolean,
  tall: boolean,
): KernelsUnderTest {
  const kernels = isWideRun ? loadWide(set, heap) : loadKernels(set, heap);
  if (kernels.set !== set) throw new Error(`asked for the "${set}" kernels, got "${kernels.set}"`);
  kernels.useWide(wide);
  kernels.useTall(tall);
  return { name, kernels, heap };
}

/** Widened kernels with the wide tiles in effect. */
export function loadWide(set: WasmKernelSet, heap: LinearMemory): WasmKernels {
  const attempt = widen(set);
  if ("reason" in attempt) throw new Error(`no widened kernels: ${attempt.reason}`);
  const kernels = openModules(attempt.modules, heap);
  kernels.useWide(true);
  return kernels;
}

/** Declares the same tests for each kernel set, with an arena of 4 MiB for the buffers of its calls; the twin works there, too. */
export function describeKernels(declare: (kernels: Kernels, arena: Arena, twin: Kernels) => void): void {
  const sets = kernelSets();
  const twin = sets[0].kernels;
  describe.each(sets)("$name", ({ kernels, heap }) => declare(kernels, new Arena(heap, 2 ** 20), twin));
}
