import { describe, expect, test } from "vitest";
import type { Region } from "../support/arena.js";
import { bitExact, firstDifference, Problems, ROUNDING, within } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range, SIZES, SMALL_SIZES, SPECIALS, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";

/** [rows, channels, inner]: a slope for each channel of a dense layer or of a plane, or one slope for everything. */
type Shape = readonly [rows: number, channels: number, inner: number];

const SHAPES: Shape[] = [
  ...[0, 1, 2, 3, 4, 5, 8, 17].flatMap((rows) => SMALL_SIZES.map((channels): Shape => [rows, channels, 1])),
  ...[1, 2, 3].flatMap((rows) =>
    [1, 2, 3, 5, 8].flatMap((channels) => range(2, 35).map((inner): Shape => [rows, channels, inner])),
  ),
  ...SIZES.map((inner): Shape => [1, 1, inner]),
  [2, 3, 0],
  [100, 1, 1],
  [512, 256, 1],
  [67, 2053, 1],
  [130, 10, 1],
  [4, 1000, 1],
  [8, 33, 257],
  [1, 1, 50_001],
];

interface Operands {
  readonly shape: Shape;
  readonly x: Float32Array;
  readonly dy: Float32Array;
  readonly slope: Float32Array;
}

const sizeOf = ([rows, channels, inner]: Shape): number => rows * channels * inner;
const channelOf = ([, channels, inner]: Shape, i: number): number => Math.floor(i / inner) % channels;

function randomOperands(random: Random, shape: Shape): Operands {
  const x = random.values(sizeOf(shape));
  // The kink itself, on both sides of zero.
  for (let i = random.integer(0, 9); i < x.length; i += 10) x[i] = random.pick([0, -0]);
  return { shape, x, dy: random.values(x.length), slope: random.values(shape[1], -0.5, 1.5) };
}

/** Every special value with every special slope: dense, in planes, and with one slope for everything. */
function specialOperands(random: Random): Operands[] {
  const count = SPECIALS.length;
  const cases: Pick<Operands, "shape" | "slope">[] = [
    { shape: [count, count, 1], slope: SPECIALS },
    { shape: [1, count, count], slope: SPECIALS },
    ...Array.from(SPECIALS, (slope) => ({ shape: [1, 1, count] as const, slope: Float32Array.of(slope) })),
  ];
  return cases.map(({ shape, slope }) => {
    const [, channels, inner] = shape;
    const x = Float32Array.from({ length: sizeOf(shape) }, (_, i) =>
      inner === 1 ? SPECIALS[Math.floor(i / channels)] : SPECIALS[i % inner],
    );
    return { shape, slope, x, dy: x.map(() => random.pick([...SPECIALS])) };
  });
}

/** `value` on the positive side and slope · value on the other, which rounds once: the product is exact in double precision. */
function bent({ shape, x, slope }: Operands, values: Float32Array): Float32Array {
  return values.map((value, i) => (x[i] > 0 ? value : slope[channelOf(shape, i)] * value));
}

describe("prelu", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, operands: Operands, problems: Problems): void {
      const { shape, x, slope } = operands;
      const want = bent(operands, x);
      for (const inPlace of [false, true]) {
        arena.clear();
        const slopes = arena.input(slope, anywhere(random));
        const to = arena.output(inPlace ? x : notNumbers(x.length), anywhere(random));
        const from = inPlace ? to : arena.input(x, anywhere(random));
        const label = (): string => `[${shape}] inPlace=${inPlace}`;
        arena.run(() => kernels.prelu(...shape, from.address, slopes.address, to.address), problems, label);
        problems.note(label, firstDifference(arena.read(to), want, bitExact));
      }
    }

    test("every shape, apart and in place, to the bit", () => {
      const random = new Random(1);
      const problems = new Problems();
      for (const shape of SHAPES) check(random, randomOperands(random, shape), problems);
      expect(problems.list).toEqual([]);
    });

    test("every special value with every special slope, to the bit", () => {
      const random = new Random(2);
      const problems = new Problems();
      for (const operands of specialOperands(random)) check(random, operands, problems);
      expect(problems.list).toEqual([]);
    });
  });
});

/** What becomes of an optional sum. */
type Sum = "absent" | "write" | "accumulate";
const SUMS: readonly Sum[] = ["absent", "write", "accumulate"];
const CHOICES = SUMS.flatMap((slope) => SUMS.map((bias) => [slope, bias] as const));

describe("preluBackward", () => {
  describeKernels((kernels, arena) => {
    /** Checks dx to the bit, and unless `onlyDx` the sums that are asked for. */
    function check(
      random: Random,
      operands: Operands,
      [slopeSum, biasSum]: readonly [Sum, Sum],
      inPlace: boolean,
      problems: Problems,
      onlyDx = false,
    ): void {
      const { shape, x, dy, slope } = operands;
      const channels = shape[1];
      const before = (sum: Sum): Float32Array =>
        sum === "accumulate" ? random.values(channels) : notNumbers(channels);
      const [slopeBefore, biasBefore] = [before(slopeSum), before(biasSum)];
      arena.clear();
      const place = (values: Float32Array): Region => arena.input(values, anywhere(random));
      const [from, slopes] = [place(x), place(slope)];
      const dslope = arena.output(slopeBefore, anywhere(random));
      const dbias = arena.output(biasBefore, anywhere(random));
      const dx = arena.output(inPlace ? dy : notNumbers(dy.length), anywhere(random));
      const upstream = inPlace ? dx : place(dy);
      const optional = (sum: Sum, { address }: Region) =>
        [sum === "absent" ? 0 : address, sum === "accumulate"] as const;
      const label = (): string => `[${shape}] dslope ${slopeSum}, dbias ${biasSum}, inPlace=${inPlace}`;
      arena.run(
        () =>
          kernels.preluBackward(
            ...shape,
            from.address,
            upstream.address,
            slopes.address,
            dx.address,
            ...optional(slopeSum, dslope),
            ...optional(biasSum, dbias),
          ),
        problems,
        label,
      );
      const wantDx = bent(operands, dy);
      problems.note(() => `${label()}: dx`, firstDifference(arena.read(dx), wantDx, bitExact));
      if (onlyDx) return;

      const noteSum = (
        name: string,
        sum: Sum,
        before: Float32Array,
        got: Float32Array,
        term: (i: number) => number,
      ) => {
        if (sum === "absent") {
          problems.note(() => `${label()}: ${name}`, firstDifference(got, before, bitExact));
          return;
        }
        const want = Float64Array.from(before, (value) => (sum === "accumulate" ? value : 0));
        const bounds = want.map(Math.abs);
        for (let i = 0; i < x.length; i++) {
          const channel = channelOf(shape, i);
          want[channel] += term(i);
          bounds[channel] += Math.abs(term(i));
        }
        // In whatever order: one rounding for each product and one for each addition.
        const roundings = (x.length / Math.max(1, channels) + 2) * ROUNDING;
        const limit = within(bounds.map((size) => size * roundings));
        problems.note(() => `${label()}: ${name}`, firstDifference(got, want, limit));
      };
      noteSum("dslope", slopeSum, slopeBefore, arena.read(dslope), (i) => (x[i] > 0 ? 0 : dy[i] * x[i]));
      noteSum("dbias", biasSum, biasBefore, arena.read(dbias), (i) => wantDx[i]);
    }

    test("every shape with every choice of sums, apart and in place", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const shape of SHAPES) {
        const operands = randomOperands(random, shape);
        for (const sums of CHOICES) {
          for (const inPlace of [false, true]) check(random, operands, sums, inPlace, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("long columns lose no more than short ones", () => {
      const random = new Random(6);
      const problems = new Problems();
      const shapes: Shape[] = [
        [100_000, 1, 1],
        [20_000, 9, 1],
      ];
      for (const shape of shapes) {
        const { x, slope } = randomOperands(random, shape);
        const dy = new Float32Array(x.length).fill(0.1);
        arena.clear();
        const [from, upstream, slopes] = [x, dy, slope].map((values) => arena.input(values, anywhere(random)).address);
        const [dslope, dbias, dx] = [slope, slope, x].map((values) =>
          arena.output(notNumbers(values.length), anywhere(random)),
        );
        const label = (): string => `[${shape}]`;
        arena.run(
          () =>
            kernels.preluBackward(
              ...shape,
              from,
              upstream,
              slopes,
              dx.address,
              dslope.address,
              false,
              dbias.address,
              false,
            ),
          problems,
          label,
        );
        const terms = { dslope: x.map((value, i) => (value > 0 ? 0 : dy[i] * value)), dbias: arena.read(dx) };
        for (const [name, got] of Object.entries({ dslope, dbias })) {
          const want = new Float64Array(shape[1]);
          const bounds = new Float64Array(shape[1]);
          terms[name as keyof typeof terms].forEach((term, i) => {
            want[i % shape[1]] += term;
            bounds[i % shape[1]] += 1e-6 * Math.abs(term);
          });
          problems.note(() => `${label()}: ${name}`, firstDifference(arena.read(got), want, within(bounds)));
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("the bias gradient is channelSums of dx, to the bit", () => {
      const random = new Random(7);
      const problems = new Problems();
      for (const rows of [1, 2, 31, 32, 33, 63, 64, 65, 97, 1000]) {
        for (const channels of [1, 3, 8, 21, 100]) {
          const shape: Shape = [rows, channels, 1];
          const { x, dy, slope } = randomOperands(random, shape);
          arena.clear();
          const [from, upstream, slopes] = [x, dy, slope].map(
            (values) => arena.input(values, anywhere(random)).address,
          );
          const [dx, dbias, sums] = [x, slope, slope].map((values) =>
            arena.output(notNumbers(values.length), anywhere(random)),
          );
          const label = (): string => `[${shape}]`;
          const compute = (): void => {
            kernels.preluBackward(...shape, from, upstream, slopes, dx.address, 0, false, dbias.address, false);
            kernels.channelSums(...shape, dx.address, sums.address, false);
          };
          arena.run(compute, problems, label);
          problems.note(label, firstDifference(arena.read(dbias), arena.read(sums), bitExact));
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("dx of every special value with every special slope, to the bit", () => {
      const random = new Random(4);
      const problems = new Problems();
      for (const operands of specialOperands(random)) {
        // Other passes may run where there are no sums. Sums of special values overflow in float32, by the order of their terms.
        for (const sums of CHOICES) check(random, operands, sums, false, problems, true);
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities reach their channel's sums and no other", () => {
      const random = new Random(5);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const { x, dy, slope } = randomOperands(random, shape);
        const chance = 0.1 / Math.max(1, shape[0] * shape[2]);
        const operands = { shape, slope, x: sprinkle(random, x, chance), dy: sprinkle(random, dy, chance) };
        for (const sums of CHOICES) check(random, operands, sums, false, problems);
      }
      expect(problems.list).toEqual([]);
    });
  });
});
