import type { Placement } from "./arena.js";
import type { Random } from "./random.js";

export const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i);

/** Every remainder of every vector length and unrolling, and some long ones. */
export const SMALL_SIZES = range(0, 35);
export const SIZES = [...SMALL_SIZES, 63, 64, 65, 127, 130, 1000, 1025, 4099];

/** Any multiple of 4 bytes: rows and views inside tensors need not start at more. */
export const anywhere = (random: Random): Placement => ({ shift: random.integer(0, 15) });

export const notNumbers = (length: number): Float32Array => new Float32Array(length).fill(Number.NaN);

/** Zeros, subnormals, the smallest and largest normals, infinities and NaN, with both signs. */
export const SPECIALS = Float32Array.from(
  [0, 1e-45, 1e-40, 1.1754942e-38, 1.1754944e-38, 1e-20, 0.25, 1, 1.5, 3e38, 3.4028235e38, Number.POSITIVE_INFINITY]
    .flatMap((value) => [value, -value])
    .concat(Number.NaN),
);

/** Some elements become NaN, an infinity or zero (0 · Infinity is NaN too); none where there are no elements. */
export function sprinkle(random: Random, values: Float32Array, chance = 0.05): Float32Array {
  const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0];
  return values.map((value) => (random.next() < chance ? random.pick(specials) : value));
}
