import { describe, expect, test } from "vitest";
import { Problems } from "../support/compare.js";
import {
  ConvolutionBench,
  type Operands,
  randomOperands,
  referenceMessages,
  type Shape,
} from "../support/convolution.js";
import { kernelSetsByTile } from "../support/kernels.js";
import { range, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";
import { type Axis, axes, type Plane, planes } from "../support/windows.js";

const sets = kernelSetsByTile();
const bench = new ConvolutionBench(sets, 2 ** 21);

const axis = (size: number, kernel: number, stride = 1, padding = 0): Axis => ({ size, kernel, stride, padding });

/** Every side 1..19 with every kernel 1..7, stride 1..3 and padding 0..3, the kernel's need or not. */
const AXES = axes(range(1, 19), range(1, 7), [1, 2, 3], () => range(0, 3));
const SMALL_AXES = AXES.filter(({ size, kernel }) => size <= 9 && kernel <= 5);

/** Every remainder of the tiles, which are up to 8 long. */
const CHANNELS = [...range(1, 9), 16, 17];

/** Fewer than 8 go their own way back to x. */
const CHANNELS_IN = [1, 2, 3, 4, 7, 8, 9];

const randomPlane = (random: Random, axes: readonly Axis[]): Plane => ({
  vertical: random.pick(axes),
  horizontal: random.pick(axes),
});

/** Each shape once, or with `integers` and again with numbers that round; its reference serves every kernel set. */
function checkShapes(shapes: Iterable<Shape>, kinds: "one" | "both", seed: number): number {
  const random = new Random(seed);
  const problems = new Problems();
  let count = 0;
  for (const shape of shapes) {
    for (const isExact of kinds === "both" ? [false, true] : [random.next() < 0.5]) {
      const operands = randomOperands(random, shape, isExact);
      bench.check(operands, referenceMessages(operands), random, problems);
      count++;
    }
  }
  expect(problems.list).toEqual([]);
  return count;
}

describe(`convolution of ${sets.map(({ name }) => name).join(" and ")}`, () => {
  test("every side, kernel, stride and padding, upright and across", () => {
    const random = new Random(1);
    const shapes = planes(random, AXES).map(
      (plane): Shape => ({
        images: random.pick([1, 1, 2]),
        channels: random.pick(CHANNELS_IN),
        outChannels: random.integer(1, 4),
        plane,
      }),
    );
    expect(checkShapes(shapes, "one", 2)).toBeGreaterThan(1400);
  });

  test("every number of channels to every number of channels", () => {
    const random = new Random(3);
    const shapes = CHANNELS.flatMap((channels) =>
      CHANNELS.flatMap((outChannels) =>
        range(1, 3).map((images): Shape => ({ images, channels, outChannels, plane: randomPlane(random, SMALL_AXES) })),
      ),
    );
    expect(checkShapes(shapes, "one", 4)).toBe(3 * 11 ** 2);
  });

  test("no image to nine", () => {
    const random = new Random(5);
    const shapes = range(0, 9).flatMap((images) =>
      range(1, 20).map(
        (): Shape => ({
          images,
          channels: random.integer(1, 5),
          outChannels: random.integer(1, 9),
          plane: randomPlane(random, SMALL_AXES),
        }),
      ),
    );
    expect(checkShapes(shapes, "both", 6)).toBe(400);
  });

  test("1200 random shapes", () => {
    const random = new Random(7);
    const shapes = range(1, 1200).map(
      (): Shape => ({
        images: random.integer(1, 3),
        channels: random.integer(1, 9),
        outChannels: random.integer(1, 9),
        plane: randomPlane(random, SMALL_AXES),
      }),
    );
    expect(checkShapes(shapes, "one", 8)).toBe(1200);
  });

  test("strides past the kernel, and past the plane", () => {
    const random = new Random(9);
    const strided = planes(
      random,
      axes(range(1, 12), [1, 2, 3], [4, 5, 7, 12, 13, 40], () => [0, 1, 2]),
    );
    const shapes = strided.map((plane): Shape => ({ images: 2, channels: random.pick([2, 8]), outChannels: 3, plane }));
    expect(checkShapes(shapes, "one", 10)).toBeGreaterThan(600);
    // However far past it.
    const far = [axis(1, 1, 2000), axis(5, 3, 2000), axis(4, 4, 2000, 2)].map(
      (side): Plane => ({
        vertical: side,
        horizontal: side,
      }),
    );
    checkShapes(
      far.map((plane): Shape => ({ images: 1, channels: 2, outChannels: 3, plane })),
      "one",
      17,
    );
  });

  // Products go by blocks of up to 512 terms and 256 rows, the weights' gradient by blocks of up to 512 outputs.
  test("past a block in every dimension", () => {
    const square = (size: number, kernel: number, stride = 1, padding = 0): Plane => ({
      vertical: axis(size, kernel, stride, padding),
      horizontal: axis(size + 1, kernel, stride, padding),
    });
    const sizes: [channels: number, outChannels: number, plane: Plane][] = [
      [57, 5, square(6, 3)],
      [64, 3, square(7, 3, 1, 1)],
      [130, 9, square(5, 3, 1, 1)],
      [24, 2, square(9, 7, 2, 3)],
      [513, 3, square(3, 1)],
      [1100, 2, square(3, 1, 1, 1)],
      [2, 257, square(5, 3, 1, 1)],
      [3, 270, square(5, 3, 2, 1)],
      [257, 17, square(3, 1)],
      [260, 8, square(4, 2, 2)],
      [263, 70, square(3, 3, 1, 1)],
      [1, 1, square(40, 3, 1, 1)],
      [2, 9, square(26, 5, 1, 2)],
      [3, 4, square(53, 2, 2)],
      [20, 8, square(28, 3, 1, 1)],
      [60, 4, square(25, 3, 1, 1)],
    ];
    const rows = [511, 512, 513, 1023, 1024, 1025, 1500].flatMap((width): typeof sizes => [
      [1, 3, { vertical: axis(1, 1), horizontal: axis(width, 1) }],
      [3, 9, { vertical: axis(2, 2, 1, 0), horizontal: axis(width, 3, 1, 1) }],
      [2, 2, { vertical: axis(width, 3, 1, 1), horizontal: axis(1, 1) }],
    ]);
    const shapes = [...sizes, ...rows].map(
      ([channels, outChannels, plane], i): Shape => ({ images: 1 + (i % 2), channels, outChannels, plane }),
    );
    checkShapes(shapes, "both", 11);
  });

  test("40 random larger shapes", () => {
    const random = new Random(12);
    const larger = axes(range(8, 30), [1, 2, 3, 4, 5], [1, 1, 2, 3], (kernel) => [0, kernel >> 1]);
    const shapes = range(1, 40).map(
      (): Shape => ({
        images: random.integer(1, 2),
        channels: random.integer(1, 24),
        outChannels: random.integer(1, 24),
        plane: randomPlane(random, larger),
      }),
    );
    checkShapes(shapes, "one", 13);
  });

  // Weights stay numbers: whether one that is not meets the padding's zeros is left open on the way back.
  test("NaN and infinities in x and dy reach the sums that hold them, and no others", () => {
    const random = new Random(14);
    const problems = new Problems();
    const counts = { numbers: 0, infinities: 0, notNumbers: 0 };
    for (const plane of planes(random, random.shuffled(SMALL_AXES)).slice(0, 800)) {
      const shape = { images: random.integer(1, 2), channels: random.pick(CHANNELS), outChannels: 3, plane };
      const clean = randomOperands(random, shape, false);
      const rare = (values: Float32Array): Float32Array => sprinkle(random, values, 2 / values.length);
      const operands: Operands = { ...clean, x: rare(clean.x), dy: rare(clean.dy) };
      const want = referenceMessages(operands);
      for (const { values } of Object.values(want)) {
        for (const value of values) {
          if (Number.isFinite(value)) counts.numbers++;
          else if (Number.isNaN(value)) counts.notNumbers++;
          else counts.infinities++;
        }
      }
      bench.check(operands, want, random, problems);
    }
    expect(problems.list).toEqual([]);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(5000);
  });

  // From 16 channels on, by Winograd's way where there is one: tiles of 2x2 in groups of four, and of eight.
  describe("kernels of 3x3 by stride 1 between many channels", () => {
    const square = (height: number, width: number, padding: number): Plane => ({
      vertical: axis(height, 3, 1, padding),
      horizontal: axis(width, 3, 1, padding),
    });

    test("every remainder of height, width and channels, paddings of 0 to 3", () => {
      const random = new Random(20);
      const sides = range(3, 20);
      const others = random.shuffled(sides);
      const shapes = sides.flatMap((height, i) =>
        [random.integer(0, 3), 1].map(
          (padding): Shape => ({
            images: random.integer(1, 3),
            channels: random.integer(16, 25),
            outChannels: random.integer(16, 25),
            plane: square(height, others[i], padding),
          }),
        ),
      );
      checkShapes(shapes, "both", 21);
    });

    test("past a block of channels and of tiles", () => {
      const shapes: Shape[] = [
        { images: 2, channels: 520, outChannels: 17, plane: square(8, 8, 1) },
        { images: 2, channels: 17, outChannels: 520, plane: square(8, 7, 1) },
        { images: 1, channels: 16, outChannels: 19, plane: square(66, 65, 1) },
        { images: 1, channels: 16, outChannels: 16, plane: square(3, 530, 1) },
      ];
      checkShapes(shapes, "one", 22);
    });

    test("what is not finite, or too large to be added up, reaches its own sums only", () => {
      const random = new Random(23);
      const problems = new Problems();
      const shape = { images: 4, channels: 18, outChannels: 17, plane: square(10, 9, 1) };
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e38, 1e16]) {
        const { x, dy, ...rest } = randomOperands(random, shape, false);
        // in the second image of x and in the third of dy: the other images are as they would be without
        x[Math.floor(1.4 * (x.length / 4))] = special;
        dy[Math.floor(2.7 * (dy.length / 4))] = special;
        const operands: Operands = { ...rest, x, dy };
        bench.check(operands, referenceMessages(operands), random, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("weights near the end of float32 do not run over", () => {
      const random = new Random(24);
      const problems = new Problems();
      const shape = { images: 2, channels: 16, outChannels: 16, plane: square(8, 8, 1) };
      const operands = randomOperands(random, shape, false);
      operands.weight.forEach((_, i, weight) => {
        weight[i] *= 1e36;
      });
      bench.check(operands, referenceMessages(operands), random, problems);
      expect(problems.list).toEqual([]);
    });

    test("the same bits wherever the operands and the scratch lie", () => {
      const random = new Random(25);
      const problems = new Problems();
      for (const [height, width] of [
        [8, 8],
        [9, 7],
        [14, 14],
        [5, 21],
      ]) {
        const shape = { images: 2, channels: 17, outChannels: 20, plane: square(height, width, 1) };
        bench.checkPlacement(randomOperands(random, shape, false), random, problems);
      }
      expect(problems.list).toEqual([]);
    });
  });

  // A run that is killed and resumed ends with the same bits, although its tensors lie elsewhere then.
  test("the same bits wherever the operands and the scratch lie", () => {
    const random = new Random(15);
    const problems = new Problems();
    for (const plane of planes(random, random.shuffled(AXES)).slice(0, 150)) {
      const shape = { images: 2, channels: random.pick(CHANNELS), outChannels: random.pick(CHANNELS), plane };
      bench.checkPlacement(randomOperands(random, shape, false), random, problems);
    }
    expect(problems.list).toEqual([]);
  });

  test("a kernel of one 1 shifts the plane, to the last bit", () => {
    const random = new Random(16);
    const problems = new Problems();
    for (const size of [1, 2, 3, 7, 8, 9, 16, 21]) {
      const plane = { vertical: axis(size, 3, 1, 1), horizontal: axis(size + 2, 5, 1, 2) };
      for (let tap = 0; tap < 15; tap++) {
        const shape = { images: 2, channels: 1, outChannels: 1, plane };
        // From 1e-15 to 1e15, both signs: a sum in which anything else took part would not come out equal.
        const wide = (values: Float32Array): Float32Array =>
          values.map((value) => Math.sign(value) * 10 ** (15 * random.values(1)[0]));
        const { x, dy } = randomOperands(random, shape, false);
        const weight = new Float32Array(15);
        weight[tap] = 1;
        const operands: Operands = { shape, x: wide(x), dy: wide(dy), weight, isExact: false };
        const want = referenceMessages(operands);
        want.y.sizes.fill(0);
        want.dx.sizes.fill(0);
        bench.check(operands, want, random, problems);
      }
    }
    expect(problems.list).toEqual([]);
  });

  test("scratch beyond 4 GiB is asked for as it is, not modulo 2^32", () => {
    let smaller = sets.map(() => 0);
    for (let channels = 1; channels <= 2 ** 14; channels *= 2) {
      const bytes = bench.workBytes([channels, 1024, 1024, channels, 3, 3, 1, 1, 1, 1]);
      bytes.forEach((asked, i) => {
        expect(asked % 4).toBe(0);
        expect(asked).toBeGreaterThanOrEqual(smaller[i]);
      });
      smaller = bytes;
    }
  });
});
