import { gemm } from "./gemm.js";
import { Scratch } from "./scratch.js";
import { type WindowGeometry, windowAt } from "./window.js";

const planeSums = new Scratch();

/** Bytes of the patch matrix of one image, which is all the scratch there is. */
export function conv2dWorkBytes(i32: Int32Array, window: number): number {
  const { taps, outputs } = windowAt(i32, window);
  return 4 * taps * outputs;
}

/**
 * y[o, p] = W[o, k] · patches[k, p] + b[o], image by image, so that the patches stay in the cache. k counts (channel, kernel row,
 * kernel column), p the outputs of a plane in row-major order.
 *
 * The patches are written out, zeros outside the plane included: copying a number costs a fraction of its products with all output
 * channels, and the product's tiles then run at their full speed whatever the kernel, the stride and the padding.
 */
export function conv2d(
  f32: Float32Array,
  i32: Int32Array,
  images: number,
  window: number,
  x: number,
  weight: number,
  bias: number,
  y: number,
  work: number,
): void {
  const geometry = windowAt(i32, window);
  const { channels, height, width, outChannels, taps, outputs } = geometry;
  for (let n = 0; n < images; n++) {
    gatherPatches(f32, geometry, x, work);
    // The product's own bias belongs to columns, a convolution's to rows.
    for (let o = 0; o < outChannels; o++) {
      f32.fill(bias === 0 ? 0 : f32[bias + o], y + o * outputs, y + (o + 1) * outputs);
    }
    gemm(f32, false, false, outChannels, outputs, taps, weight, taps, work, outputs, y, outputs, 0, true);
    x += channels * height * width;
    y += outChannels * outputs;
  }
}

/** dx: the gradient of the patches, Wᵀ · dy, added up where they overlap. */
export function conv2dBackwardInput(
  f32: Float32Array,
  i32: Int32Array,
  images: number,
  window: number,
  dy: number,
  weight: number,
  dx: number,
  work: number,
): void {
  const geometry = windowAt(i32, window);
  const { channels, height, width, outChannels, taps, outputs } = geometry;
  for (let n = 0; n < images; n++) {
    gemm(f32, true, false, taps, outputs, outChannels, weight, taps, dy, outputs, work, outputs, 0, false);
    sumPatches(f32, geometry, work, dx);
    dy += outChannels * outputs;
    dx += channels * height * width;
  }
}

/** dW (+)= Σ over images of dy · patchesᵀ. */
export function conv2dBackwardWeight(
  f32: Float32Array,
  i32: Int32Array,
  images: number,
  window: number,
  x: number,
  dy: number,
  dweight: number,
  accumulate: boolean,
  work: number,
): void {
  const geometry = windowAt(i32, window);
  const { channels, height, width, outChannels, taps, outputs } = geometry;
  if (!accumulate) f32.fill(0, dweight, dweight + outChannels * taps);
  for (let n = 0; n < images; n++) {
    gatherPatches(f32, geometry, x, work);
    gemm(f32, false, true, outChannels, taps, outputs, dy, outputs, work, outputs, dweight, taps, 0, true);
    x += channels * height * width;
    dy += outChannels * outputs;
  }
}

/** The columns j whose place j · stride + shift lies inside 0 .. size - 1: from `firstInside` up to `endInside`. */
const firstInside = (shift: number, stride: number): number =>
  shift >= 0 ? 0 : Math.floor((stride - 1 - shift) / stride);

const endInside = (shift: number, stride: number, size: number, count: number): number =>
  shift >= size ? 0 : Math.min(count, Math.floor((size - 1 - shift) / stride) + 1);

/** patches[c, u, v][i, j] = x[c, i · stride - padding + u, j · stride - padding + v], 0 outside. */
function gatherPatches(f32: Float32Array, geometry: WindowGeometry, x: number, patches: number): void {
  const { channels, height, width, kernelHeight, kernelWidth, strideHeight, strideWidth, outHeight, outWidth } =
    geometry;
  const { paddingHeight, paddingWidth } = geometry;
  let to = patches;
  for (let c = 0; c < channels; c++, x += height * width) {
    for (let u = 0; u < kernelHeight; u++) {
      for (let v = 0; v < kernelWidth; v++) {
        const shift = v - paddingWidth;
        const end = endInside(shift, strideWidth, width, outWidth);
        const first = Math.min(firstInside(shift, strideWidth), end);
        for (let i = 0; i < outHeight; i++, to += outWidth) {
          const row = i * strideHeight - paddingHeight + u;
          if (row < 0 || row >= height) {
            f32.fill(0, to, to + outWidth);
            continue;
          }
          let from = x + row * width + first * strideWidth + shift;
          for (let j = 0; j < first; j++) f32[to + j] = 0;
          for (let j = first; j < end; j++, from = (from + strideWidth) | 0) f32[(to + j) | 0] = f32[from];
          for (let j = end; j < outWidth; j++) f32[to + j] = 0;
        }
      }
    }
  }
}

/**
 * The backward pass: dx[c, ...] = the sum of the patches' elements that come from it. A plane at a time is summed in double, in runs of
 * neighbours for each tap, and rounded once.
 */
function sumPatches(f32: Float32Array, geometry: WindowGeometry, patches: number, dx: number): void {
  const { channels, height, width, kernelHeight, kernelWidth, strideHeight, strideWidth, outHeight, outWidth } =
    geometry;
  const { paddingHeight, paddingWidth } = geometry;
  const size = height * width;
  const plane = planeSums.take(size);
  let from = patches;
  for (let c = 0; c < channels; c++, dx += size) {
    plane.fill(0, 0, size);
    for (let u = 0; u < kernelHeight; u++) {
      for (let v = 0; v < kernelWidth; v++) {
        const shift = v - paddingWidth;
        const first = firstInside(shift, strideWidth);
        const end = endInside(shift, strideWidth, width, outWidth);
        for (let i = 0; i < outHeight; i++, from += outWidth) {
          const row = i * strideHeight - paddingHeight + u;
          if (row < 0 || row >= height) continue;
          let to = row * width + first * strideWidth + shift;
          for (let j = first; j < end; j++, to = (to + strideWidth) | 0) plane[to] += f32[(from + j) | 0];
        }
      }
    }
    for (let q = 0; q < size; q++) f32[dx + q] = plane[q];
  }
}
