/**
 * node --import tsx calls.ts CALLS: so many random calls of every kernel, of each set, widened and as V8 compiles it by itself. Ends with
 * 1 where a bit differs.
 */
import { loadKernels } from "../../../src/kernels/wasm.js";
import { Comparison, comparedKernels } from "../../../src/kernels/wide/self-test.js";
import { LinearMemory } from "../../../src/memory.js";
import { loadWide } from "../../support/kernels.js";

const SEED = 3;

function main(calls: number): void {
  console.log(`Node ${process.versions.node}: ${calls} random calls of every kernel, widened and not`);
  for (const set of ["simd", "relaxed-simd"] as const) {
    const heap = new LinearMemory({ maximum: 2 ** 27 });
    const comparison = new Comparison([loadKernels(set, heap), loadWide(set, heap)], heap, SEED);
    for (const name of comparedKernels()) {
      for (let call = 0; call < calls; call++) {
        if (!comparison.isSame(name)) throw new Error(`${set}: call ${call} of ${name} gives other bits`);
      }
    }
    console.log(`  ${set}: the same bits in ${comparedKernels().length} kernels`);
  }
}

main(Number(process.argv[2] ?? 100_000));
