import type { Heap } from "../memory.js";

export type KernelSet = "relaxed-simd" | "simd" | "js";

/**
 * The sizes of a convolution or a pool: what `window` points to, ten int32 in this order. A pool's outChannels is its channels.
 */
export type WindowSizes = readonly [
  channels: number,
  height: number,
  width: number,
  outChannels: number,
  kernelHeight: number,
  kernelWidth: number,
  strideHeight: number,
  strideWidth: number,
  paddingHeight: number,
  paddingWidth: number,
];

/** Below the modules' static data, which begins at 1024 (asconfig.json), and off the address that means "none". */
const WINDOW = 64;

/** Puts sizes where kernel calls may read them until the next are put there; returns the address. */
export function setWindow({ i32 }: Heap, sizes: WindowSizes): number {
  i32.set(sizes, WINDOW / 4);
  return WINDOW;
}

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
export interface Kernels {
  readonly set: KernelSet;

  /**
   * The product: C[m, n] = op(A)[m, k] · op(B)[k, n] + bias, or C += op(A) · op(B).
   * A is stored as [m, k], or as [k, m] with `transposeA`; B as [k, n], or as [n, k] with `transposeB`.
   * `bias` (optional) is a row of n added to every row; it is ignored when accumulating. With k = 0 the product is 0.
   */
  gemm(
    transposeA: boolean,
    transposeB: boolean,
    m: number,
    n: number,
    k: number,
    a: number,
    lda: number,
    b: number,
    ldb: number,
    c: number,
    ldc: number,
    bias: number,
    accumulate: boolean,
  ): void;

  /**
   * Bias gradient: y[c] (+)= Σ over r and i of x[r, c, i], x[rows, channels, inner]. Nothing to sum gives zeros. inner = 1: the sums of
   * columns. However many there are, float32 adds up at most 64 in a row: from there on sums are carried in double.
   */
  channelSums(rows: number, channels: number, inner: number, x: number, y: number, accumulate: boolean): void;

  /** x[i] = value */
  fill(n: number, x: number, value: number): void;

  /** x[i] = factor · x[i] */
  scale(n: number, x: number, factor: number): void;

  /** z[i] (+)= factor · x[i] · y[i]; all may be the same buffer. */
  addProduct(n: number, factor: number, x: number, y: number, z: number, accumulate: boolean): void;

  /** Σ x[i]², in double. */
  sumOfSquares(n: number, x: number): number;

  /** y[i] += scale · x[i]; x and y may be the same buffer. */
  addScaled(n: number, x: number, y: number, scale: number): void;

  /**
   * PReLU, y = x > 0 ? x : a · x, over x[rows, channels, inner] with one slope for each channel (a NaN takes the slope's side).
   * One slope for everything: rows = channels = 1, inner = size. y may be x.
   */
  prelu(rows: number, channels: number, inner: number, x: number, slope: number, y: number): void;

  /**
   * PReLU's derivatives in one pass over x, dy [rows, channels, inner]:
   *   dx = x > 0 ? dy : a · dy;      dslope[c] (+)= Σ (x > 0 ? 0 : dy · x);      dbias[c] (+)= Σ dx
   * `dslope` and `dbias` (of a layer in front with a bias for each channel) are optional. dx may be dy. `accumulate...` false
   * overwrites that sum, with dbias then as channelSums has it from dx.
   */
  preluBackward(
    rows: number,
    channels: number,
    inner: number,
    x: number,
    dy: number,
    slope: number,
    dx: number,
    dslope: number,
    accumulateSlope: boolean,
    dbias: number,
    accumulateBias: boolean,
  ): void;

  /** ReLU: y = x < 0 ? 0 : x, so that NaN and -0 stay. y may be x. */
  relu(n: number, x: number, y: number): void;

  /** dx = x <= 0 ? 0 : dy. dx may be dy. */
  reluBackward(n: number, x: number, dy: number, dx: number): void;

  /** ELU: y = x > 0 ? x : alpha · expm1(x), with expm1's relative accuracy near 0. y may be x. */
  elu(n: number, x: number, alpha: number, y: number): void;

  /** dx = x > 0 ? dy : dy · alpha · exp(x). dx may be dy. */
  eluBackward(n: number, x: number, dy: number, alpha: number, dx: number): void;

  /** y = exp(x). y may be x. */
  exponential(n: number, x: number, y: number): void;

  /**
   * Softmax cross-entropy of logits[rows, classes] with int32 `labels`[rows], label smoothing s (PyTorch's):
   *   target t = (1 - s) · onehot + s / classes;      grad = (softmax(logits) - t) · scale
   * Returns the unscaled sum of the rows' losses, -Σ t · log softmax(logits). Labels are in range (the caller checks).
   */
  softmaxCrossEntropy(
    rows: number,
    classes: number,
    logits: number,
    labels: number,
    grad: number,
    scale: number,
    smoothing: number,
  ): number;

  /** Σ (y - target)², unscaled; grad = 2 · (y - target) · scale. */
  squaredError(n: number, y: number, target: number, grad: number, scale: number): number;

  /**
   * Σ (z < 0 ? -target : 1 - target) · z + log(1 + exp(-|z|)), unscaled, in which nothing cancels for targets in 0..1; NaN where z is
   * -Infinity (PyTorch's). grad = (sigmoid(z) - target) · scale.
   */
  binaryCrossEntropy(n: number, z: number, target: number, grad: number, scale: number): number;

  /**
   * SGD (torch.optim.SGD): g' = g + weightDecay · p (g where weightDecay is 0);  buffer = bufferDecay · buffer + gradientScale · g';
   * direction = nesterov ? g' + momentum · buffer : buffer (g' where there is no buffer);  p -= lr · direction.
   * `buffer` is optional. The first step passes momentum 0 and gradientScale 1 in place of (momentum, 1 - dampening) as
   * `bufferDecay` and `gradientScale`; it does not read the buffer then.
   */
  sgd(
    n: number,
    p: number,
    g: number,
    buffer: number,
    lr: number,
    weightDecay: number,
    momentum: number,
    bufferDecay: number,
    gradientScale: number,
    nesterov: boolean,
  ): void;

  /**
   * Adam and AdamW (torch.optim): p' = keep · p (1 - lr · decay for AdamW, 1 for Adam);  g' = g + weightDecay · p (g where it is 0);  m += (1 - β1)(g' - m);  v = β2 v + ((1 - β2) g') g';
   * p = p' - stepSize · m / (sqrt(v̂) · inverseRootCorrection2 + eps), v̂ = v, or the running maximum of v where `vMax` is given
   * (amsgrad). stepSize = lr / (1 - β1^t), inverseRootCorrection2 = 1 / sqrt(1 - β2^t).
   */
  adam(
    n: number,
    p: number,
    g: number,
    m: number,
    v: number,
    vMax: number,
    stepSize: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    inverseRootCorrection2: number,
    eps: number,
    weightDecay: number,
    keep: number,
  ): void;

  /**
   * RMSprop (torch.optim.RMSprop): g' = g + weightDecay · p (g where it is 0);  v = alpha · v + ((1 - alpha) · g') · g';
   * with `average` (centered) a = alpha · a + (1 - alpha) · g' and v̂ = v - a², else v̂ = v;  d = g' / (sqrt(v̂) + eps);
   * with `buffer` b = momentum · b + d and p -= lr · b, else p -= lr · d. Both addresses are optional.
   */
  rmsprop(
    n: number,
    p: number,
    g: number,
    v: number,
    average: number,
    buffer: number,
    lr: number,
    alpha: number,
    oneMinusAlpha: number,
    eps: number,
    weightDecay: number,
    momentum: number,
  ): void;

  /** x[i] uniform on [low, low + span), by key and position (Threefry-2x32): the same draws for every kernel set. */
  uniform(n: number, x: number, key0: number, key1: number, low: number, span: number): void;

  /** x[i] normal with mean 0 and standard deviation std, by key and position. */
  normal(n: number, x: number, key0: number, key1: number, std: number): void;

  /**
   * Dropout (torch.nn.Dropout), forward and back: y[i] = x[i] · m[i], m[i] = 0 where the upper 24 bits of the word of element i are
   * below `threshold` (0 .. 2^24), else `scale`. Words are those of `uniform`, by key and position. A product, so that 0 · NaN and
   * 0 · Infinity are NaN as in PyTorch. y may be x.
   */
  dropout(n: number, x: number, key0: number, key1: number, threshold: number, scale: number, y: number): void;

  /**
   * Convolution (a cross-correlation, torch.nn.Conv2d) of x[images, channels, height, width] with
   * weight[outChannels, channels, kernelHeight, kernelWidth], x being 0 outside:
   *   y[n, o, i, j] = bias[o] + Σ over c, u, v of weight[o, c, u, v] · x[n, c, i · strideHeight - paddingHeight + u, ...]
   * y is [images, outChannels, outHeight, outWidth], outHeight = floor((height + 2 · paddingHeight - kernelHeight) / strideHeight) + 1
   * >= 1, and likewise outWidth. `bias` is optional. `window` has the sizes, `work` is a scratch of conv2dWorkBytes(window) bytes.
   */
  conv2d(images: number, window: number, x: number, weight: number, bias: number, y: number, work: number): void;

  /**
   * dx[n, c, ...] = Σ over o, u, v of weight[o, c, u, v] · dy[n, o, ...], over the outputs that x's element went into; 0 where it went
   * into none.
   */
  conv2dBackwardInput(images: number, window: number, dy: number, weight: number, dx: number, work: number): void;

  /** dweight[o, c, u, v] (+)= Σ over n, i, j of dy[n, o, i, j] · x[n, c, i · strideHeight - paddingHeight + u, ...] */
  conv2dBackwardWeight(
    images: number,
    window: number,
    x: number,
    dy: number,
    dweight: number,
    accumulate: boolean,
    work: number,
  ): void;

  /** Bytes of scratch that the three messages of a convolution need; it may hold anything before and after. */
  conv2dWorkBytes(window: number): number;

  /**
   * Maxima of windows (torch.nn.MaxPool2d) of each plane of x[images, channels, height, width]; y is [images, channels, outHeight,
   * outWidth] as for a convolution. `indices` (optional, int32 in y's shape) gets each maximum's place h · width + w in its plane: the
   * first of equals in row-major order; a NaN wins, the last of several; in a window of nothing but -Infinity its first cell. Padding
   * is no value.
   */
  maxPool2d(images: number, window: number, x: number, y: number, indices: number): void;

  /** dx = the sum of dy over the windows that an element is the maximum of, in double, rounded once. */
  maxPool2dBackward(images: number, window: number, dy: number, indices: number, dx: number): void;

  /**
   * Batch normalisation in training (torch.nn.BatchNorm*) over x[rows, channels, inner], count = rows · inner >= 2 values a channel:
   *   mean and biased variance of each channel, as from sums in double;  y = (x - mean) / sqrt(variance + eps) · weight[c] + bias[c]
   * `statistics`[2, channels] gets the means, then the 1 / sqrt(variance + eps), which is 0 where variance + eps is 0 (PyTorch's: y is the
   * bias then). runningMean and runningVariance become (1 - momentum) · running + momentum · (mean, variance · count / (count - 1)). y may be x.
   */
  batchNorm(
    rows: number,
    channels: number,
    inner: number,
    x: number,
    weight: number,
    bias: number,
    eps: number,
    momentum: number,
    runningMean: number,
    runningVariance: number,
    statistics: number,
    y: number,
  ): void;

  /**
   * Batch normalisation in eval mode: y = (x - mean[c]) · scale + bias[c], scale = weight[c] / sqrt(variance[c] + eps); where that is infinite
   * x · scale + (bias[c] - mean[c] · scale), PyTorch's order. y may be x.
   */
  normalize(
    rows: number,
    channels: number,
    inner: number,
    x: number,
    weight: number,
    bias: number,
    eps: number,
    mean: number,
    variance: number,
    y: number,
  ): void;

  /**
   * The messages back through `batchNorm`, with x̂ = (x - mean) · inverse from its `statistics`:
   *   dbias[c] (+)= Σ dy;   dweight[c] (+)= Σ dy · x̂;   dx = weight · inverse · (dy - Σ dy / count - x̂ · Σ (dy · x̂) / count)
   * `dx`, and `dweight` with `dbias` together, are optional. dx may be dy.
   */
  batchNormBackward(
    rows: number,
    channels: number,
    inner: number,
    x: number,
    dy: number,
    weight: number,
    statistics: number,
    dx: number,
    dweight: number,
    accumulateWeight: boolean,
    dbias: number,
    accumulateBias: boolean,
  ): void;
}
