import { describe, expect, test } from "vitest";
import { bitExact, exact, firstDifference, Problems, within } from "../support/compare.js";
import { kernelSetsByTile } from "../support/kernels.js";
import {
  AB,
  ABT,
  ATB,
  ATBT,
  describeProduct,
  FORMS,
  MODES,
  type Operands,
  PLAIN,
  ProductBench,
  randomLayout,
  randomOperands,
  referenceProduct,
} from "../support/product.js";
import { Random } from "../support/random.js";

const sets = kernelSetsByTile();
const bench = new ProductBench(sets, 2 ** 22);

const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i);

function* triples(sizes: number[]): Generator<[number, number, number]> {
  for (const m of sizes) for (const n of sizes) for (const k of sizes) yield [m, n, k];
}

/** Each shape once: its reference serves the forms, the modes and the kernel sets. Returns how many shapes there were. */
function checkShapes(
  shapes: Iterable<[number, number, number]>,
  forms: typeof FORMS,
  modesOf: (random: Random) => typeof MODES,
  seed: number,
): number {
  const random = new Random(seed);
  const problems = new Problems();
  let count = 0;
  for (const [m, n, k] of shapes) {
    const operands = randomOperands(random, m, n, k);
    const product = referenceProduct(operands);
    for (const form of forms) {
      for (const mode of modesOf(random)) {
        bench.check(operands, product, form, mode, randomLayout(random), problems);
      }
    }
    count++;
  }
  expect(problems.list).toEqual([]);
  return count;
}

const everyMode = (): typeof MODES => MODES;
const oneMode = (random: Random): typeof MODES => [random.pick(MODES)];

describe(`gemm of ${sets.map(({ name }) => name).join(" and ")}`, () => {
  test("every shape 0..17: A·B, A·Bᵀ and Aᵀ·B, written, with a bias, accumulated", () => {
    expect(checkShapes(triples(range(0, 17)), [AB, ABT, ATB], everyMode, 1)).toBe(18 ** 3);
  });

  test("Aᵀ·Bᵀ", () => {
    checkShapes(triples([0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33]), [ATBT], everyMode, 2);
  });

  test("one off the tiles' sizes in every dimension", () => {
    const edges = [3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 63, 64, 65];
    const larger = [...triples(edges)].filter((shape) => Math.max(...shape) > 17);
    checkShapes(larger, [AB, ABT, ATB], oneMode, 3);
  });

  test("one off the blocks' sizes in one dimension", () => {
    const blocks = [127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025];
    const shapes = function* (): Generator<[number, number, number]> {
      for (const large of blocks) {
        for (const [p, q] of [1, 3, 8, 18, 34].flatMap((first) => [1, 4, 11, 33].map((second) => [first, second]))) {
          yield [large, p, q];
          yield [p, large, q];
          yield [p, q, large];
        }
      }
    };
    checkShapes(shapes(), [AB, ABT, ATB], oneMode, 4);
  });

  test("300 random larger shapes, rows, columns, outer products and sums over 512 among them", () => {
    const random = new Random(5);
    const size = (): number => {
      const kind = random.next();
      return kind < 0.08 ? 1 : kind < 0.16 ? random.integer(2, 16) : random.integer(17, 300);
    };
    const shapes = range(1, 300).map((): [number, number, number] => {
      return [size(), size(), random.next() < 0.15 ? random.integer(500, 1100) : size()];
    });
    const kinds = [shapes.some(([m]) => m === 1), shapes.some(([, n]) => n === 1), shapes.some(([, , k]) => k === 1)];
    expect([...kinds, shapes.some(([, , k]) => k > 512)]).toEqual([true, true, true, true]);
    checkShapes(shapes, [AB, ABT, ATB], oneMode, 6);
  });

  test("every dimension past a block at once, and far past it", () => {
    const long: [number, number, number][] = [
      [4099, 9, 17],
      [17, 4099, 9],
      [9, 17, 4099],
      [20, 12, 8192],
    ];
    checkShapes([[261, 270, 523], ...long], FORMS, everyMode, 7);
  });

  test("few rows of a large matrix, and small k over many columns", () => {
    const large: [number, number, number][] = [
      [1, 1030, 517],
      [2, 1041, 2047],
      [7, 1400, 1531],
      [15, 1024, 2050],
      [16, 1024, 2050],
      [31, 4105, 515],
    ];
    expect(checkShapes(large, [AB], oneMode, 12)).toBe(large.length);
    const shallow: [number, number, number][] = [
      [300, 1100, 33],
      [261, 1110, 64],
      [40, 8209, 4],
      [65, 4105, 8],
      [515, 519, 3],
      [1031, 257, 5],
      [33, 8191, 2],
      [261, 1110, 65],
    ];
    expect(checkShapes(shallow, [AB, ATB], everyMode, 13)).toBe(shallow.length);
  });

  // Few rows go along the rows of a large B, and down the columns of a smaller one.
  test("the same bits along rows and down columns", () => {
    const random = new Random(14);
    const problems = new Problems();
    for (const [m, n, k] of [
      [1, 1040, 515],
      [3, 2101, 1031],
      [15, 2117, 1002],
    ]) {
      const operands = randomOperands(random, m, n, k);
      const part = (matrix: Float32Array, from: number, to: number): Float32Array =>
        matrix.filter((_, i) => i % n >= from && i % n < to);
      for (const mode of MODES) {
        const whole = bench.run(operands, AB, mode, PLAIN, problems);
        for (let from = 0; from < n; from += 530) {
          const to = Math.min(n, from + 530);
          const [b, c, bias] = [operands.b, operands.c, operands.bias].map((matrix) => part(matrix, from, to));
          const columns = { ...operands, n: to - from, b, c, bias };
          for (const [name, got] of bench.run(columns, AB, mode, PLAIN, problems)) {
            const problem = firstDifference(got, part(whole.get(name)!, from, to), bitExact);
            problems.note(() => describeProduct(name, columns, AB, mode, PLAIN), problem);
          }
        }
      }
    }
    expect(problems.list).toEqual([]);
  });

  test("sums of 65,536 products lose no more than sums over a block", () => {
    const random = new Random(11);
    const problems = new Problems();
    const k = 65_536;
    // a share of the sums' standard deviation, sqrt(k) / 3: sums that ran along all of k would be off by 4e-6 to 9e-6
    const limit = within(new Float64Array(64).fill((2.5e-6 * Math.sqrt(k)) / 3));
    for (const [m, n, form] of [
      [1, 19, AB],
      [1, 5, ABT],
      [3, 7, ABT],
      [7, 9, ATB],
    ] as const) {
      const operands = randomOperands(random, m, n, k);
      const want = referenceProduct(operands).sums;
      for (const [name, got] of bench.run(operands, form, "write", PLAIN, problems)) {
        const label = (): string => `${name} m=${m} n=${n}`;
        problems.note(label, firstDifference(got, want, limit));
      }
    }
    expect(problems.list).toEqual([]);
  });

  // Rows a power of two apart fall into the same cache sets, where kernels take other ways.
  test("rows 1, 2 and 4 KiB apart", () => {
    const random = new Random(8);
    const problems = new Problems();
    for (const stride of [256, 512, 1024]) {
      for (const [m, n, k] of triples([1, 5, 8, 16, 33])) {
        const operands = randomOperands(random, m, n, k);
        const product = referenceProduct(operands);
        for (const form of FORMS) {
          const gaps = [form.transposeA ? m : k, form.transposeB ? k : n, n].map((length) => stride - length);
          const layout = { shifts: randomLayout(random).shifts, gaps: [gaps[0], gaps[1], gaps[2]] as const };
          bench.check(operands, product, form, random.pick(MODES), layout, problems);
        }
      }
    }
    expect(problems.list).toEqual([]);
  });

  // A run that is killed and resumed ends with the same bits, although its tensors lie elsewhere then.
  test("the same bits wherever the operands lie", () => {
    const random = new Random(9);
    const problems = new Problems();
    for (const [m, n, k] of triples([1, 3, 8, 21, 50])) {
      const operands = randomOperands(random, m, n, k);
      for (const form of FORMS) {
        const layouts = range(1, 4).map(() => ({ shifts: randomLayout(random).shifts, gaps: PLAIN.gaps }));
        bench.checkPlacement(operands, form, layouts, problems);
      }
    }
    expect(problems.list).toEqual([]);
  });

  test("A·I = A and I·B = B, to the last bit", () => {
    const random = new Random(10);
    const problems = new Problems();
    const identity = (size: number): Float32Array =>
      Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
    for (const size of [...range(1, 20), 31, 32, 33, 64, 65, 130, 520]) {
      for (const other of [1, 2, 5, 8, 17, 40]) {
        // From 1e-30 to 1e30, both signs: a sum in which anything else took part would not come out equal.
        const values = random.values(size * other, -30, 30).map((e) => (e < 0 ? -1 : 1) * 10 ** e);
        const unused = { bias: new Float32Array(Math.max(size, other)), c: new Float32Array(size * other) };
        const right = { m: other, n: size, k: size, a: values, b: identity(size), ...unused };
        const left = { m: size, n: other, k: size, a: identity(size), b: values, ...unused };
        for (const operands of [right, left] satisfies Operands[]) {
          for (const form of FORMS) {
            const layout = randomLayout(random);
            for (const [name, got] of bench.run(operands, form, "write", layout, problems)) {
              const label = (): string => describeProduct(name, operands, form, "write", layout);
              problems.note(label, firstDifference(got, values, exact));
            }
          }
        }
      }
    }
    expect(problems.list).toEqual([]);
  });

  test("NaN and infinities reach the elements whose sums hold them, and no others", () => {
    const random = new Random(11);
    const problems = new Problems();
    // Zeros among the operands: 0 · Infinity is NaN too.
    const specials = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
    let notNumbers = 0;
    let infinities = 0;
    for (const [m, n, k] of triples([1, 2, 4, 7, 9, 16, 19, 40])) {
      const operands = randomOperands(random, m, n, k);
      for (const values of [operands.a, operands.b, operands.bias, operands.c]) {
        for (let i = random.integer(0, 2); i > 0; i--)
          values[random.integer(0, values.length - 1)] = random.pick(specials);
      }
      const product = referenceProduct(operands);
      for (const value of product.sums) {
        if (Number.isNaN(value)) notNumbers++;
        else if (!Number.isFinite(value)) infinities++;
      }
      for (const form of FORMS) {
        for (const mode of MODES) bench.check(operands, product, form, mode, randomLayout(random), problems);
      }
    }
    expect(problems.list).toEqual([]);
    expect(notNumbers).toBeGreaterThan(1000);
    expect(infinities).toBeGreaterThan(1000);
  });
});
