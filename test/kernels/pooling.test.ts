import { describe, expect, test } from "vitest";
import type { Kernels } from "../../src/kernels/kernels.js";
import { bitExact, exact, firstDifference, Problems } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";
import { outputsAlong } from "../support/windows.js";

/** What the kernels are told of a pooling. */
type Geometry = readonly [
  planes: number,
  height: number,
  width: number,
  kernelHeight: number,
  kernelWidth: number,
  strideHeight: number,
  strideWidth: number,
  paddingHeight: number,
  paddingWidth: number,
];

/** [planes, outHeight, outWidth] */
function outShape([planes, height, width, kh, kw, sh, sw, ph, pw]: Geometry): [number, number, number] {
  const along = (size: number, kernel: number, stride: number, padding: number): number =>
    outputsAlong({ size, kernel, stride, padding });
  return [planes, along(height, kh, sh, ph), along(width, kw, sw, pw)];
}

/** The sizes as the kernels take them, for planes that are images of one channel. */
const windowOf = ([, height, width, ...window]: Geometry): Int32Array => Int32Array.of(1, height, width, 1, ...window);

const outSize = (geometry: Geometry): number => outShape(geometry).reduce((size, length) => size * length, 1);

/** PyTorch's loop, word by word. */
function referenceForward(geometry: Geometry, x: Float32Array): { y: Float32Array; indices: Int32Array } {
  const [, height, width, kh, kw, sh, sw, ph, pw] = geometry;
  const [planes, outHeight, outWidth] = outShape(geometry);
  const y = new Float32Array(planes * outHeight * outWidth);
  const indices = new Int32Array(y.length);
  let to = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < outHeight; i++) {
      for (let j = 0; j < outWidth; j++, to++) {
        const top = Math.max(i * sh - ph, 0);
        const left = Math.max(j * sw - pw, 0);
        let max = Number.NEGATIVE_INFINITY;
        let index = top * width + left;
        for (let h = top; h < Math.min(i * sh - ph + kh, height); h++) {
          for (let w = left; w < Math.min(j * sw - pw + kw, width); w++) {
            const value = x[(plane * height + h) * width + w];
            if (value > max || Number.isNaN(value)) {
              max = value;
              index = h * width + w;
            }
          }
        }
        y[to] = max;
        indices[to] = index;
      }
    }
  }
  return { y, indices };
}

/** Sums in double and in the order of dy, rounded once. */
function referenceBackward(geometry: Geometry, dy: Float32Array, indices: Int32Array): Float32Array {
  const [planes, height, width] = geometry;
  const sums = new Float64Array(planes * height * width);
  for (let i = 0; i < dy.length; i++) {
    const plane = Math.floor(i / (dy.length / planes));
    sums[plane * height * width + indices[i]] += dy[i];
  }
  return Float32Array.from(sums);
}

/** Every kernel with every padding it allows and strides to and past its size, on planes of any remainder. */
function* smallGeometries(random: Random): Generator<Geometry> {
  for (const kh of range(1, 5)) {
    for (const kw of range(1, 5)) {
      for (const sh of range(1, 3)) {
        for (const sw of range(1, 3)) {
          const ph = random.integer(0, Math.floor(kh / 2));
          const pw = random.integer(0, Math.floor(kw / 2));
          const [height, width] = [Math.max(1, kh - 2 * ph), Math.max(1, kw - 2 * pw)];
          const planes = random.integer(1, 3);
          yield [planes, height + random.integer(0, 9), width + random.integer(0, 19), kh, kw, sh, sw, ph, pw];
          yield [planes, height, width, kh, kw, sh, sw, ph, pw];
        }
      }
    }
  }
}

/** The usual pooling over every size, where kernels may have ways of their own. */
function* halvings(): Generator<Geometry> {
  for (const height of range(2, 19)) {
    for (const width of range(2, height < 5 ? 39 : 19)) yield [2, height, width, 2, 2, 2, 2, 0, 0];
  }
  for (const planes of range(0, 9)) yield [planes, 7, 13, 2, 2, 2, 2, 0, 0];
}

const OTHERS: Geometry[] = [
  [0, 5, 5, 3, 3, 1, 1, 1, 1],
  [3, 32, 32, 2, 2, 2, 2, 0, 0],
  [2, 33, 31, 3, 3, 2, 2, 1, 1],
  [1, 40, 50, 7, 6, 3, 1, 3, 2],
  [5, 1, 60, 1, 2, 1, 2, 0, 0],
  [1, 60, 1, 2, 1, 2, 1, 0, 0],
  [4, 9, 9, 2, 2, 1, 1, 0, 0],
  [4, 9, 9, 2, 2, 2, 2, 1, 1],
  [4, 9, 9, 2, 2, 1, 2, 0, 1],
];

const everyGeometry = (random: Random): Geometry[] => [...smallGeometries(random), ...halvings(), ...OTHERS];

describe("maxPool2d and maxPool2dBackward", () => {
  describeKernels((kernels, arena, twin) => {
    function forward(
      { maxPool2d }: Kernels,
      random: Random,
      geometry: Geometry,
      x: Float32Array,
      problems: Problems,
      label: () => string,
    ): { y: Float32Array; indices: Int32Array } {
      arena.clear();
      const [images] = geometry;
      const window = arena.input(windowOf(geometry), anywhere(random)).address;
      const from = arena.input(x, anywhere(random));
      const to = arena.output(notNumbers(outSize(geometry)), anywhere(random));
      const places = arena.output(notNumbers(outSize(geometry)), anywhere(random));
      arena.run(() => maxPool2d(images, window, from.address, to.address, places.address), problems, label);
      const indices = new Int32Array(arena.read(places).buffer);
      const y = arena.read(to);
      const alone = arena.run(
        () => maxPool2d(images, window, from.address, to.address, 0),
        problems,
        () => `${label()} without indices`,
      );
      expect(alone).toBeUndefined();
      problems.note(() => `${label()}: y without indices`, firstDifference(arena.read(to), y, bitExact));
      problems.note(
        () => `${label()}: indices although there are none`,
        firstDifference(arena.read(places), notNumbers(y.length), bitExact),
      );
      return { y, indices };
    }

    function checkForward(random: Random, geometry: Geometry, x: Float32Array, problems: Problems): void {
      const label = (): string => `[${geometry}]`;
      const want = referenceForward(geometry, x);
      const got = forward(kernels, random, geometry, x, problems, label);
      problems.note(() => `${label()}: y`, firstDifference(got.y, want.y, bitExact));
      problems.note(() => `${label()}: indices`, firstDifference(got.indices, want.indices, exact));
      if (kernels === twin) return;
      const twins = forward(twin, random, geometry, x, problems, label);
      problems.note(() => `${label()}: y against the twin`, firstDifference(got.y, twins.y, bitExact));
      problems.note(() => `${label()}: indices against the twin`, firstDifference(got.indices, twins.indices, exact));
    }

    function checkBackward(
      random: Random,
      geometry: Geometry,
      x: Float32Array,
      dy: Float32Array,
      problems: Problems,
    ): void {
      const { indices } = referenceForward(geometry, x);
      arena.clear();
      const [images] = geometry;
      const window = arena.input(windowOf(geometry), anywhere(random)).address;
      const upstream = arena.input(dy, anywhere(random));
      const places = arena.input(indices, anywhere(random));
      const dx = arena.output(notNumbers(x.length), anywhere(random));
      const label = (): string => `[${geometry}]: dx`;
      arena.run(
        () => kernels.maxPool2dBackward(images, window, upstream.address, places.address, dx.address),
        problems,
        label,
      );
      problems.note(label, firstDifference(arena.read(dx), referenceBackward(geometry, dy, indices), bitExact));
    }

    const inputs = (random: Random, [planes, height, width]: Geometry): Float32Array =>
      random.values(planes * height * width);

    test("maxima and their places for every geometry, to the bit", () => {
      const random = new Random(1);
      const problems = new Problems();
      for (const geometry of everyGeometry(random)) checkForward(random, geometry, inputs(random, geometry), problems);
      expect(problems.list).toEqual([]);
    });

    test("ties, signed zeros, NaN and infinities: the first of equals, the last NaN, the first cell", () => {
      const random = new Random(2);
      const problems = new Problems();
      const { NaN: nan, NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high } = Number;
      const alphabets = [
        [0, -0],
        [1, 2, 3],
        [low],
        [low, nan],
        [nan],
        [low, low, low, -1],
        [0, -0, nan, low, high, 1],
        [nan, 1, 1, 1, 2, 2],
      ];
      for (const geometry of everyGeometry(random)) {
        for (const alphabet of alphabets) {
          const x = inputs(random, geometry).map(() => random.pick(alphabet));
          checkForward(random, geometry, x, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("dx for every geometry, overlapping windows summed in double, to the bit", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const geometry of everyGeometry(random)) {
        // From 1e-8 to 1e8: sums that round in between would differ.
        const dy = random.values(outSize(geometry)).map((value) => value * 10 ** random.integer(-8, 8));
        checkBackward(random, geometry, inputs(random, geometry), dy, problems);
        const ties = inputs(random, geometry).map(Math.round);
        checkBackward(random, geometry, ties, sprinkle(random, dy, 0.2), problems);
      }
      expect(problems.list).toEqual([]);
    });
  });
});
