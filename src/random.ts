import { log } from "./math.js";
import type { Tensor } from "./tensor.js";

const TWO_32 = 4_294_967_296;

/** SplitMix32's finalizer: every bit of the result depends on every bit of z. */
function mix(z: number): number {
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}

/**
 * The engine's generator: xoshiro128** (Blackman and Vigna, 2018), seeded through SplitMix32. Integer arithmetic, our own
 * logarithm and square roots only, so that a seed gives the same draws on every runtime.
 */
export class Generator {
  readonly #state = new Uint32Array(4);
  #spareNormal: number | undefined;

  constructor(seed: number) {
    // both halves of a safe integer count
    let x = mix(Math.floor(seed / TWO_32)) ^ seed;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) | 0;
      this.#state[i] = mix(x);
    }
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const s = this.#state;
    const scrambled = Math.imul(s[1], 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  }

  /** Standard normal, by Marsaglia's polar method. */
  normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const factor = Math.sqrt((-2 * log(s)) / s);
      this.#spareNormal = v * factor;
      return u * factor;
    }
  }

  /** Uniform over 0 .. bound - 1, without modulo bias; bound <= 2^32. */
  below(bound: number): number {
    const limit = TWO_32 - (TWO_32 % bound);
    let bits = this.bits();
    while (bits >= limit) bits = this.bits();
    return bits % bound;
  }

  /** A random order in place (Fisher and Yates). */
  shuffle(indices: Uint32Array): void {
    for (let i = indices.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const swapped = indices[i];
      indices[i] = indices[j];
      indices[j] = swapped;
    }
  }

  /** A seed for a generator of its own. */
  fork(): number {
    return this.bits() * 2_097_152 + (this.bits() >>> 11);
  }
}

function fillWith(t: Tensor, draw: () => number): Tensor {
  const offset = t.overwrite() >>> 2;
  const { f32 } = t.engine.linear;
  for (let i = 0; i < t.size; i++) f32[offset + i] = draw();
  return t;
}

/** Independent draws from N(0, std²). */
export function fillNormal(t: Tensor, std: number, generator: Generator): Tensor {
  return fillWith(t, () => std * generator.normal());
}

/** Independent draws from U(-bound, bound). */
export function fillUniform(t: Tensor, bound: number, generator: Generator): Tensor {
  return fillWith(t, () => bound * (2 * generator.uniform() - 1));
}
