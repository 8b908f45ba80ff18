import type { LinearMemory } from "../../memory.js";
import { RandomGenerator } from "../../random.js";
import { argumentsOf, type Description, layoutOf, type Operands, type Sizes } from "../description.js";
import type { Layout } from "../table/vocabulary.js";
import { setWindow, type WindowSizes } from "../window.js";

const WORDS = 1 << 19;
/** Words behind each operand, so that a kernel that writes too far is found. */
const GAP = 8;
/** Numbers that operands are filled from, in a cycle: a prime, so that two operands of a call line up in ever new ways. */
const POOL = 1021;
/** No operand is longer. */
const LONGEST = 1 << 17;

/**
 * Arguments of random kernel calls, with the operands in one block of linear memory. Sizes are random, so that vectors end in remainders
 * of every length. Operands start at any multiple of 4 bytes; they hold ordinary values, or also infinities, NaN, zeros and subnormals,
 * or any bits.
 */
export class RandomOperands implements Operands {
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

  /** Forgets every operand, and chooses what the next ones are filled with: ordinary values three times of five. */
  #clear(): void {
    this.#top = this.#base;
    this.#pool = this.#pools[Math.max(0, this.below(5) - 2)];
  }

  /** An integer in 0 .. bound - 1. */
  below(bound: number): number {
    return this.#random.below(bound);
  }

  /** The arguments of a random call. Operands of the call before are forgotten. */
  arguments(description: Description): (number | boolean)[] {
    this.#clear();
    return argumentsOf(description, SIZES[layoutOf(description)](this), this);
  }

  integer(below: number): number {
    return this.below(below);
  }

  flag(): boolean {
    return this.below(2) === 1;
  }

  isThere(): boolean {
    return this.flag();
  }

  isSame(): boolean {
    return this.flag();
  }

  pick<T>(items: ArrayLike<T>): T {
    return items[this.below(items.length)];
  }

  /** The size of an axis: mostly below 20, for every remainder of every vector; sometimes up to 300. */
  size(): number {
    const few = this.below(5);
    if (few < 3) return this.below(20);
    return few === 3 ? 20 + this.below(52) : 72 + this.below(230);
  }

  /** The length of an operand that is processed element by element. */
  length(): number {
    return this.below(8) === 0 ? 300 + this.below(3000) : this.size();
  }

  /** A factor or a rate. */
  scalar(among: readonly number[]): number {
    if (among.length > 0) return this.pick(among);
    return this.below(3) === 0 ? this.pick([0, 1, -1, 0.9, 1e-8]) : this.pick(this.#pool);
  }

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

  integers(length: number, below: number): number {
    const start = this.#take(length);
    for (let i = 0; i < length; i++) this.#heap.i32[start + i] = this.below(below);
    return start * 4;
  }

  window(sizes: WindowSizes): number {
    return setWindow(this.#heap, sizes);
  }

  /** A convolution's scratch: apart from the operands, which are compared. */
  work(window: number): number {
    const bytes = this.#workBytes(window);
    if (bytes > this.#work.bytes) {
      if (this.#work.bytes > 0) this.#heap.free(this.#work.address);
      this.#work = { address: this.#heap.allocate(bytes), bytes };
    }
    return this.#work.address;
  }

  /** Where operands begin, as an index of words. */
  get start(): number {
    return this.#base;
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

/** The sizes of a random call, by its layout. */
const SIZES: Readonly<Record<Layout, (o: RandomOperands) => Sizes>> = {
  elements: (o) => [o.length()],
  channels: (o) => channelled(o, 0),
  statistics: (o) => channelled(o, 2),
  classes: (o) => [1 + o.below(40), 1 + o.below(o.pick([12, 12, 150, 600]))],
  product(o) {
    const [m, n, k] = productSizes(o);
    const [transposeA, transposeB] = [o.flag(), o.flag()];
    const [bRows, bColumns] = transposeB ? [n, k] : [k, n];
    // rows of B that are 4 KiB apart share cache sets: the kernel packs them in another way
    const collides = bRows < 100 && bColumns <= 1024 && o.below(8) === 0;
    const lda = (transposeA ? m : k) + o.below(4);
    const ldb = collides ? 1024 : bColumns + o.below(4);
    return [transposeA, transposeB, m, n, k, lda, ldb, n + o.below(4)];
  },
  convolution,
  pool,
};

/** m, n, k of at most 65,536 multiplications; sometimes one of them is longer than the blocks of its loop. */
function productSizes(o: RandomOperands): number[] {
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

/**
 * [rows, channels, inner] with at least `least` values in each channel: columns; long columns, summed in several blocks, and sometimes
 * more columns than are summed at a time; planes; or one channel for everything.
 */
function channelled(o: RandomOperands, least: number): Sizes {
  return o.pick([
    () => [least + o.below(40), o.size(), 1],
    () => (o.below(8) === 0 ? [33 + o.below(8), 2040 + o.below(40), 1] : [33 + o.below(200), o.below(40), 1]),
    () => [1 + o.below(4), 1 + o.below(8), Math.max(least, o.size())],
    () => [1, 1, Math.max(least, o.length())],
  ])();
}

/** One axis of a window that fits. The padding of a pool is at most half its kernel. */
function axis(o: RandomOperands, isPool: boolean) {
  const kernel = o.pick([1, 2, 3, 3, 3, 5]);
  const stride = o.pick([1, 1, 2, 3]);
  const padding = o.below(isPool ? (kernel >>> 1) + 1 : 3);
  return { side: Math.max(1, kernel - 2 * padding) + o.below(14), kernel, stride, padding };
}

type Axis = ReturnType<typeof axis>;

const windowSizes = (channels: number, outChannels: number, down: Axis, across: Axis): WindowSizes => [
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

/** Half of them have enough channels for Winograd's method, and half of those the same window in both directions, as it needs. */
function convolution(o: RandomOperands): Sizes {
  const [least, images] = [o.pick([1, 16]), o.below(4)];
  const [channels, outChannels] = [least + o.below(8), least + o.below(20)];
  const down = axis(o, false);
  const across = least === 16 && o.flag() ? down : axis(o, false);
  return [images, ...windowSizes(channels, outChannels, down, across)];
}

function pool(o: RandomOperands): Sizes {
  const [images, channels] = [o.below(4), 1 + o.below(5)];
  return [images, ...windowSizes(channels, channels, axis(o, true), axis(o, true))];
}
