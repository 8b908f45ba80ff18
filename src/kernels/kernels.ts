import type { AllKernels } from "./generated/kernels.js";

export type KernelSet = "relaxed-simd" | "simd" | "js";

/**
 * What runs per number: one interface, implemented by the WebAssembly modules (`wasm.ts`) and by the pure-JS twin (`js/`).
 *
 * Every address is a byte offset into the engine's linear memory and a multiple of 4 (tensors start at multiples of 64, rows and
 * views inside them need not). Matrices are row-major float32; a leading dimension (`lda`, ...) is the distance between rows in
 * elements. An address of 0 means "none" where the text says optional. Sizes are integers >= 0; nothing is written for a size
 * of 0. Buffers of one call do not overlap unless the text allows it.
 *
 * NaN and infinities propagate. With `accumulate` false a destination is never read, so it may hold anything.
 */
export interface Kernels extends AllKernels {
  readonly set: KernelSet;
}
