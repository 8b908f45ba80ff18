import { describe } from "vitest";
import { createTwin } from "../../src/kernels/js/index.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { loadKernels } from "../../src/kernels/wasm.js";
import { LinearMemory } from "../../src/memory.js";
import { Arena } from "./arena.js";
import { hasRelaxedSimd } from "./engines.js";

export { threefry } from "../../src/random.js";

/** The only place where the tests reach for the library's internals. */
export interface KernelsUnderTest {
  readonly name: Kernels["set"];
  readonly kernels: Kernels;
  readonly heap: LinearMemory;
}

const MEMORY = 256 * 2 ** 20;

/** Every kernel set, the twin first, over one memory, so that they can be run on the same bytes. */
export function kernelSets(): KernelsUnderTest[] {
  const heap = new LinearMemory({ maximum: MEMORY });
  const sets: Record<string, Kernels> = { js: createTwin(heap), simd: loadKernels("simd", heap) };
  if (hasRelaxedSimd) sets["relaxed-simd"] = loadKernels("relaxed-simd", heap);
  return Object.entries(sets).map(([name, kernels]) => {
    if (kernels.set !== name) throw new Error(`asked for the "${name}" kernels, got "${kernels.set}"`);
    return { name: kernels.set, kernels, heap };
  });
}

/** Declares the same tests for each kernel set, with an arena of 4 MiB for the buffers of its calls; the twin works there, too. */
export function describeKernels(declare: (kernels: Kernels, arena: Arena, twin: Kernels) => void): void {
  const sets = kernelSets();
  const twin = sets[0].kernels;
  describe.each(sets)("$name", ({ kernels, heap }) => declare(kernels, new Arena(heap, 2 ** 20), twin));
}
