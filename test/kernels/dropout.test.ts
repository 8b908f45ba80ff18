import { describe, expect, test } from "vitest";
import type { Kernels } from "../../src/kernels/kernels.js";
import { bitExact, firstDifference, Problems } from "../support/compare.js";
import { describeKernels, threefry } from "../support/kernels.js";
import { anywhere, notNumbers, range, SIZES, SPECIALS } from "../support/numbers.js";
import { Random } from "../support/random.js";

/** What the upper bits of a word are compared with goes up to this. */
const ALL = 2 ** 24;
const LONGEST = 100_000;

/** Masks of the usual probabilities, their neighbours at the edges, and a scale that is no float32. */
const MASKS: readonly [threshold: number, scale: number][] = [
  [0, 1],
  [1, 1],
  [ALL / 10, 1 / 0.9],
  [ALL / 2, 2],
  [ALL * 0.75, 4],
  [ALL - 1, ALL],
  [ALL, 0],
];

const KEYS: readonly [number, number][] = [
  [0, 0],
  [1, 2],
  [-5, 0x7fffffff],
];

/**
 * The upper 24 bits of each element's word: elements 8j + i and 8j + 4 + i, i = 0 .. 3, get the first and the second word of counter
 * 4j + i.
 */
function upperBits([key0, key1]: readonly [number, number], count: number): number[] {
  const words = new Uint32Array(2);
  return range(0, count - 1).map((element) => {
    threefry({ key0, key1 }, 4 * Math.floor(element / 8) + (element % 4), 0, words);
    return words[Math.floor((element % 8) / 4)] >>> 8;
  });
}

describe("dropout", () => {
  describeKernels((kernels, arena, twin) => {
    function run(
      { dropout }: Kernels,
      random: Random,
      x: Float32Array,
      key: readonly [number, number],
      [threshold, scale]: readonly [number, number],
      inPlace: boolean,
      problems: Problems,
      label: () => string,
    ): Float32Array {
      arena.clear();
      const y = arena.output(inPlace ? x : notNumbers(x.length), anywhere(random));
      const from = inPlace ? y : arena.input(x, anywhere(random));
      arena.run(() => dropout(x.length, from.address, ...key, threshold, scale, y.address), problems, label);
      return arena.read(y);
    }

    /** Against the rule and against the twin, to the bit. */
    function check(
      random: Random,
      x: Float32Array,
      bits: readonly number[],
      key: readonly [number, number],
      mask: readonly [number, number],
      problems: Problems,
    ): void {
      const [threshold, scale] = mask;
      // The product of two float32 is exact in double: it rounds once.
      const want = x.map((value, i) => value * (bits[i] < threshold ? 0 : Math.fround(scale)));
      for (const inPlace of [false, true]) {
        const label = (): string => `n=${x.length} key=${key} threshold=${threshold} inPlace=${inPlace}`;
        const got = run(kernels, random, x, key, mask, inPlace, problems, label);
        problems.note(label, firstDifference(got, want, bitExact));
        if (kernels === twin) continue;
        const twins = run(twin, random, x, key, mask, inPlace, problems, label);
        problems.note(() => `${label()} against the twin`, firstDifference(got, twins, bitExact));
      }
    }

    test("every size and mask by Threefry's words, apart and in place, to the bit", () => {
      const random = new Random(1);
      const problems = new Problems();
      for (const key of KEYS) {
        // One stream for every size: what becomes of an element depends on its place alone.
        const bits = upperBits(key, Math.max(...SIZES));
        for (const n of SIZES) {
          for (const mask of MASKS) check(random, random.values(n), bits, key, mask, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("every special value, kept and dropped, to the bit", () => {
      const random = new Random(2);
      const problems = new Problems();
      const [key] = KEYS;
      const x = Float32Array.from({ length: 40 * SPECIALS.length }, (_, i) => SPECIALS[i % SPECIALS.length]);
      const bits = upperBits(key, x.length);
      for (const mask of MASKS) check(random, x, bits, key, mask, problems);
      expect(problems.list).toEqual([]);
    });

    test("keeps everything at 0 and nothing at 2^24", () => {
      const random = new Random(3);
      const problems = new Problems();
      const x = random.values(1000);
      const masked = (mask: readonly [number, number]): Float32Array =>
        run(kernels, random, x, [3, 4], mask, false, problems, () => `${mask}`);
      expect(masked([0, 1])).toEqual(x);
      expect(masked([ALL, 0]).every((value) => value === 0)).toBe(true);
      expect(problems.list).toEqual([]);
    });

    test("keeps the share that it says, within 5 sigma, and another one for another key", () => {
      const random = new Random(4);
      const problems = new Problems();
      const ones = new Float32Array(LONGEST).fill(1);
      for (const p of [0.01, 0.1, 0.5, 0.9]) {
        const masked = (key: readonly [number, number]): Float32Array =>
          run(kernels, random, ones, key, [Math.ceil(p * ALL), 1], false, problems, () => `p=${p}`);
        const [first, second] = [masked([7, 8]), masked([7, 9])];
        const kept = first.reduce((count, value) => count + value, 0);
        expect(Math.abs(kept - (1 - p) * LONGEST)).toBeLessThan(5 * Math.sqrt(p * (1 - p) * LONGEST));
        // The scale makes up for what is dropped: the mean of any values stays, but for the mask's chance.
        const values = random.values(LONGEST, -1, 3);
        const scaled = run(
          kernels,
          random,
          values,
          [7, 8],
          [Math.ceil(p * ALL), 1 / (1 - p)],
          false,
          problems,
          () => `p=${p}`,
        );
        const sum = (numbers: Float32Array): number => numbers.reduce((total, value) => total + value, 0);
        const squares = values.reduce((total, value) => total + value * value, 0);
        expect(Math.abs(sum(scaled) - sum(values))).toBeLessThan(5 * Math.sqrt((squares * p) / (1 - p)));
        // Independent masks agree with probability p² + (1 - p)².
        const agree = p * p + (1 - p) * (1 - p);
        const same = first.reduce((count, value, i) => count + +(value === second[i]), 0);
        expect(Math.abs(same - agree * LONGEST)).toBeLessThan(5 * Math.sqrt(agree * (1 - agree) * LONGEST));
      }
      expect(problems.list).toEqual([]);
    });
  });
});
