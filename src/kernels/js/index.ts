import type { Heap } from "../../memory.js";
import type { ImageKernel } from "../feature.js";
import { neededGroups } from "../groups.js";
import type { Kernels } from "../kernels.js";
import { elu, eluBackward, exponential, prelu, preluBackward, relu, reluBackward } from "./activations.js";
import { gemm } from "./gemm.js";
import { binaryCrossEntropy, softmaxCrossEntropy, squaredError } from "./losses.js";
import { adam, rmsprop, sgd } from "./optimizers.js";
import { dropout, normal, uniform } from "./random.js";
import { addProduct, addScaled, channelSums, fill, scale, sumOfSquares } from "./reductions.js";

/**
 * The pure-JS twin of the WebAssembly kernels, over the same memory: the tests' reference, the benchmark's opponent and the
 * fallback. Formulas, shapes and layout are those of `Kernels`; sums are doubles.
 *
 * Here byte offsets become element indices, with an unsigned shift because offsets go up to 4 GB (an optional 0 stays 0), and the
 * views are read anew in each call because growing the memory replaces them.
 */
export function createTwin(heap: Heap): Kernels {
  // nothing calls the kernels of a group that no layer needs
  const groups = neededGroups().map((group) => group.createTwin(heap));
  return Object.assign({ set: "js" as const }, createCoreTwin(heap), ...groups);
}

function createCoreTwin(heap: Heap): Omit<Kernels, ImageKernel | "set"> {
  return {
    gemm(transposeA, transposeB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate) {
      gemm(heap.f32, transposeA, transposeB, m, n, k, a >>> 2, lda, b >>> 2, ldb, c >>> 2, ldc, bias >>> 2, accumulate);
    },

    channelSums(rows, channels, inner, x, y, accumulate) {
      channelSums(heap.f32, rows, channels, inner, x >>> 2, y >>> 2, accumulate);
    },

    fill(n, x, value) {
      fill(heap.f32, n, x >>> 2, value);
    },

    scale(n, x, factor) {
      scale(heap.f32, n, x >>> 2, factor);
    },

    addProduct(n, factor, x, y, z, accumulate) {
      addProduct(heap.f32, n, factor, x >>> 2, y >>> 2, z >>> 2, accumulate);
    },

    sumOfSquares(n, x) {
      return sumOfSquares(heap.f32, n, x >>> 2);
    },

    addScaled(n, x, y, scale) {
      addScaled(heap.f32, n, x >>> 2, y >>> 2, scale);
    },

    prelu(rows, channels, inner, x, slope, y) {
      prelu(heap.f32, rows, channels, inner, x >>> 2, slope >>> 2, y >>> 2);
    },

    preluBackward(rows, channels, inner, x, dy, slope, dx, dslope, accumulateSlope, dbias, accumulateBias) {
      preluBackward(
        heap.f32,
        rows,
        channels,
        inner,
        x >>> 2,
        dy >>> 2,
        slope >>> 2,
        dx >>> 2,
        dslope >>> 2,
        accumulateSlope,
        dbias >>> 2,
        accumulateBias,
      );
    },

    relu(n, x, y) {
      relu(heap.f32, heap.i32, n, x >>> 2, y >>> 2);
    },

    reluBackward(n, x, dy, dx) {
      reluBackward(heap.f32, heap.i32, n, x >>> 2, dy >>> 2, dx >>> 2);
    },

    elu(n, x, alpha, y) {
      elu(heap.f32, n, x >>> 2, alpha, y >>> 2);
    },

    eluBackward(n, x, dy, alpha, dx) {
      eluBackward(heap.f32, n, x >>> 2, dy >>> 2, alpha, dx >>> 2);
    },

    exponential(n, x, y) {
      exponential(heap.f32, n, x >>> 2, y >>> 2);
    },

    softmaxCrossEntropy(rows, classes, logits, labels, grad, scale, smoothing) {
      return softmaxCrossEntropy(
        heap.f32,
        heap.i32,
        rows,
        classes,
        logits >>> 2,
        labels >>> 2,
        grad >>> 2,
        scale,
        smoothing,
      );
    },

    squaredError(n, y, target, grad, scale) {
      return squaredError(heap.f32, n, y >>> 2, target >>> 2, grad >>> 2, scale);
    },

    binaryCrossEntropy(n, z, target, grad, scale) {
      return binaryCrossEntropy(heap.f32, n, z >>> 2, target >>> 2, grad >>> 2, scale);
    },

    sgd(n, p, g, buffer, lr, weightDecay, momentum, bufferDecay, gradientScale, nesterov) {
      sgd(heap.f32, n, p >>> 2, g >>> 2, buffer >>> 2, lr, weightDecay, momentum, bufferDecay, gradientScale, nesterov);
    },

    adam(
      n,
      p,
      g,
      m,
      v,
      vMax,
      stepSize,
      oneMinusBeta1,
      beta2,
      oneMinusBeta2,
      inverseRootCorrection2,
      eps,
      weightDecay,
      keep,
    ) {
      adam(
        heap.f32,
        n,
        p >>> 2,
        g >>> 2,
        m >>> 2,
        v >>> 2,
        vMax >>> 2,
        stepSize,
        oneMinusBeta1,
        beta2,
        oneMinusBeta2,
        inverseRootCorrection2,
        eps,
        weightDecay,
        keep,
      );
    },

    rmsprop(n, p, g, v, average, buffer, lr, alpha, oneMinusAlpha, eps, weightDecay, momentum) {
      rmsprop(
        heap.f32,
        n,
        p >>> 2,
        g >>> 2,
        v >>> 2,
        average >>> 2,
        buffer >>> 2,
        lr,
        alpha,
        oneMinusAlpha,
        eps,
        weightDecay,
        momentum,
      );
    },

    uniform(n, x, key0, key1, low, span) {
      uniform(heap.f32, n, x >>> 2, { key0, key1 }, low, span);
    },

    normal(n, x, key0, key1, std) {
      normal(heap.f32, n, x >>> 2, { key0, key1 }, std);
    },

    dropout(n, x, key0, key1, threshold, scale, y) {
      dropout(heap.f32, n, x >>> 2, { key0, key1 }, threshold, scale, y >>> 2);
    },
  };
}
