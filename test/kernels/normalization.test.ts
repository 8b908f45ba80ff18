import { describe, expect, test } from "vitest";
import { bitExact, exact, firstDifference, Problems, ROUNDING, within } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range, SMALL_SIZES, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";

type Shape = readonly [rows: number, channels: number, inner: number];

const sizeOf = ([rows, channels, inner]: Shape): number => rows * channels * inner;
const countOf = ([rows, , inner]: Shape): number => rows * inner;
const channelOf = ([, channels, inner]: Shape, i: number): number => Math.floor(i / inner) % channels;

const SHAPES: Shape[] = [
  ...[2, 3, 5, 8, 17].flatMap((rows) => SMALL_SIZES.map((channels): Shape => [rows, channels, 1])),
  ...[1, 2, 3].flatMap((rows) =>
    [1, 3, 5].flatMap((channels) => range(2, 70).map((inner): Shape => [rows, channels, inner])),
  ),
  [1000, 33, 1],
  [300, 64, 1],
  [2000, 1, 1],
  [8, 16, 257],
  [2, 3, 511],
  [2, 3, 512],
  [2, 3, 513],
  [3, 2, 1025],
  [1, 1, 50_001],
];

/**
 * The float32 roundings that a term of a sum goes through: one or two of its own, then lanes may add up a block of 512, at least 16 at
 * a time, and the lanes each other. From there on sums are in double, whose roundings are nothing beside these.
 */
const SUM_ROUNDINGS = 40;

/** The roundings of an element once the statistics are known: each difference, factor, product and sum, and some to spare. */
const ELEMENT_ROUNDINGS = 6;

/** A channel's values. */
interface Channel {
  readonly count: number;
  readonly x: number[];
  readonly places: number[];
}

function channelsOf(shape: Shape, x: Float32Array): Channel[] {
  const channels = range(1, shape[1]).map((): Channel => ({ count: countOf(shape), x: [], places: [] }));
  for (let i = 0; i < x.length; i++) {
    const channel = channels[channelOf(shape, i)];
    channel.x.push(x[i]);
    channel.places.push(i);
  }
  return channels;
}

const sumOf = (values: readonly number[], term: (value: number, i: number) => number): number =>
  values.reduce((sum, value, i) => sum + term(value, i), 0);

/** What should come out, and how far off it may be. */
class Expected {
  readonly values: Float64Array;
  readonly bounds: Float64Array;

  constructor(length: number) {
    this.values = new Float64Array(length);
    this.bounds = new Float64Array(length);
  }

  set(index: number, value: number, bound: number): void {
    this.values[index] = value;
    this.bounds[index] = bound;
  }

  difference(got: Float32Array): string | undefined {
    return firstDifference(got, this.values, within(this.bounds));
  }
}

interface Operands {
  readonly shape: Shape;
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  /** The running statistics before, or (eval mode) the ones to normalise by. */
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** Each channel has a spread and an offset of its own, up to `offset` times as large. */
function randomOperands(random: Random, shape: Shape, offset: number): Operands {
  const channels = shape[1];
  const spreads = random.values(channels, -2, 2).map((exponent) => 10 ** exponent);
  const offsets = random.values(channels, -offset, offset);
  return {
    shape,
    x: random.values(sizeOf(shape)).map((value, i) => {
      const channel = channelOf(shape, i);
      return spreads[channel] * (value + offsets[channel]);
    }),
    weight: random.values(channels, -2, 2),
    bias: random.values(channels),
    mean: random.values(channels),
    variance: random.values(channels, 0.1, 2),
  };
}

const EPS = 1e-5;

interface Training {
  readonly y: Expected;
  readonly statistics: Expected;
  readonly runningMean: Expected;
  readonly runningVariance: Expected;
}

function referenceTraining(operands: Operands, eps: number, momentum: number): Training {
  const { shape, x, weight, bias } = operands;
  const channels = shape[1];
  const result = {
    y: new Expected(x.length),
    statistics: new Expected(2 * channels),
    runningMean: new Expected(channels),
    runningVariance: new Expected(channels),
  };
  for (const [c, channel] of channelsOf(shape, x).entries()) {
    const { count } = channel;
    // Around the first value, so that an offset costs double precision nothing.
    const first = Number.isFinite(channel.x[0]) ? channel.x[0] : 0;
    const mean = first + sumOf(channel.x, (value) => value - first) / count;
    const variance = sumOf(channel.x, (value) => (value - mean) ** 2) / count;
    const inverse = 1 / Math.sqrt(variance + eps);

    // A mean summed in float32 from any of the values on, and what it may lose as a float32 that x is taken from.
    const meanBound = (SUM_ROUNDINGS * ROUNDING * sumOf(channel.x, (value) => Math.abs(value - first))) / count;
    const lost = meanBound + Math.abs(mean - Math.fround(mean));
    // Σ (x - m)² around another m, corrected for it: the terms' roundings, and what the mean's own error leaves of it.
    const varianceBound = SUM_ROUNDINGS * ROUNDING * (variance + lost * lost) + 2 * meanBound * lost;
    const largest = 1 / Math.sqrt(Math.max(0, variance - varianceBound) + eps);
    const inverseBound = largest - inverse + ROUNDING * largest;

    result.statistics.set(c, mean, meanBound + ROUNDING * Math.abs(mean));
    result.statistics.set(channels + c, inverse, inverseBound);
    const keep = (expected: Expected, before: number, value: number, bound: number): void => {
      const kept = momentum * value + (1 - momentum) * before;
      expected.set(c, kept, momentum * bound + 2 * ROUNDING * Math.abs(kept));
    };
    keep(result.runningMean, operands.mean[c], mean, meanBound);
    const unbiased = count / (count - 1);
    keep(result.runningVariance, operands.variance[c], variance * unbiased, varianceBound * unbiased);

    const slope = Math.abs(weight[c]) * largest;
    for (const [i, place] of channel.places.entries()) {
      const distance = channel.x[i] - mean;
      const rounded = slope * (Math.abs(distance) + lost) + Math.abs(bias[c]);
      const inherited = slope * meanBound + Math.abs(weight[c] * distance) * inverseBound;
      const bound = inherited + ELEMENT_ROUNDINGS * ROUNDING * rounded;
      result.y.set(place, distance * inverse * weight[c] + bias[c], bound);
    }
  }
  return result;
}

describe("batchNorm", () => {
  describeKernels((kernels, arena) => {
    interface Results {
      readonly y: Float32Array;
      readonly statistics: Float32Array;
      readonly runningMean: Float32Array;
      readonly runningVariance: Float32Array;
    }

    function run(
      random: Random,
      { shape, x, weight, bias, mean, variance }: Operands,
      eps: number,
      momentum: number,
      inPlace: boolean,
      problems: Problems,
      label: () => string,
    ): Results {
      arena.clear();
      const [scales, shifts] = [weight, bias].map((values) => arena.input(values, anywhere(random)));
      const source = inPlace ? undefined : arena.input(x, anywhere(random));
      const [runningMean, runningVariance, statistics] = [mean, variance, notNumbers(2 * shape[1])].map((values) =>
        arena.output(values, anywhere(random)),
      );
      const y = arena.output(inPlace ? x : notNumbers(x.length), anywhere(random));
      arena.run(
        () =>
          kernels.batchNorm(
            ...shape,
            (source ?? y).address,
            scales.address,
            shifts.address,
            eps,
            momentum,
            runningMean.address,
            runningVariance.address,
            statistics.address,
            y.address,
          ),
        problems,
        label,
      );
      return {
        y: arena.read(y),
        statistics: arena.read(statistics),
        runningMean: arena.read(runningMean),
        runningVariance: arena.read(runningVariance),
      };
    }

    function check(
      random: Random,
      operands: Operands,
      eps: number,
      momentum: number,
      problems: Problems,
    ): Results | undefined {
      const want = referenceTraining(operands, eps, momentum);
      let results: Results | undefined;
      for (const inPlace of [false, true]) {
        const label = (): string => `[${operands.shape}] eps=${eps} momentum=${momentum} inPlace=${inPlace}`;
        const got = run(random, operands, eps, momentum, inPlace, problems, label);
        for (const name of ["y", "statistics", "runningMean", "runningVariance"] as const) {
          problems.note(() => `${label()}: ${name}`, want[name].difference(got[name]));
          if (results) {
            const problem = firstDifference(got[name], results[name], bitExact);
            problems.note(() => `${label()}: ${name} against the one apart`, problem);
          }
        }
        results = got;
      }
      return results;
    }

    test("every shape, apart and in place", () => {
      const random = new Random(1);
      const problems = new Problems();
      for (const shape of SHAPES) {
        const eps = random.pick([EPS, 1e-3, 1]);
        check(random, randomOperands(random, shape, 2), eps, random.pick([0.1, 0.01, 0.5]), problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("offsets a thousand and a million times the spread", () => {
      const random = new Random(2);
      const problems = new Problems();
      for (const offset of [1e3, 1e6]) {
        for (const shape of SHAPES) check(random, randomOperands(random, shape, offset), EPS, 0.1, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("a constant channel's mean is its value, its variance is 0 and y is the bias, to the bit", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const shape of SHAPES) {
        const channels = shape[1];
        const constants = random.values(channels).map((value) => value * 10 ** random.integer(-6, 6));
        const operands = { ...randomOperands(random, shape, 1), x: new Float32Array(sizeOf(shape)) };
        const x = operands.x.map((_, i) => constants[channelOf(shape, i)]);
        const got = check(random, { ...operands, x }, EPS, 1, problems)!;
        const label = (): string => `[${shape}] constant`;
        const inverse = Math.fround(1 / Math.sqrt(EPS));
        const statistics = [...constants, ...constants.map(() => inverse)];
        problems.note(() => `${label()}: statistics`, firstDifference(got.statistics, statistics, bitExact));
        problems.note(label, firstDifference(got.runningVariance, new Float32Array(channels), bitExact));
        const biases = x.map((_, i) => operands.bias[channelOf(shape, i)]);
        problems.note(() => `${label()}: y`, firstDifference(got.y, biases, bitExact));
      }
      expect(problems.list).toEqual([]);
    });

    test("momentum 0 keeps the running statistics to the bit, momentum 1 forgets them", () => {
      const random = new Random(4);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const operands = randomOperands(random, shape, 10);
        const { runningMean, runningVariance } = check(random, operands, EPS, 0, problems)!;
        const label = (): string => `[${shape}] momentum 0`;
        problems.note(label, firstDifference(runningMean, operands.mean, bitExact));
        problems.note(label, firstDifference(runningVariance, operands.variance, bitExact));
        const forgotten = check(random, operands, EPS, 1, problems)!;
        const others = { mean: random.values(shape[1]), variance: random.values(shape[1], 1, 2) };
        const again = check(random, { ...operands, ...others }, EPS, 1, problems)!;
        for (const name of ["runningMean", "runningVariance"] as const) {
          problems.note(
            () => `[${shape}] momentum 1: ${name}`,
            firstDifference(again[name], forgotten[name], bitExact),
          );
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("eps 0: y of a constant channel is the bias, the inverse deviation 0, to the bit", () => {
      const random = new Random(8);
      const problems = new Problems();
      for (const shape of [...SHAPES, [5, 2, 144], [7, 1, 3001]] as Shape[]) {
        const constants = random.values(shape[1]).map((value) => value * 10 ** random.integer(-6, 6));
        const operands = randomOperands(random, shape, 1);
        const x = operands.x.map((_, i) => constants[channelOf(shape, i)]);
        const label = (): string => `[${shape}]`;
        const got = run(random, { ...operands, x }, 0, 1, false, problems, label);
        const biases = x.map((_, i) => operands.bias[channelOf(shape, i)]);
        problems.note(() => `${label()}: y`, firstDifference(got.y, biases, bitExact));
        const statistics = [...constants, ...constants.map(() => 0)];
        problems.note(() => `${label()}: statistics`, firstDifference(got.statistics, statistics, bitExact));
        problems.note(() => `${label()}: mean`, firstDifference(got.runningMean, constants, bitExact));
      }
      expect(problems.list).toEqual([]);
    });

    test("the running mean of integers is the float32 next to it", () => {
      const random = new Random(9);
      const problems = new Problems();
      const shapes: Shape[] = [
        [720, 1, 1],
        [5, 1, 144],
        [1, 1, 720],
        [8, 16, 257],
        [300, 7, 1],
      ];
      for (const shape of shapes) {
        const operands = randomOperands(random, shape, 1);
        const x = random.integers(sizeOf(shape));
        const mean = channelsOf(shape, x).map((channel) =>
          Math.fround(sumOf(channel.x, (value) => value) / channel.count),
        );
        const label = (): string => `[${shape}]`;
        const { runningMean } = run(random, { ...operands, x }, EPS, 1, false, problems, label);
        problems.note(label, firstDifference(runningMean, mean, bitExact));
      }
      expect(problems.list).toEqual([]);
    });

    test("values at the end of float32's range", () => {
      const random = new Random(10);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const operands = { ...randomOperands(random, shape, 1), x: random.values(sizeOf(shape), -3e38, 3e38) };
        const label = (): string => `[${shape}]`;
        const { y } = run(random, operands, EPS, 0.1, false, problems, label);
        // in the order of x · scale + shift, which rounds by the mean's share as well
        const want = referenceTraining(operands, EPS, 0.1).y.values;
        problems.note(
          label,
          firstDifference(y, want, (got, value) => Math.abs(got - value) <= 1e-4 * (1 + Math.abs(value))),
        );
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities reach their channel and no other", () => {
      const random = new Random(5);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const operands = randomOperands(random, shape, 1);
        const x = sprinkle(random, operands.x, 0.3 / countOf(shape));
        check(random, { ...operands, x }, EPS, random.pick([0, 0.1, 1]), problems);
        // The first value of every channel, which sums may be counted from.
        const special = random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
        const inner = shape[2];
        const first = operands.x.map((value, i) => (i < shape[1] * inner && i % inner === 0 ? special : value));
        check(random, { ...operands, x: first }, EPS, 0.1, problems);
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("normalize", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, operands: Operands, eps: number, problems: Problems): void {
      const { shape, x, weight, bias, mean, variance } = operands;
      const want = new Expected(x.length);
      for (let i = 0; i < x.length; i++) {
        const c = channelOf(shape, i);
        const scaled = ((x[i] - mean[c]) / Math.sqrt(variance[c] + eps)) * weight[c];
        want.set(i, scaled + bias[c], ELEMENT_ROUNDINGS * ROUNDING * (Math.abs(scaled) + Math.abs(bias[c])));
      }
      for (const inPlace of [false, true]) {
        arena.clear();
        const [scales, shifts, means, variances] = [weight, bias, mean, variance].map(
          (values) => arena.input(values, anywhere(random)).address,
        );
        const source = inPlace ? undefined : arena.input(x, anywhere(random));
        const y = arena.output(inPlace ? x : notNumbers(x.length), anywhere(random));
        const label = (): string => `[${shape}] eps=${eps} inPlace=${inPlace}`;
        arena.run(
          () => kernels.normalize(...shape, (source ?? y).address, scales, shifts, eps, means, variances, y.address),
          problems,
          label,
        );
        problems.note(label, want.difference(arena.read(y)));
      }
    }

    /** Eval mode knows no least count: one value, or none. */
    const shapes: Shape[] = [...SHAPES, [1, 1, 1], [1, 9, 1], [0, 3, 1], [0, 3, 7], [2, 3, 0]];

    test("every shape, apart and in place", () => {
      const random = new Random(6);
      const problems = new Problems();
      for (const shape of shapes) {
        for (const offset of [1, 1e6]) {
          check(random, randomOperands(random, shape, offset), random.pick([EPS, 1]), problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities stay in their element, those of the statistics in their channel", () => {
      const random = new Random(7);
      const problems = new Problems();
      for (const shape of shapes.filter((shape) => sizeOf(shape) < 2000)) {
        const operands = randomOperands(random, shape, 1);
        const x = sprinkle(random, operands.x, 0.2);
        check(random, { ...operands, x }, EPS, problems);
        check(random, { ...operands, x, mean: sprinkle(random, operands.mean, 0.3) }, EPS, problems);
        const variance = operands.variance.map((value) => random.pick([value, Number.NaN, Number.POSITIVE_INFINITY]));
        check(random, { ...operands, x, variance }, EPS, problems);
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("normalize by a variance of 0 without eps", () => {
  describeKernels((kernels, arena) => {
    const { NaN: nan, POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
    const X = [-8, -7, 0, 7, 8];

    // PyTorch's own answers, of x · scale + (bias - mean · scale)
    test.each([
      { weight: 2, mean: 7, want: [low, low, nan, nan, nan] },
      { weight: 2, mean: -7, want: [nan, nan, nan, high, high] },
      { weight: -2, mean: 7, want: [high, high, nan, nan, nan] },
      { weight: 2, mean: 0, want: [nan, nan, nan, nan, nan] },
      { weight: 0, mean: 7, want: [nan, nan, nan, nan, nan] },
    ])("weight $weight, mean $mean", ({ weight, mean, want }) => {
      const problems = new Problems();
      for (const shape of [
        [5, 1, 1],
        [1, 1, 5],
      ] satisfies Shape[]) {
        arena.clear();
        const [x, scale, shift, center, variance] = [X, [weight], [0.5], [mean], [0]].map(
          (values) => arena.input(Float32Array.from(values)).address,
        );
        const y = arena.output(notNumbers(X.length));
        const label = (): string => `[${shape}]`;
        const call = (): void => kernels.normalize(...shape, x, scale, shift, 0, center, variance, y.address);
        arena.run(call, problems, label);
        problems.note(label, firstDifference(arena.read(y), want, bitExact));
      }
      expect(problems.list).toEqual([]);
    });
  });
});

/** What is asked for of the sums: dweight and dbias are there together or not at all. */
type Sums = "absent" | "write" | "accumulate weight" | "accumulate bias" | "accumulate";
const SUMS: readonly Sums[] = ["absent", "write", "accumulate weight", "accumulate bias", "accumulate"];

type Destination = "absent" | "apart" | "in place";
const DESTINATIONS: readonly Destination[] = ["absent", "apart", "in place"];

describe("batchNormBackward", () => {
  describeKernels((kernels, arena) => {
    interface Gradients {
      readonly shape: Shape;
      readonly x: Float32Array;
      readonly dy: Float32Array;
      readonly weight: Float32Array;
      /** The means, then the inverses, as the forward pass has left them. */
      readonly statistics: Float32Array;
    }

    const statisticsOf = (operands: Operands): Float32Array =>
      Float32Array.from(referenceTraining(operands, EPS, 0.1).statistics.values);

    function gradientsOf(random: Random, operands: Operands): Gradients {
      const { shape, x, weight } = operands;
      return { shape, x, weight, dy: random.values(x.length), statistics: statisticsOf(operands) };
    }

    function reference(
      { shape, x, dy, weight, statistics }: Gradients,
      weightBefore: Float32Array,
      biasBefore: Float32Array,
    ): { dx: Expected; dweight: Expected; dbias: Expected } {
      const channels = shape[1];
      const [dx, dweight, dbias] = [x.length, channels, channels].map((length) => new Expected(length));
      for (const [c, channel] of channelsOf(shape, x).entries()) {
        const { count } = channel;
        const inverse = statistics[channels + c];
        const normal = channel.x.map((value) => (value - statistics[c]) * inverse);
        const upstream = channel.places.map((place) => dy[place]);
        const sum = sumOf(upstream, (value) => value);
        const product = sumOf(upstream, (value, i) => value * normal[i]);
        const sumBound = SUM_ROUNDINGS * ROUNDING * sumOf(upstream, Math.abs);
        const productBound = SUM_ROUNDINGS * ROUNDING * sumOf(upstream, (value, i) => Math.abs(value * normal[i]));
        const add = (expected: Expected, before: number, value: number, bound: number): void =>
          expected.set(c, before + value, bound + 2 * ROUNDING * Math.abs(before + value));
        add(dweight, weightBefore[c], product, productBound);
        add(dbias, biasBefore[c], sum, sumBound);
        const scale = weight[c] * inverse;
        for (const [i, place] of channel.places.entries()) {
          const terms = [upstream[i], -sum / count, (-normal[i] * product) / count];
          const size = sumOf(terms, Math.abs);
          const inherited = (sumBound + Math.abs(normal[i]) * productBound) / count;
          const bound = Math.abs(scale) * (inherited + ELEMENT_ROUNDINGS * ROUNDING * size);
          dx.set(place, scale * sumOf(terms, (term) => term), bound);
        }
      }
      return { dx, dweight, dbias };
    }

    function check(
      random: Random,
      gradients: Gradients,
      destination: Destination,
      sums: Sums,
      problems: Problems,
    ): void {
      const { shape, x, dy, weight, statistics } = gradients;
      const channels = shape[1];
      const isAbsent = sums === "absent";
      const accumulates = ["weight", "bias"].map((name) => sums === "accumulate" || sums === `accumulate ${name}`);
      const before = accumulates.map((adds) => (adds ? random.values(channels) : notNumbers(channels)));
      const [weightBefore, biasBefore] = before.map((values, i) => (accumulates[i] ? values : values.map(() => 0)));
      const want = reference(gradients, weightBefore, biasBefore);

      arena.clear();
      const [from, scales, saved] = [x, weight, statistics].map(
        (values) => arena.input(values, anywhere(random)).address,
      );
      const inPlace = destination === "in place";
      const upstream = inPlace ? undefined : arena.input(dy, anywhere(random));
      const [dweight, dbias] = before.map((values) => arena.output(values, anywhere(random)));
      const dx = arena.output(inPlace ? dy : notNumbers(dy.length), anywhere(random));
      const label = (): string => `[${shape}] dx ${destination}, sums ${sums}`;
      arena.run(
        () =>
          kernels.batchNormBackward(
            ...shape,
            from,
            (upstream ?? dx).address,
            scales,
            saved,
            destination === "absent" ? 0 : dx.address,
            isAbsent ? 0 : dweight.address,
            accumulates[0],
            isAbsent ? 0 : dbias.address,
            accumulates[1],
          ),
        problems,
        label,
      );
      // What is not asked for stays as it was.
      const note = (name: string, got: Float32Array, expected: Expected, untouched: Float32Array | undefined): void => {
        const problem = untouched ? firstDifference(got, untouched, bitExact) : expected.difference(got);
        problems.note(() => `${label()}: ${name}`, problem);
      };
      note("dx", arena.read(dx), want.dx, destination === "absent" ? notNumbers(dy.length) : undefined);
      note("dweight", arena.read(dweight), want.dweight, isAbsent ? before[0] : undefined);
      note("dbias", arena.read(dbias), want.dbias, isAbsent ? before[1] : undefined);
    }

    test("every shape with every choice of dx and sums", () => {
      const random = new Random(8);
      const problems = new Problems();
      for (const shape of SHAPES) {
        const choices = sizeOf(shape) < 300 ? SUMS : [random.pick(SUMS)];
        const gradients = gradientsOf(random, randomOperands(random, shape, 2));
        for (const sums of choices) {
          for (const destination of DESTINATIONS) check(random, gradients, destination, sums, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("offsets a thousand times the spread", () => {
      const random = new Random(9);
      const problems = new Problems();
      for (const shape of SHAPES) {
        const gradients = gradientsOf(random, randomOperands(random, shape, 1e3));
        check(random, gradients, "apart", "accumulate", problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("NaN and infinities of x and dy reach their channel and no other", () => {
      const random = new Random(10);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const operands = randomOperands(random, shape, 1);
        const gradients = gradientsOf(random, operands);
        const rare = (values: Float32Array): Float32Array => sprinkle(random, values, 0.2 / countOf(shape));
        const [x, dy] = [rare(gradients.x), rare(gradients.dy)];
        // With statistics of numbers, as if x had changed since, and with those that a forward pass over such an x leaves.
        for (const statistics of [gradients.statistics, statisticsOf({ ...operands, x })]) {
          check(random, { ...gradients, x, dy, statistics }, random.pick(DESTINATIONS), random.pick(SUMS), problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("an inverse of 0, of a constant channel without eps, sends nothing back", () => {
      const random = new Random(20);
      const problems = new Problems();
      for (const shape of SHAPES.filter((shape) => sizeOf(shape) < 2000)) {
        const channels = shape[1];
        const { weight, mean } = randomOperands(random, shape, 1);
        const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => mean[channelOf(shape, i)]);
        arena.clear();
        const [x, dy, scales, statistics] = [
          values,
          random.values(values.length),
          weight,
          Float32Array.of(...mean, ...mean.map(() => 0)),
        ].map((part) => arena.input(part, anywhere(random)).address);
        const [dx, dweight, dbias] = [values.length, channels, channels].map((length) =>
          arena.output(notNumbers(length), anywhere(random)),
        );
        const label = (): string => `[${shape}]`;
        arena.run(
          () =>
            kernels.batchNormBackward(
              ...shape,
              x,
              dy,
              scales,
              statistics,
              dx.address,
              dweight.address,
              false,
              dbias.address,
              false,
            ),
          problems,
          label,
        );
        problems.note(() => `${label()}: dx`, firstDifference(arena.read(dx), new Float32Array(values.length), exact));
        problems.note(
          () => `${label()}: dweight`,
          firstDifference(arena.read(dweight), new Float32Array(channels), exact),
        );
      }
      expect(problems.list).toEqual([]);
    });
  });
});
