import type { LinearMemory } from "../memory.js";
import { type Kernels, setWindow } from "./kernels.js";
import { ROUNDS } from "./warm-up.js";

/** Of each of the buffers: more than the largest of the shapes below. */
const FLOATS = 16_384;
/** Channels and stride of a convolution for each way: with few channels or a stride directly, from 16 on by Winograd's. */
const CONVOLUTIONS = [
  [2, 1],
  [2, 2],
  [16, 1],
];

/** Calls every kernel for images with every path of it, as `exerciseKernels` does the others. */
export function exerciseImageKernels(ops: Kernels, memory: LinearMemory): void {
  const windowOf = (channels: number, kernel: number, stride: number, padding: number): number =>
    setWindow(memory, [channels, 9, 9, channels, kernel, kernel, stride, stride, padding, padding]);
  const workBytes = CONVOLUTIONS.map(([channels, stride]) => ops.conv2dWorkBytes(windowOf(channels, 3, stride, 1)));
  const block = memory.allocate(FLOATS * 4 * 4 + Math.max(...workBytes));
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => block + i * FLOATS * 4);
  const work = block + FLOATS * 4 * 4;
  memory.f32.fill(0, block >>> 2, (block >>> 2) + FLOATS * 4);
  try {
    for (let round = 0; round < ROUNDS; round++) {
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
    }
  } finally {
    memory.free(block);
  }
}
