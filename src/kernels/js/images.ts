import type { Heap } from "../../memory.js";
import type { ImageKernel } from "../feature.js";
import type { Kernels } from "../kernels.js";
import { conv2d, conv2dBackwardInput, conv2dBackwardWeight, conv2dWorkBytes } from "./convolution.js";
import { batchNorm, batchNormBackward, normalize } from "./normalization.js";
import { maxPool2d, maxPool2dBackward } from "./pooling.js";

/** The twin's kernels for images, as in `createTwin`. */
export function createImageTwin(heap: Heap): Pick<Kernels, ImageKernel> {
  return {
    conv2d(images, window, x, weight, bias, y, work) {
      conv2d(heap.f32, heap.i32, images, window >>> 2, x >>> 2, weight >>> 2, bias >>> 2, y >>> 2, work >>> 2);
    },

    conv2dBackwardInput(images, window, dy, weight, dx, work) {
      conv2dBackwardInput(heap.f32, heap.i32, images, window >>> 2, dy >>> 2, weight >>> 2, dx >>> 2, work >>> 2);
    },

    conv2dBackwardWeight(images, window, x, dy, dweight, accumulate, work) {
      conv2dBackwardWeight(
        heap.f32,
        heap.i32,
        images,
        window >>> 2,
        x >>> 2,
        dy >>> 2,
        dweight >>> 2,
        accumulate,
        work >>> 2,
      );
    },

    conv2dWorkBytes(window) {
      return conv2dWorkBytes(heap.i32, window >>> 2);
    },

    maxPool2d(images, window, x, y, indices) {
      maxPool2d(heap.f32, heap.i32, images, window >>> 2, x >>> 2, y >>> 2, indices >>> 2);
    },

    maxPool2dBackward(images, window, dy, indices, dx) {
      maxPool2dBackward(heap.f32, heap.i32, images, window >>> 2, dy >>> 2, indices >>> 2, dx >>> 2);
    },

    batchNorm(rows, channels, inner, x, weight, bias, eps, momentum, runningMean, runningVariance, statistics, y) {
      batchNorm(
        heap.f32,
        rows,
        channels,
        inner,
        x >>> 2,
        weight >>> 2,
        bias >>> 2,
        eps,
        momentum,
        runningMean >>> 2,
        runningVariance >>> 2,
        statistics >>> 2,
        y >>> 2,
      );
    },

    normalize(rows, channels, inner, x, weight, bias, eps, mean, variance, y) {
      normalize(
        heap.f32,
        rows,
        channels,
        inner,
        x >>> 2,
        weight >>> 2,
        bias >>> 2,
        eps,
        mean >>> 2,
        variance >>> 2,
        y >>> 2,
      );
    },

    batchNormBackward(
      rows,
      channels,
      inner,
      x,
      dy,
      weight,
      statistics,
      dx,
      dweight,
      accumulateWeight,
      dbias,
      accumulateBias,
    ) {
      batchNormBackward(
        heap.f32,
        rows,
        channels,
        inner,
        x >>> 2,
        dy >>> 2,
        weight >>> 2,
        statistics >>> 2,
        dx >>> 2,
        dweight >>> 2,
        accumulateWeight,
        dbias >>> 2,
        accumulateBias,
      );
    },
  };
}
