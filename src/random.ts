/** The key of a stream of random numbers. */
export interface Key {
  readonly key0: number;
  readonly key1: number;
}

/** A generator's place in its stream. */
export interface GeneratorState {
  readonly counter: number;
  readonly isSpare: boolean;
  readonly words: Uint32Array;
}

const TWO_32 = 4_294_967_296;
const PARITY = 0x1bd11bda;

/** The rotations of four rounds; the two rows take turns. */
const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/**
 * Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): two random 32-bit words for a
 * key and a counter, by additions, rotations and exclusive ors.
 */
export function threefry({ key0, key1 }: Key, counter0: number, counter1: number, words: Uint32Array): void {
  let x0 = (counter0 + key0) | 0;
  let x1 = (counter1 + key1) | 0;
  let a = key1;
  let b = key0 ^ key1 ^ PARITY;
  let c = key0;
  for (let group = 1; group <= 5; group++) {
    const [r0, r1, r2, r3] = ROTATIONS[1 - (group & 1)];
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r0) | (x1 >>> (32 - r0))) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r1) | (x1 >>> (32 - r1))) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r2) | (x1 >>> (32 - r2))) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r3) | (x1 >>> (32 - r3))) ^ x0;
    x0 = (x0 + a) | 0;
    x1 = (x1 + b + group) | 0;
    const next = a;
    a = b;
    b = c;
    c = next;
  }
  words[0] = x0;
  words[1] = x1;
}

/**
 * An engine's generator: a key, made from the seed, and a counter. Kernels draw the numbers for tensors from keys that `nextKey` gives;
 * the generator itself draws orders.
 */
export class RandomGenerator {
  readonly #key: Key;
  readonly #words = new Uint32Array(2);
  #counter = 0;
  #isSpare = false;

  constructor(seed: number) {
    // a safe integer has up to 53 bits: both halves count
    this.#key = { key0: seed | 0, key1: Math.floor(seed / TWO_32) | 0 };
  }

  /** What the seed became. */
  get key(): Key {
    return this.#key;
  }

  /** The generator's state, for `restore`. */
  save(): GeneratorState {
    return { counter: this.#counter, isSpare: this.#isSpare, words: this.#words.slice() };
  }

  restore({ counter, isSpare, words }: GeneratorState): void {
    this.#counter = counter;
    this.#isSpare = isSpare;
    this.#words.set(words);
  }

  /** Both words of the next counter. */
  #next(): Uint32Array {
    threefry(this.#key, this.#counter | 0, Math.floor(this.#counter / TWO_32) | 0, this.#words);
    this.#counter++;
    return this.#words;
  }

  nextKey(): Key {
    const [key0, key1] = this.#next();
    this.#isSpare = false;
    return { key0: key0 | 0, key1: key1 | 0 };
  }

  /** A seed for a generator of its own. */
  nextSeed(): number {
    const { key0, key1 } = this.nextKey();
    return (key0 >>> 0) * 2_097_152 + (key1 >>> 11);
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    this.#isSpare = !this.#isSpare;
    return this.#isSpare ? this.#next()[0] : this.#words[1];
  }

  /** Uniform over 0 .. bound - 1, without modulo bias; bound <= 2^32. */
  below(bound: number): number {
    const limit = TWO_32 - (TWO_32 % bound);
    let bits = this.bits();
    while (bits >= limit) bits = this.bits();
    return bits % bound;
  }

  /** Shuffles in place (Fisher and Yates), in parts if wanted: the places from `from` down to `to`, without `to` itself. */
  shuffle(indices: Uint32Array, from = indices.length - 1, to = 0): void {
    for (let i = from; i > to; i--) {
      const j = this.below(i + 1);
      const swapped = indices[i];
      indices[i] = indices[j];
      indices[j] = swapped;
    }
  }
}
