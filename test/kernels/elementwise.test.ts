import { describe, expect, test } from "vitest";
import { bitExact, firstDifference, Problems, ROUNDING, within } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range, SIZES, SMALL_SIZES, SPECIALS, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";

describe("channelSums", () => {
  describeKernels((kernels, arena) => {
    type Shape = readonly [rows: number, channels: number, inner: number];

    const sizeOf = ([rows, channels, inner]: Shape): number => rows * channels * inner;

    function check(random: Random, shape: Shape, x: Float32Array, accumulate: boolean, problems: Problems): void {
      const [rows, channels, inner] = shape;
      const before = accumulate ? random.values(channels) : notNumbers(channels);
      const want = Float64Array.from({ length: channels }, (_, c) => (accumulate ? before[c] : 0));
      const bounds = want.map(Math.abs);
      for (let i = 0; i < x.length; i++) {
        const channel = Math.floor(i / inner) % channels;
        want[channel] += x[i];
        bounds[channel] += Math.abs(x[i]);
      }
      arena.clear();
      const from = arena.input(x, anywhere(random));
      const to = arena.output(before, anywhere(random));
      const label = (): string => `[${shape}] accumulate=${accumulate}`;
      arena.run(() => kernels.channelSums(...shape, from.address, to.address, accumulate), problems, label);
      // In whatever order: one rounding for each term.
      const limit = within(bounds.map((size) => (rows * inner + 1) * ROUNDING * size));
      problems.note(label, firstDifference(arena.read(to), want, limit));
    }

    const COLUMNS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33].flatMap((rows) =>
      SMALL_SIZES.map((channels): Shape => [rows, channels, 1]),
    );
    const PLANES = [0, 1, 2, 3, 5].flatMap((rows) =>
      [0, 1, 2, 3, 5, 8].flatMap((channels) => SIZES.slice(2, -3).map((inner): Shape => [rows, channels, inner])),
    );
    const LARGE: Shape[] = [
      [1000, 33, 1],
      [7, 1000, 1],
      [512, 256, 1],
      [300, 10, 1],
      [2000, 1, 1],
      [3, 4, 0],
      [8, 16, 1024],
      [2, 3, 4099],
      [67, 2053, 1],
    ];
    const LONG: Shape[] = [
      [100_000, 1, 1],
      [65_536, 5, 1],
      [20_000, 17, 1],
      [1, 1, 100_000],
      [30_000, 2, 3],
    ];

    test("every small size, and large ones", () => {
      const random = new Random(1);
      const problems = new Problems();
      for (const shape of [...COLUMNS, ...PLANES, ...LARGE]) {
        for (const accumulate of [false, true])
          check(random, shape, random.values(sizeOf(shape)), accumulate, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("long columns and planes lose no more than short ones", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const shape of LONG) {
        const count = shape[0] * shape[2];
        const channel = (i: number): number => Math.floor(i / shape[2]) % shape[1];
        // float32 that added them up one after the other would be off by 1e-4 of the first sums and by 8e-6 of the others' spread
        for (const [x, limit] of [
          [new Float32Array(sizeOf(shape)).fill(0.1), 1e-6 * 0.1 * count],
          [random.values(sizeOf(shape)), 6e-7 * Math.sqrt(count / 3)],
        ] as const) {
          const want = new Float64Array(shape[1]);
          for (let i = 0; i < x.length; i++) want[channel(i)] += x[i];
          arena.clear();
          const from = arena.input(x, anywhere(random));
          const to = arena.output(notNumbers(shape[1]), anywhere(random));
          const label = (): string => `[${shape}]`;
          arena.run(() => kernels.channelSums(...shape, from.address, to.address, false), problems, label);
          const bounds = want.map((sum) => limit + ROUNDING * Math.abs(sum));
          problems.note(label, firstDifference(arena.read(to), want, within(bounds)));
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities reach their channel's sum and no other", () => {
      const random = new Random(2);
      const problems = new Problems();
      for (const shape of [...COLUMNS, ...PLANES]) {
        const chance = 0.1 / Math.max(1, shape[0] * shape[2]);
        check(random, shape, sprinkle(random, random.values(sizeOf(shape)), chance), false, problems);
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("fill", () => {
  describeKernels((kernels, arena) => {
    test("every size and value, to the bit", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const n of SIZES) {
        // 0.1 is no float32: it has to arrive rounded.
        for (const value of [...SPECIALS, 0.1, -Math.PI]) {
          arena.clear();
          const x = arena.output(random.values(n), anywhere(random));
          const label = (): string => `n=${n} value=${value}`;
          arena.run(() => kernels.fill(n, x.address, value), problems, label);
          problems.note(label, firstDifference(arena.read(x), new Float32Array(n).fill(value), bitExact));
        }
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("addScaled", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, x: Float32Array, y: Float32Array, scale: number, problems: Problems): void {
      const inPlace = x === y;
      arena.clear();
      const to = arena.output(y, anywhere(random));
      const from = inPlace ? to : arena.input(x, anywhere(random));
      const label = (): string => `n=${x.length} scale=${scale} inPlace=${inPlace}`;
      arena.run(() => kernels.addScaled(x.length, from.address, to.address, scale), problems, label);
      const want = Float64Array.from(y, (value, i) => value + scale * x[i]);
      // The scale, the product and the sum may each be rounded once, or (fused) the product not at all.
      const bounds = want.map((value, i) => ROUNDING * (2 * Math.abs(scale * x[i]) + Math.abs(value)) * (1 + 1e-6));
      problems.note(label, firstDifference(arena.read(to), want, within(bounds)));
    }

    test("every size, apart and in place", () => {
      const random = new Random(4);
      const problems = new Problems();
      for (const n of SIZES) {
        for (const scale of [1, -1, 0.1, -3.7, 0]) {
          const x = random.values(n);
          check(random, x, random.values(n), scale, problems);
          check(random, x, x, scale, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities stay in their element", () => {
      const random = new Random(5);
      const problems = new Problems();
      for (const n of range(1, 35)) {
        for (const scale of [0.5, 0, Number.POSITIVE_INFINITY, Number.NaN]) {
          const [x, y] = [random.values(n), random.values(n)].map((values) => sprinkle(random, values, 0.2));
          check(random, x, y, scale, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("relu and reluBackward", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, x: Float32Array, dy: Float32Array, problems: Problems): void {
      const n = x.length;
      for (const inPlace of [false, true]) {
        const label = (): string => `n=${n} inPlace=${inPlace}`;
        arena.clear();
        const y = arena.output(inPlace ? x : notNumbers(n), anywhere(random));
        const from = inPlace ? y : arena.input(x, anywhere(random));
        arena.run(() => kernels.relu(n, from.address, y.address), problems, label);
        // NaN and -0 stay, as in PyTorch.
        const isNegative = (value: number): boolean => value < 0;
        const wantY = x.map((value) => (isNegative(value) ? 0 : value));
        problems.note(() => `${label()}: y`, firstDifference(arena.read(y), wantY, bitExact));

        arena.clear();
        const kept = arena.input(x, anywhere(random));
        const dx = arena.output(inPlace ? dy : notNumbers(n), anywhere(random));
        const upstream = inPlace ? dx : arena.input(dy, anywhere(random));
        arena.run(() => kernels.reluBackward(n, kept.address, upstream.address, dx.address), problems, label);
        const wantDx = dy.map((value, i) => (x[i] <= 0 ? 0 : value));
        problems.note(() => `${label()}: dx`, firstDifference(arena.read(dx), wantDx, bitExact));
      }
    }

    test("every size, apart and in place, to the bit", () => {
      const random = new Random(6);
      const problems = new Problems();
      for (const n of SIZES) check(random, random.values(n), random.values(n), problems);
      expect(problems.list).toEqual([]);
    });

    test("every special value with every special gradient, to the bit", () => {
      const random = new Random(7);
      const problems = new Problems();
      const pairs = [...SPECIALS].flatMap((x) => [...SPECIALS].map((dy) => [x, dy]));
      check(
        random,
        Float32Array.from(pairs, ([x]) => x),
        Float32Array.from(pairs, ([, dy]) => dy),
        problems,
      );
      expect(problems.list).toEqual([]);
    });
  });
});
