import type { Heap } from "../../memory.js";
import { imageFeature } from "../feature.js";
import { createCoreTwin } from "../generated/core-twin.js";
import type { ImagesKernels } from "../generated/kernels.js";
import type { Kernels } from "../kernels.js";

/**
 * The pure-JS twin of the WebAssembly kernels, over the same memory: the tests' reference, the benchmark's opponent and the
 * fallback. Formulas, shapes and layout are those of `Kernels`; sums are doubles.
 */
export function createTwin(heap: Heap): Kernels {
  // nothing calls the kernels for images where they are missing
  return { set: "js", ...createCoreTwin(heap), ...(imageFeature()?.createTwin(heap) as ImagesKernels) };
}
