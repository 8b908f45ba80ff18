import type { Heap } from "../../memory.js";
import type { Kernels } from "../kernels.js";
import { prelu, preluBackward, relu, reluBackward } from "./activations.js";
import { gemm } from "./gemm.js";
import { softmaxCrossEntropy } from "./losses.js";
import { adam, sgd } from "./optimizers.js";
import { normal, uniform } from "./random.js";
import { addScaled, columnSums, fill } from "./reductions.js";

/**
 * The pure-JS twin of the WebAssembly kernels, over the same memory: the tests' reference, the benchmark's opponent and the
 * fallback. Formulas, shapes and layout are those of `Kernels`; sums are doubles.
 *
 * Here byte offsets become element indices, with an unsigned shift because offsets go up to 4 GB (an optional 0 stays 0), and the
 * views are read anew in each call because growing the memory replaces them.
 */
export function createTwin(heap: Heap): Kernels {
  return {
    set: "js",

    gemm(transposeA, transposeB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate) {
      gemm(heap.f32, transposeA, transposeB, m, n, k, a >>> 2, lda, b >>> 2, ldb, c >>> 2, ldc, bias >>> 2, accumulate);
    },

    columnSums(rows, n, x, y, accumulate) {
      columnSums(heap.f32, rows, n, x >>> 2, y >>> 2, accumulate);
    },

    fill(n, x, value) {
      fill(heap.f32, n, x >>> 2, value);
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

    sgd(n, p, g, buffer, lr, weightDecay, momentum, bufferDecay, gradientScale, nesterov) {
      sgd(heap.f32, n, p >>> 2, g >>> 2, buffer >>> 2, lr, weightDecay, momentum, bufferDecay, gradientScale, nesterov);
    },

    adam(n, p, g, m, v, vMax, stepSize, oneMinusBeta1, beta2, oneMinusBeta2, inverseRootCorrection2, eps, weightDecay) {
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
      );
    },

    uniform(n, x, key0, key1, low, span) {
      uniform(heap.f32, n, x >>> 2, { key0, key1 }, low, span);
    },

    normal(n, x, key0, key1, std) {
      normal(heap.f32, n, x >>> 2, { key0, key1 }, std);
    },
  };
}
