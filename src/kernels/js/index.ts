import type { Heap } from "../../memory.js";
import { createCoreTwin } from "../generated/core-twin.js";
import { neededGroups } from "../groups.js";
import type { Kernels } from "../kernels.js";

/**
 * The pure-JS twin of the WebAssembly kernels, over the same memory: the tests' reference, the benchmark's opponent and the
 * fallback. Formulas, shapes and layout are those of `Kernels`; sums are doubles.
 */
export function createTwin(heap: Heap): Kernels {
  // nothing calls the kernels of a group that no layer needs
  const groups = neededGroups().map((group) => group.createTwin(heap));
  return Object.assign({ set: "js" as const }, createCoreTwin(heap), ...groups);
}
