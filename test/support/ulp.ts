import { afterAll, describe, expect, test } from "vitest";
import type { Kernels } from "../../src/kernels/kernels.js";
import type { LinearMemory } from "../../src/memory.js";
import { type KernelsUnderTest, kernelSets } from "./kernels.js";
import { range, SPECIALS } from "./numbers.js";
import { Random } from "./random.js";

/**
 * Element-wise kernels against double precision over float32 inputs by their bit patterns, so that every exponent gets the same
 * attention. An error is |got - want| in units of float32's spacing at want (ULP), the spacing of subnormals below 2^-126; want is
 * a double, so the rounding of the result to float32 alone costs up to half a unit.
 */

/** A kernel is called on this many inputs: not a multiple of any unrolling, so that its tails run as well. */
const BLOCK = 8190;
const CHANNELS = 126;
/** A block as [rows, channels, inner] of PReLU: rows of a dense layer, an odd number, and planes with one slope each. */
const DENSE = [BLOCK / CHANNELS, CHANNELS, 1] as const;
const PLANES = [1, CHANNELS, BLOCK / CHANNELS] as const;

/** The bit patterns of a range of inputs: `first | p` for every p within `mask`. */
interface Domain {
  readonly first: number;
  readonly mask: number;
}

const ALL: Domain = { first: 0, mask: -1 };
/** 0, what is above, Infinity and the NaNs of that sign. */
const POSITIVE: Domain = { first: 0, mask: 0x7fffffff };
const NEGATIVE: Domain = { first: 0x80000000 | 0, mask: 0x7fffffff };

const sizeOf = ({ mask }: Domain): number => (mask >>> 0) + 1;

/** Byte offsets of a block's buffers. */
interface Operands {
  readonly x: number;
  /** Another float32 for each x: the second operand, or dy. */
  readonly y: number;
  readonly ones: number;
  readonly zeros: number;
  readonly slopes: number;
  /** Holds x before the call, for the kernels that work in place. */
  readonly result: number;
  readonly sums: number;
}

interface Case {
  readonly name: string;
  readonly domain: Domain;
  /** The largest error allowed, in ULP. Exact means: the double result rounded once to float32, bit for bit. */
  readonly limit: number | "exact";
  run(kernels: Kernels, at: Operands): void;
  /** In double precision; a product or a sum of two float32 is exact there, or as good as exact (one rounding to come). */
  want(x: number, y: number, slope: number): number;
  /** The slope of each element; none unless given. */
  readonly layout?: readonly [rows: number, channels: number, inner: number];
}

/** SELU's, a float32 since kernels take one. */
const ALPHA = Math.fround(1.6732632423543772);
const FACTOR = Math.fround(-0.1);

const prelu = (name: string, layout: NonNullable<Case["layout"]>): Case => ({
  name,
  domain: ALL,
  limit: "exact",
  layout,
  run: (kernels, { x, slopes, result }) => kernels.prelu(...layout, x, slopes, result),
  want: (x, _, slope) => (x > 0 ? x : slope * x),
});

/** With the sums that it takes on the way, as layers call it. */
const preluBackward = (name: string, layout: NonNullable<Case["layout"]>, dbias: "dbias" | "no dbias"): Case => ({
  name,
  domain: ALL,
  limit: "exact",
  layout,
  run: (kernels, { x, y, slopes, result, sums }) => {
    const bias = dbias === "dbias" ? sums + CHANNELS * 4 : 0;
    kernels.preluBackward(...layout, x, y, slopes, result, sums, false, bias, false);
  },
  want: (x, y, slope) => (x > 0 ? y : slope * y),
});

const CASES: readonly Case[] = [
  {
    name: "exponential",
    domain: ALL,
    limit: 3,
    run: (kernels, { x, result }) => kernels.exponential(BLOCK, x, result),
    want: Math.exp,
  },
  {
    name: "elu, x <= 0: expm1",
    domain: NEGATIVE,
    limit: 3,
    run: (kernels, { x, result }) => kernels.elu(BLOCK, x, 1, result),
    want: Math.expm1,
  },
  {
    name: "elu, x > 0",
    domain: POSITIVE,
    limit: "exact",
    run: (kernels, { x, result }) => kernels.elu(BLOCK, x, ALPHA, result),
    want: (x) => x,
  },
  {
    // the product's units may be half as large beside it, and it is rounded once more
    name: "elu, x <= 0, another alpha",
    domain: NEGATIVE,
    limit: 6.5,
    run: (kernels, { x, result }) => kernels.elu(BLOCK, x, ALPHA, result),
    want: (x) => ALPHA * Math.expm1(x),
  },
  {
    name: "eluBackward, x <= 0: exp",
    domain: NEGATIVE,
    limit: 3,
    run: (kernels, { x, ones, result }) => kernels.eluBackward(BLOCK, x, ones, 1, result),
    want: Math.exp,
  },
  {
    // where dy · alpha · exp(NaN) is NaN, whatever dy
    name: "eluBackward, x > 0",
    domain: POSITIVE,
    limit: "exact",
    run: (kernels, { x, y, result }) => kernels.eluBackward(BLOCK, x, y, 1, result),
    want: (x, y) => (x >= 0 ? y : Number.NaN),
  },
  {
    // the gradient, with targets of 0: sigmoid is exp, a sum and a quotient
    name: "binaryCrossEntropy: sigmoid",
    domain: ALL,
    limit: 4,
    run: (kernels, { x, zeros, result }) => void kernels.binaryCrossEntropy(BLOCK, x, zeros, result, 1),
    want: (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  },
  {
    name: "relu",
    domain: ALL,
    limit: "exact",
    run: (kernels, { x, result }) => kernels.relu(BLOCK, x, result),
    want: (x) => (x >= 0 || Number.isNaN(x) ? x : 0),
  },
  {
    name: "reluBackward",
    domain: ALL,
    limit: "exact",
    run: (kernels, { x, y, result }) => kernels.reluBackward(BLOCK, x, y, result),
    want: (x, y) => (x <= 0 ? 0 : y),
  },
  prelu("prelu of rows", DENSE),
  prelu("prelu of planes", PLANES),
  preluBackward("preluBackward of rows", DENSE, "dbias"),
  preluBackward("preluBackward of planes", PLANES, "no dbias"),
  {
    name: "scale",
    domain: ALL,
    limit: "exact",
    run: (kernels, { result }) => kernels.scale(BLOCK, result, FACTOR),
    want: (x) => FACTOR * x,
  },
  {
    // by 1 or -1: with other scales the product is rounded as well, or (in the twin) is not
    name: "addScaled: subtraction",
    domain: ALL,
    limit: "exact",
    run: (kernels, { y, result }) => kernels.addScaled(BLOCK, y, result, -1),
    want: (x, y) => x - y,
  },
  {
    name: "addProduct: product",
    domain: ALL,
    limit: "exact",
    run: (kernels, { x, y, result }) => kernels.addProduct(BLOCK, 1, x, y, result, false),
    want: (x, y) => x * y,
  },
];

/** 2^128 stands for infinity: a result that is one where it should be the largest number is off by one unit. */
const INFINITY = 2 ** 128;
const MIN_EXPONENT = -126;
const MAX_EXPONENT = 127;
const FRACTION_BITS = 23;
const DOUBLE_BIAS = 1023;

/** 1 / spacing of float32 for each exponent of a double, by its bits. */
const INVERSE_SPACING = Float64Array.from(range(0, 2047), (bits) => {
  const exponent = Math.min(Math.max(bits - DOUBLE_BIAS, MIN_EXPONENT), MAX_EXPONENT);
  return 2 ** (FRACTION_BITS - exponent);
});

const clamp = (value: number): number => Math.min(Math.max(value, -INFINITY), INFINITY);

const exponentBits = (highWord: number): number => (highWord >>> 20) & 2047;

/** 1 / spacing of float32 at a double. */
export function inverseSpacing(value: number): number {
  return INVERSE_SPACING[exponentBits(new Int32Array(Float64Array.of(value).buffer)[1])];
}

/** The largest error, and where it is. */
interface Worst {
  error: number;
  x: number;
  y: number;
  got: number;
  want: number;
}

/**
 * Inputs that deserve their neighbours: where exponents begin, and the multiples of ln 2 / 2, between which exp's range reduction
 * changes and at some of which it overflows, becomes subnormal, vanishes, or expm1 becomes -1.
 */
function landmarks({ first, mask }: Domain): Int32Array {
  const around = (bits: number, reach: number): number[] => range(-reach, reach).map((step) => bits + step);
  const patternsOf = (values: Iterable<number>): Int32Array => new Int32Array(Float32Array.from(values).buffer);
  const exponents = range(0, 511).flatMap((signAndExponent) => around(signAndExponent << FRACTION_BITS, 64));
  const halves = patternsOf(range(-304, 260).map((half) => (half * Math.LN2) / 2));
  const specials = [...patternsOf(SPECIALS), 0x7f800001, 0x7fffffff, -1];
  return Int32Array.from([...exponents, ...specials, ...[...halves].flatMap((bits) => around(bits, 16))])
    .map((bits) => bits | 0)
    .filter((bits) => (bits & ~mask) === first);
}

/** The domain's patterns by blocks: the landmarks, then every `stride`-th (odd, and thus each once) from the first on. */
function* patterns(domain: Domain, stride: number): Generator<Int32Array> {
  const { first, mask } = domain;
  const block = new Int32Array(BLOCK);
  const known = landmarks(domain);
  for (let from = 0; from < known.length; from += BLOCK) {
    for (let i = 0; i < BLOCK; i++) block[i] = known[(from + i) % known.length];
    yield block;
  }
  let pattern = 0;
  for (let from = 0; from < sizeOf(domain); from += BLOCK * stride) {
    for (let i = 0; i < BLOCK; i++) {
      block[i] = first | (pattern & mask);
      pattern = (pattern + stride) | 0;
    }
    yield block;
  }
}

/** One to one, so that a sweep of x is a sweep of y, and such that every exponent of x meets every exponent of y. */
const scramble = (bits: number): number => Math.imul(bits ^ (bits >>> 16), 0x9e3779b1);

/** Other work of the process, such as the runner's messages, gets a turn after this many blocks. */
const BLOCKS_PER_TURN = 256;

/** The buffers of a kernel set and the loop that runs a case over its domain. */
class Sweep {
  readonly #kernels: Kernels;
  readonly #heap: LinearMemory;
  readonly #at: Operands;
  readonly #slopes: Float32Array;
  readonly #want = new Float64Array(BLOCK);
  readonly #wantWords = new Int32Array(this.#want.buffer);
  readonly #rounded = new Float32Array(BLOCK);
  readonly #roundedWords = new Int32Array(this.#rounded.buffer);

  constructor({ kernels, heap }: KernelsUnderTest) {
    this.#kernels = kernels;
    this.#heap = heap;
    const block = (): number => heap.allocate(BLOCK * 4);
    this.#at = {
      x: block(),
      y: block(),
      ones: block(),
      zeros: block(),
      slopes: block(),
      result: block(),
      sums: block(),
    };
    this.#slopes = new Random(1).values(CHANNELS, -2, 2);
    this.#slopes.set(SPECIALS);
    this.#floats("slopes").set(this.#slopes);
    this.#floats("ones").fill(1);
    this.#floats("zeros").fill(0);
  }

  #floats(buffer: keyof Operands): Float32Array {
    const start = this.#at[buffer] / 4;
    return this.#heap.f32.subarray(start, start + BLOCK);
  }

  #words(buffer: keyof Operands): Int32Array {
    const start = this.#at[buffer] / 4;
    return this.#heap.i32.subarray(start, start + BLOCK);
  }

  /** The largest error of a case over every `stride`-th input of its domain and the landmarks, and how many inputs there were. */
  async run(test: Case, stride: number, onProgress?: (share: number) => void): Promise<Worst & { inputs: number }> {
    const worst: Worst = { error: 0, x: Number.NaN, y: Number.NaN, got: Number.NaN, want: Number.NaN };
    const slopes = this.#slopesOf(test);
    const inputs = Math.ceil(sizeOf(test.domain) / stride);
    let blocks = 0;
    for (const block of patterns(test.domain, stride)) {
      this.#words("x").set(block);
      const y = this.#words("y");
      for (let i = 0; i < BLOCK; i++) y[i] = scramble(block[i]);
      this.#words("result").set(block);
      test.run(this.#kernels, this.#at);
      this.#judge(test, slopes, worst);
      if (++blocks % BLOCKS_PER_TURN === 0) {
        onProgress?.(Math.min(1, (blocks * BLOCK) / inputs));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    return { ...worst, inputs };
  }

  #slopesOf({ layout: [, channels, inner] = [1, CHANNELS, 1] }: Case): Float32Array {
    return Float32Array.from({ length: BLOCK }, (_, i) => this.#slopes[Math.floor(i / inner) % channels]);
  }

  /** Two loops over plain arrays, since this is where the time goes. */
  #judge({ limit, want: reference }: Case, slopes: Float32Array, worst: Worst): void {
    const [x, y, got, gotWords] = [this.#floats("x"), this.#floats("y"), this.#floats("result"), this.#words("result")];
    const [want, wantWords, rounded, roundedWords] = [this.#want, this.#wantWords, this.#rounded, this.#roundedWords];
    const isExact = limit === "exact";
    for (let i = 0; i < BLOCK; i++) {
      const value = reference(x[i], y[i], slopes[i]);
      rounded[i] = value;
      want[i] = clamp(isExact ? rounded[i] : value);
    }
    for (let i = 0; i < BLOCK; i++) {
      if (isExact && roundedWords[i] === gotWords[i]) continue;
      const high = wantWords[2 * i + 1];
      const error = Math.abs(clamp(got[i]) - want[i]) * INVERSE_SPACING[exponentBits(high)];
      // NaN fails the first comparison; a wrong sign, of a zero too, the second
      if (error <= worst.error && (high ^ gotWords[i]) >= 0) continue;
      if (Number.isNaN(want[i]) && Number.isNaN(got[i])) continue;
      const isWrong = Number.isNaN(error) || (high ^ gotWords[i]) < 0;
      Object.assign(worst, {
        error: isWrong ? Number.POSITIVE_INFINITY : error,
        x: x[i],
        y: y[i],
        got: got[i],
        want: want[i],
      });
    }
  }
}

export type Progress = (set: string, test: string, share: number) => void;

/**
 * Declares a test for each kernel set and element-wise kernel, over every `stride`-th input (odd), and prints the largest errors of
 * a set when it is done.
 */
export function describeAccuracy(strideOf: (set: Kernels["set"]) => number, onProgress?: Progress): void {
  describe.each(kernelSets())("$name", (set) => {
    const sweep = new Sweep(set);
    const report: string[] = [];
    afterAll(() => console.info(`Largest errors of the ${set.kernels.set} kernels:\n${report.join("\n")}`));

    test.each(CASES)("$name", async (kernel) => {
      const { name, limit } = kernel;
      const worst = await sweep.run(kernel, strideOf(set.kernels.set), (share) => onProgress?.(set.name, name, share));
      const { error, inputs, x, y, got, want } = worst;
      const where = error === 0 ? "exact" : `${error.toFixed(4)} ULP at x = ${x}`;
      report.push(`  ${name.padEnd(40)} ${inputs.toLocaleString("en").padStart(13)} inputs  ${where}`);
      expect(error, `x ${x}, y ${y}: got ${got}, expected ${want}`).toBeLessThanOrEqual(limit === "exact" ? 0 : limit);
    });
  });
}
