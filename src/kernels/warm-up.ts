import type { LinearMemory } from "../memory.js";
import { type Kernels, setWindow } from "./kernels.js";

/** V8 tiers a kernel up after a few calls; small shapes are enough, since code is compiled by function and not by size. */
const ROUNDS = 5;
/** One shape for each way the product goes: single row, dot products, swapped, blocked without and with packing. */
const PRODUCT_ROWS = [1, 3, 19, 35, 260];
const WIDTH = 36;
const DEPTH = 68;
/** Channels and stride of a convolution for each way: with few channels or a stride directly, from 16 on by Winograd's. */
const CONVOLUTIONS = [
  [2, 1],
  [2, 2],
  [16, 1],
];

/** Calls every kernel with every path of it, on zeros in a block of its own. */
export function exerciseKernels(ops: Kernels, memory: LinearMemory): void {
  const rows = Math.max(...PRODUCT_ROWS);
  const floats = rows * DEPTH;
  const windowOf = (channels: number, kernel: number, stride: number, padding: number): number =>
    setWindow(memory, [channels, 9, 9, channels, kernel, kernel, stride, stride, padding, padding]);
  const workBytes = CONVOLUTIONS.map(([channels, stride]) => ops.conv2dWorkBytes(windowOf(channels, 3, stride, 1)));
  const block = memory.allocate(floats * 5 * 4 + Math.max(...workBytes));
  // labels stay zeros, whatever the others become
  const [a, b, c, d, labels] = [0, 1, 2, 3, 4].map((i) => block + i * floats * 4);
  const work = block + floats * 5 * 4;
  memory.f32.fill(0, block >>> 2, (block >>> 2) + floats * 5);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const m of PRODUCT_ROWS) {
        ops.gemm(false, true, m, WIDTH, DEPTH, a, DEPTH, b, DEPTH, c, WIDTH, d, false);
        ops.gemm(false, false, m, WIDTH, DEPTH, a, DEPTH, b, WIDTH, c, WIDTH, 0, false);
        ops.gemm(true, false, WIDTH, WIDTH, m, a, WIDTH, b, WIDTH, c, WIDTH, 0, true);
      }
      ops.channelSums(3, WIDTH, 1, a, b, false);
      ops.channelSums(1, 1, WIDTH, a, b, false);
      ops.fill(WIDTH, a, 0);
      ops.addScaled(WIDTH, a, b, 1);
      ops.addProduct(WIDTH, 1, a, b, c, false);
      ops.scale(WIDTH, a, 1);
      ops.sumOfSquares(WIDTH, a);
      ops.prelu(3, WIDTH, 1, a, b, c);
      ops.prelu(1, 1, WIDTH, a, b, c);
      ops.preluBackward(3, WIDTH, 1, a, b, c, d, d + 4096, false, d + 8192, false);
      ops.preluBackward(1, 1, WIDTH, a, b, c, d, d + 4096, false, 0, false);
      ops.relu(WIDTH, a, b);
      ops.reluBackward(WIDTH, a, b, c);
      ops.elu(WIDTH, a, 1, b);
      ops.eluBackward(WIDTH, a, b, 1, c);
      ops.exponential(WIDTH, a, b);
      ops.squaredError(WIDTH, a, b, c, 1);
      ops.binaryCrossEntropy(WIDTH, a, b, c, 1);
      for (const inner of [1, 3]) {
        ops.batchNorm(3, 8, inner, a, b, b, 1, 0, c, c, d, a);
        ops.normalize(3, 8, inner, a, b, b, 1, c, c, a);
        ops.batchNormBackward(3, 8, inner, a, b, b, c, d, d + 4096, false, d + 8192, false);
      }
      for (const [kernel, stride] of [
        [2, 2],
        [3, 2],
        [3, 3],
      ]) {
        const window = windowOf(2, kernel, stride, 0);
        ops.maxPool2d(1, window, a, b, c);
        ops.maxPool2dBackward(1, window, b, c, d);
      }
      for (const [channels, stride] of CONVOLUTIONS) {
        const window = windowOf(channels, 3, stride, 1);
        ops.conv2d(1, window, a, b, d, c, work);
        ops.conv2dBackwardInput(1, window, c, b, a, work);
        ops.conv2dBackwardWeight(1, window, a, c, d, true, work);
      }
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
}
