import type { LinearMemory } from "../memory.js";
import { neededGroups } from "./groups.js";
import type { Kernels } from "./kernels.js";

/** V8 tiers a kernel up after a few calls; small shapes are enough, since code is compiled by function and not by size. */
export const ROUNDS = 5;
/** One shape for each way the product goes: single row, dot products, swapped, blocked without and with packing. */
const PRODUCT_ROWS = [1, 3, 19, 35, 260];
const WIDTH = 36;
const DEPTH = 68;
/** Calls every kernel with every path of it, on zeros in a block of its own. */
export function exerciseKernels(ops: Kernels, memory: LinearMemory): void {
  const rows = Math.max(...PRODUCT_ROWS);
  const floats = rows * DEPTH;
  const block = memory.allocate(floats * 5 * 4);
  // labels stay zeros, whatever the others become
  const [a, b, c, d, labels] = [0, 1, 2, 3, 4].map((i) => block + i * floats * 4);
  memory.f32.fill(0, block >>> 2, (block >>> 2) + floats * 5);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const m of PRODUCT_ROWS) {
        ops.gemm(false, true, m, WIDTH, DEPTH, a, DEPTH, b, DEPTH, c, WIDTH, d, false);
        ops.gemm(false, false, m, WIDTH, DEPTH, a, DEPTH, b, WIDTH, c, WIDTH, 0, false);
        ops.gemm(true, false, WIDTH, WIDTH, m, a, WIDTH, b, WIDTH, c, WIDTH, 0, true);
      }
      ops.channelSums(35, WIDTH, 1, a, b, false);
      ops.channelSums(1, 1, WIDTH, a, b, false);
      ops.fill(WIDTH, a, 0);
      ops.addScaled(WIDTH, a, b, 1);
      ops.addProduct(WIDTH, 1, a, b, c, false);
      ops.scale(WIDTH, a, 1);
      ops.sumOfSquares(WIDTH, a);
      ops.prelu(3, WIDTH, 1, a, b, c);
      ops.prelu(1, 1, WIDTH, a, b, c);
      ops.preluBackward(35, WIDTH, 1, a, b, c, d, d + 8192, false, d + 12288, false);
      ops.preluBackward(1, 1, WIDTH, a, b, c, d, d + 4096, false, 0, false);
      ops.relu(WIDTH, a, b);
      ops.reluBackward(WIDTH, a, b, c);
      ops.elu(WIDTH, a, 1, b);
      ops.eluBackward(WIDTH, a, b, 1, c);
      ops.exponential(WIDTH, a, b);
      ops.squaredError(WIDTH, a, b, c, 1);
      ops.binaryCrossEntropy(WIDTH, a, b, c, 1);
      ops.dropout(WIDTH, a, 1, 2, 1 << 23, 1, b);
      ops.uniform(WIDTH, b, 1, 2, 0, 1);
      ops.normal(WIDTH, b, 1, 2, 1);
      ops.softmaxCrossEntropy(3, 10, a, labels, c, 1, 0);
      ops.sgd(WIDTH, a, b, 0, 0, 0, 0, 0, 1, false);
      ops.sgd(WIDTH, a, b, c, 0, 0, 0, 0, 1, false);
      ops.adam(WIDTH, a, b, c, d, 0, 0, 0, 0, 0, 1, 1, 0, 1);
      ops.rmsprop(WIDTH, a, b, c, 0, 0, 0, 0, 0, 1, 0, 0);
    }
  } finally {
    memory.free(block);
  }
  for (const group of neededGroups()) group.exercise(ops, memory);
}
