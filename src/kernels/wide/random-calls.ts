import type { LinearMemory } from "../../memory.js";
import { RandomGenerator } from "../../random.js";
import { type Kernels, setWindow, type WindowSizes } from "../kernels.js";

/** The kernels that write or return numbers of a tensor. */
export type KernelName = Exclude<keyof Kernels, "set" | "conv2dWorkBytes">;

/** A call that may be made again and again on the same operands. */
export type Call = (kernels: Kernels) => number | undefined;

const WORDS = 1 << 19;
/** Room behind each operand, for a kernel that strays. */
const GAP = 8;
/** A prime, so that operands of one call meet in ever new places. */
const POOL = 1021;
/** No operand is longer. */
const LONGEST = 1 << 17;

/**
 * Operands of kernel calls in one block of linear memory: random sizes, among them odd ones and tails of every length, at any multiple of
 * 4 bytes, filled with ordinary values, with infinities, NaN, zeros and subnormals among them, or with bits of any kind.
 */
export class Operands {
  readonly #heap: LinearMemory;
  readonly #random: RandomGenerator;
  readonly #workBytes: (window: number) => number;
  readonly #block: number;
  readonly #base: number;
  readonly #pools: readonly Float32Array[];
  #pool: Float32Array;
  #top: number;
  #work = { address: 0, bytes: 0 };

  /** `workBytes` is what the convolution at a window needs as scratch. */
  constructor(heap: LinearMemory, workBytes: (window: number) => number, seed: number) {
    this.#heap = heap;
    this.#workBytes = workBytes;
    this.#random = new RandomGenerator(seed);
    this.#block = heap.allocate(WORDS * 4);
    this.#base = this.#block >>> 2;
    this.#top = this.#base;
    this.#pools = makePools(this.#random);
    this.#pool = this.#pools[0];
  }

  /** Gives the memory back. */
  free(): void {
    this.#heap.free(this.#block);
    if (this.#work.bytes > 0) this.#heap.free(this.#work.address);
  }

  /** Forgets every operand and decides what those of the next call are filled with: often with ordinary values. */
  clear(): void {
    this.#top = this.#base;
    this.#pool = this.#pools[Math.max(0, this.below(5) - 2)];
  }

  /** 0 .. bound - 1 */
  below(bound: number): number {
    return this.#random.below(bound);
  }

  flag(): boolean {
    return this.below(2) === 1;
  }

  pick<T>(items: ArrayLike<T>): T {
    return items[this.below(items.length)];
  }

  /** The size of an axis, at least `least`: mostly every remainder of every vector, now and then more. */
  size(least = 0): number {
    const few = this.below(5);
    if (few < 3) return least + this.below(20);
    return few === 3 ? 20 + this.below(52) : 72 + this.below(230);
  }

  /** The length of a row that is processed element by element. */
  length(): number {
    return this.below(8) === 0 ? 300 + this.below(3000) : this.size();
  }

  /** A factor or a rate. */
  scalar(): number {
    return this.below(3) === 0 ? this.pick([0, 1, -1, 0.9, 1e-8]) : this.pick(this.#pool);
  }

  /** `length` floats, as their address. */
  floats(length: number): number {
    const start = this.#take(length);
    const { f32 } = this.#heap;
    let from = this.below(POOL);
    for (let done = 0; done < length; from = 0) {
      const part = this.#pool.subarray(from, Math.min(POOL, from + length - done));
      f32.set(part, start + done);
      done += part.length;
    }
    return start * 4;
  }

  /** An optional operand: 0 as often as not. */
  optional(length: number): number {
    return this.flag() ? this.floats(length) : 0;
  }

  /** int32 in 0 .. bound - 1 */
  integers(length: number, bound: number): number {
    const start = this.#take(length);
    for (let i = 0; i < length; i++) this.#heap.i32[start + i] = this.below(bound);
    return start * 4;
  }

  /** The destination of a map from x: x itself as often as not. */
  destination(x: number, length: number): number {
    return this.flag() ? x : this.floats(length);
  }

  window(sizes: WindowSizes): number {
    return setWindow(this.#heap, sizes);
  }

  /** A convolution's scratch. It holds no result, so it lies apart. */
  work(window: number): number {
    const bytes = this.#workBytes(window);
    if (bytes > this.#work.bytes) {
      if (this.#work.bytes > 0) this.#heap.free(this.#work.address);
      this.#work = { address: this.#heap.allocate(bytes), bytes };
    }
    return this.#work.address;
  }

  /** What all operands hold. */
  read(): Int32Array {
    return this.#heap.i32.slice(this.#base, this.#top);
  }

  write(words: Int32Array): void {
    this.#heap.i32.set(words, this.#base);
  }

  #take(length: number): number {
    if (length > LONGEST) throw new Error(`an operand of ${length} words`);
    const start = this.#top + this.below(16);
    this.#top = start + length + GAP;
    if (this.#top > this.#base + WORDS) throw new Error(`operands of more than ${WORDS} words`);
    return start;
  }
}

function makePools(random: RandomGenerator): Float32Array[] {
  const bits = Uint32Array.from({ length: POOL }, () => random.bits());
  const ordinary = Float32Array.from(bits, (word) => (word / 2 ** 32 - 0.5) * 4);
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-40, -1e-45, 3e38];
  const sprinkled = ordinary.map((value) => (random.below(8) === 0 ? special[random.below(special.length)] : value));
  return [ordinary, sprinkled, new Float32Array(bits.buffer)];
}

/** One random call of each kernel; the operands lie in `o`, which was cleared before. */
export const RANDOM_CALLS: { readonly [Name in KernelName]: (o: Operands) => Call } = {
  gemm(o) {
    const [m, n, k] = productSizes(o);
    const [transposeA, transposeB] = [o.flag(), o.flag()];
    const [aRows, aColumns] = transposeA ? [k, m] : [m, k];
    const [bRows, bColumns] = transposeB ? [n, k] : [k, n];
    // rows 4 KiB apart meet in the same cache sets: a way of its own
    const collides = bRows < 100 && bColumns <= 1024 && o.below(8) === 0;
    const [lda, ldb, ldc] = [aColumns + o.below(4), collides ? 1024 : bColumns + o.below(4), n + o.below(4)];
    const [a, b, c] = [aRows * lda, bRows * ldb, m * ldc].map((length) => o.floats(length));
    const [bias, accumulate] = [o.optional(n), o.flag()];
    return (ops) => void ops.gemm(transposeA, transposeB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate);
  },
  channelSums(o) {
    const { layout, channels, length } = channelled(o);
    const [x, y, accumulate] = [o.floats(length), o.floats(channels), o.flag()];
    return (ops) => void ops.channelSums(...layout, x, y, accumulate);
  },
  fill(o) {
    const n = o.length();
    const [x, value] = [o.floats(n), o.scalar()];
    return (ops) => void ops.fill(n, x, value);
  },
  scale(o) {
    const n = o.length();
    const [x, factor] = [o.floats(n), o.scalar()];
    return (ops) => void ops.scale(n, x, factor);
  },
  addProduct(o) {
    const n = o.length();
    const x = o.floats(n);
    const [y, z] = [o.destination(x, n), o.destination(x, n)];
    const [factor, accumulate] = [o.scalar(), o.flag()];
    return (ops) => void ops.addProduct(n, factor, x, y, z, accumulate);
  },
  sumOfSquares(o) {
    const n = o.length();
    const x = o.floats(n);
    return (ops) => ops.sumOfSquares(n, x);
  },
  addScaled(o) {
    const n = o.length();
    const x = o.floats(n);
    const [y, scale] = [o.destination(x, n), o.scalar()];
    return (ops) => void ops.addScaled(n, x, y, scale);
  },
  prelu(o) {
    const { layout, channels, length } = channelled(o);
    const [x, slope] = [o.floats(length), o.floats(channels)];
    const y = o.destination(x, length);
    return (ops) => void ops.prelu(...layout, x, slope, y);
  },
  preluBackward(o) {
    const { layout, channels, length } = channelled(o);
    const [x, dy, slope] = [length, length, channels].map((size) => o.floats(size));
    const [dx, dslope, dbias] = [o.destination(dy, length), o.optional(channels), o.optional(channels)];
    const [addSlope, addBias] = [o.flag(), o.flag()];
    return (ops) => void ops.preluBackward(...layout, x, dy, slope, dx, dslope, addSlope, dbias, addBias);
  },
  relu(o) {
    const n = o.length();
    const x = o.floats(n);
    const y = o.destination(x, n);
    return (ops) => void ops.relu(n, x, y);
  },
  reluBackward(o) {
    const n = o.length();
    const [x, dy] = [o.floats(n), o.floats(n)];
    const dx = o.destination(dy, n);
    return (ops) => void ops.reluBackward(n, x, dy, dx);
  },
  elu(o) {
    const n = o.length();
    const [x, alpha] = [o.floats(n), o.scalar()];
    const y = o.destination(x, n);
    return (ops) => void ops.elu(n, x, alpha, y);
  },
  eluBackward(o) {
    const n = o.length();
    const [x, dy, alpha] = [o.floats(n), o.floats(n), o.scalar()];
    const dx = o.destination(dy, n);
    return (ops) => void ops.eluBackward(n, x, dy, alpha, dx);
  },
  exponential(o) {
    const n = o.length();
    const x = o.floats(n);
    const y = o.destination(x, n);
    return (ops) => void ops.exponential(n, x, y);
  },
  softmaxCrossEntropy(o) {
    const [rows, classes] = [1 + o.below(40), 1 + o.below(o.pick([12, 12, 150, 600]))];
    const [logits, grad] = [o.floats(rows * classes), o.floats(rows * classes)];
    const [labels, scale, smoothing] = [o.integers(rows, classes), o.scalar(), o.pick([0, 0.1])];
    return (ops) => ops.softmaxCrossEntropy(rows, classes, logits, labels, grad, scale, smoothing);
  },
  squaredError(o) {
    const n = o.length();
    const [y, target, grad, scale] = [o.floats(n), o.floats(n), o.floats(n), o.scalar()];
    return (ops) => ops.squaredError(n, y, target, grad, scale);
  },
  binaryCrossEntropy(o) {
    const n = o.length();
    const [z, target, grad, scale] = [o.floats(n), o.floats(n), o.floats(n), o.scalar()];
    return (ops) => ops.binaryCrossEntropy(n, z, target, grad, scale);
  },
  sgd(o) {
    const n = o.length();
    const [p, g, buffer] = [o.floats(n), o.floats(n), o.optional(n)];
    const [lr, decay, momentum, bufferDecay, share] = [1, 2, 3, 4, 5].map(() => o.scalar());
    const nesterov = o.flag();
    return (ops) => void ops.sgd(n, p, g, buffer, lr, decay, momentum, bufferDecay, share, nesterov);
  },
  adam(o) {
    const n = o.length();
    const [p, g, m, v] = [1, 2, 3, 4].map(() => o.floats(n));
    const vMax = o.optional(n);
    const [step, rest1, beta2, rest2, root, eps, decay, keep] = Array.from({ length: 8 }, () => o.scalar());
    return (ops) => void ops.adam(n, p, g, m, v, vMax, step, rest1, beta2, rest2, root, eps, decay, keep);
  },
  rmsprop(o) {
    const n = o.length();
    const [p, g, v] = [1, 2, 3].map(() => o.floats(n));
    const [average, buffer] = [o.optional(n), o.optional(n)];
    const [lr, alpha, rest, eps, decay, momentum] = Array.from({ length: 6 }, () => o.scalar());
    return (ops) => void ops.rmsprop(n, p, g, v, average, buffer, lr, alpha, rest, eps, decay, momentum);
  },
  uniform(o) {
    const n = o.length();
    const [x, key0, key1, low, span] = [o.floats(n), o.below(2 ** 31), o.below(2 ** 31), o.scalar(), o.scalar()];
    return (ops) => void ops.uniform(n, x, key0, key1, low, span);
  },
  normal(o) {
    const n = o.length();
    const [x, key0, key1, std] = [o.floats(n), o.below(2 ** 31), o.below(2 ** 31), o.scalar()];
    return (ops) => void ops.normal(n, x, key0, key1, std);
  },
  dropout(o) {
    const n = o.length();
    const [x, key0, key1] = [o.floats(n), o.below(2 ** 31), o.below(2 ** 31)];
    const [threshold, scale, y] = [o.below(2 ** 24 + 1), o.scalar(), o.destination(x, n)];
    return (ops) => void ops.dropout(n, x, key0, key1, threshold, scale, y);
  },
  conv2d(o) {
    const { images, window, work, input, output, weights, channels } = convolution(o);
    const [x, weight, y] = [input, weights, output].map((length) => o.floats(length));
    const bias = o.optional(channels);
    return (ops) => void ops.conv2d(images, window, x, weight, bias, y, work);
  },
  conv2dBackwardInput(o) {
    const { images, window, work, input, output, weights } = convolution(o);
    const [dy, weight, dx] = [output, weights, input].map((length) => o.floats(length));
    return (ops) => void ops.conv2dBackwardInput(images, window, dy, weight, dx, work);
  },
  conv2dBackwardWeight(o) {
    const { images, window, work, input, output, weights } = convolution(o);
    const [x, dy, dweight] = [input, output, weights].map((length) => o.floats(length));
    const accumulate = o.flag();
    return (ops) => void ops.conv2dBackwardWeight(images, window, x, dy, dweight, accumulate, work);
  },
  maxPool2d(o) {
    const { images, window, input, output } = pool(o);
    const [x, y, indices] = [o.floats(input), o.floats(output), o.optional(output)];
    return (ops) => void ops.maxPool2d(images, window, x, y, indices);
  },
  maxPool2dBackward(o) {
    const { images, window, input, output, plane } = pool(o);
    const [dy, dx, indices] = [o.floats(output), o.floats(input), o.integers(output, plane)];
    return (ops) => void ops.maxPool2dBackward(images, window, dy, indices, dx);
  },
  batchNorm(o) {
    const { layout, channels, length } = channelled(o, 2);
    const x = o.floats(length);
    const [weight, bias, mean, variance] = [1, 2, 3, 4].map(() => o.floats(channels));
    const [statistics, y] = [o.floats(2 * channels), o.destination(x, length)];
    const [eps, momentum] = [o.pick([1e-5, 0.1]), o.scalar()];
    return (ops) => void ops.batchNorm(...layout, x, weight, bias, eps, momentum, mean, variance, statistics, y);
  },
  normalize(o) {
    const { layout, channels, length } = channelled(o);
    const x = o.floats(length);
    const [weight, bias, mean, variance] = [1, 2, 3, 4].map(() => o.floats(channels));
    const y = o.destination(x, length);
    return (ops) => void ops.normalize(...layout, x, weight, bias, 1e-5, mean, variance, y);
  },
  batchNormBackward(o) {
    const { layout, channels, length } = channelled(o, 2);
    const [x, dy, weight, statistics] = [length, length, channels, 2 * channels].map((size) => o.floats(size));
    const dx = o.flag() ? o.destination(dy, length) : 0;
    const [dweight, dbias] = o.flag() ? [o.floats(channels), o.floats(channels)] : [0, 0];
    const [addWeight, addBias] = [o.flag(), o.flag()];
    return (ops) =>
      void ops.batchNormBackward(...layout, x, dy, weight, statistics, dx, dweight, addWeight, dbias, addBias);
  },
};

/** Of so many multiplications at most; now and then one axis is longer than every block of the loops around the tiles. */
function productSizes(o: Operands): number[] {
  const sizes = [o.size(), o.size(), o.size()];
  while (sizes[0] * sizes[1] * sizes[2] > 1 << 16) {
    const largest = sizes.indexOf(Math.max(...sizes));
    sizes[largest] >>>= 1;
  }
  if (o.below(8) === 0) {
    const long = o.below(3);
    for (let axis = 0; axis < 3; axis++) sizes[axis] = axis === long ? 250 + o.below(900) : 1 + o.below(24);
  }
  return sizes;
}

interface Channelled {
  readonly layout: [rows: number, channels: number, inner: number];
  readonly channels: number;
  readonly length: number;
}

/**
 * [rows, channels, inner] with at least `least` values a channel: columns, long ones whose sums are carried over blocks, now and then of
 * rows longer than what is carried at a time, planes, or one channel of everything.
 */
function channelled(o: Operands, least = 0): Channelled {
  const layout = o.pick([
    (): Channelled["layout"] => [least + o.below(40), o.size(), 1],
    (): Channelled["layout"] =>
      o.below(8) === 0 ? [33 + o.below(8), 2040 + o.below(40), 1] : [33 + o.below(200), o.below(40), 1],
    (): Channelled["layout"] => [1 + o.below(4), 1 + o.below(8), Math.max(least, o.size())],
    (): Channelled["layout"] => [1, 1, Math.max(least, o.length())],
  ])();
  const [rows, channels, inner] = layout;
  return { layout, channels, length: rows * channels * inner };
}

interface Plane {
  readonly side: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly out: number;
}

/** One axis of a window that fits; of a pool with a padding of at most half the kernel. */
function axis(o: Operands, isPool: boolean): Plane {
  const kernel = o.pick([1, 2, 3, 3, 3, 5]);
  const stride = o.pick([1, 1, 2, 3]);
  const padding = o.below(isPool ? (kernel >>> 1) + 1 : 3);
  const side = Math.max(1, kernel - 2 * padding) + o.below(14);
  return { side, kernel, stride, padding, out: Math.floor((side + 2 * padding - kernel) / stride) + 1 };
}

function windowSizes(channels: number, outChannels: number, down: Plane, across: Plane): WindowSizes {
  return [
    channels,
    down.side,
    across.side,
    outChannels,
    down.kernel,
    across.kernel,
    down.stride,
    across.stride,
    down.padding,
    across.padding,
  ];
}

/** Every second one with enough channels for Winograd's way, where its window takes it. */
function convolution(o: Operands) {
  const [least, images] = [o.pick([1, 16]), o.below(4)];
  const [inChannels, channels] = [least + o.below(8), least + o.below(20)];
  const down = axis(o, false);
  const across = least === 16 && o.flag() ? down : axis(o, false);
  const window = o.window(windowSizes(inChannels, channels, down, across));
  return {
    images,
    window,
    channels,
    work: o.work(window),
    input: images * inChannels * down.side * across.side,
    output: images * channels * down.out * across.out,
    weights: channels * inChannels * down.kernel * across.kernel,
  };
}

function pool(o: Operands) {
  const [images, channels] = [o.below(4), 1 + o.below(5)];
  const [down, across] = [axis(o, true), axis(o, true)];
  const planes = images * channels;
  return {
    images,
    window: o.window(windowSizes(channels, channels, down, across)),
    input: planes * down.side * across.side,
    output: planes * down.out * across.out,
    plane: down.side * across.side,
  };
}
