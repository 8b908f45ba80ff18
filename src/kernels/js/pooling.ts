import { Scratch } from "./scratch.js";
import { windowAt } from "./window.js";

const planeSums = new Scratch();

/**
 * The maximum of each window and, where they are wanted (not 0), its place in its plane: the first of equals, the last NaN, the first
 * cell of nothing but -Infinity.
 *
 * A window keeps the place of its maximum, not the value: which of random values is greater cannot be predicted, and a place is
 * moved without a branch. Starting at the first cell is PyTorch's start from -Infinity: the first cell replaces itself.
 */
export function maxPool2d(
  f32: Float32Array,
  i32: Int32Array,
  images: number,
  window: number,
  x: number,
  y: number,
  indices: number,
): void {
  const geometry = windowAt(i32, window);
  const { channels, height, width, kernelHeight, kernelWidth, strideHeight, strideWidth, outHeight, outWidth } =
    geometry;
  const { paddingHeight, paddingWidth } = geometry;
  const planes = images * channels;
  let q = 0;
  for (let plane = 0; plane < planes; plane++, x += height * width) {
    for (let i = 0; i < outHeight; i++) {
      const row = i * strideHeight - paddingHeight;
      const top = Math.max(row, 0);
      const bottom = Math.min(row + kernelHeight, height);
      for (let j = 0; j < outWidth; j++, q++) {
        const column = j * strideWidth - paddingWidth;
        const left = Math.max(column, 0);
        const right = Math.min(column + kernelWidth, width);
        let best = x + top * width + left;
        for (let h = top; h < bottom; h++) {
          const end = x + h * width + right;
          for (let p = x + h * width + left; p < end; p = (p + 1) | 0) {
            const value = f32[p];
            const isBetter = +(value > f32[best]) | +Number.isNaN(value);
            best ^= (best ^ p) & -isBetter;
          }
        }
        f32[y + q] = f32[best];
        if (indices !== 0) i32[indices + q] = best - x;
      }
    }
  }
}

/** dx: each output's dy goes to where its maximum was. A plane at a time is summed in double and rounded once. */
export function maxPool2dBackward(
  f32: Float32Array,
  i32: Int32Array,
  images: number,
  window: number,
  dy: number,
  indices: number,
  dx: number,
): void {
  const { channels, height, width, outputs } = windowAt(i32, window);
  const planes = images * channels;
  const size = height * width;
  const sums = planeSums.take(size);
  let q = 0;
  for (let plane = 0; plane < planes; plane++, dx += size) {
    sums.fill(0, 0, size);
    for (const end = q + outputs; q < end; q++) sums[i32[indices + q]] += f32[dy + q];
    for (let p = 0; p < size; p++) f32[dx + p] = sums[p];
  }
}
