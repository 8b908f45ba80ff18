/** Mulberry32: small, seeded, the same everywhere, so that a failing case can be run again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer in low..high, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)];
  }

  values(count: number, low = -1, high = 1): Float32Array {
    return Float32Array.from({ length: count }, () => low + this.next() * (high - low));
  }

  /** Its items in a random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const keys = new Map(items.map((item) => [item, this.next()]));
    return [...items].sort((a, b) => keys.get(a)! - keys.get(b)!);
  }

  /** Integers, so small that sums of thousands of products of two are exact in float32. */
  integers(count: number): Float32Array {
    return Float32Array.from({ length: count }, () => this.integer(-4, 4));
  }
}
