import type { Kernels } from "../../src/kernels/kernels.js";
import { setWindow, type WindowSizes } from "../../src/kernels/window.js";
import type { LinearMemory } from "../../src/memory.js";
import { Arena, type Placement, type Region } from "./arena.js";
import { bitExact, exact, firstDifference, type Limit, type Problems, ROUNDING, within } from "./compare.js";
import type { KernelsUnderTest } from "./kernels.js";
import { anywhere, notNumbers } from "./numbers.js";
import type { Random } from "./random.js";
import { describePlane, inputsOf, outputsAlong, outputsOf, type Plane, windowArguments } from "./windows.js";

export interface Shape {
  readonly images: number;
  readonly channels: number;
  readonly outChannels: number;
  readonly plane: Plane;
}

export interface Operands {
  readonly shape: Shape;
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly dy: Float32Array;
  /** None where the convolution has none. */
  readonly bias?: Float32Array;
  /** What dweight is added to; it is overwritten where there is nothing. */
  readonly before?: Float32Array;
  /** Small integers, whose sums no order of summation rounds. */
  readonly isExact: boolean;
}

/** By chance with a bias and with something that dweight is added to. */
export function randomOperands(random: Random, shape: Shape, isExact: boolean): Operands {
  const { images, channels, outChannels, plane } = shape;
  const values = (count: number): Float32Array => (isExact ? random.integers(count) : random.values(count));
  const weights = weightsOf(shape);
  return {
    shape,
    x: values(images * channels * inputsOf(plane)),
    weight: values(weights),
    dy: values(images * outChannels * outputsOf(plane)),
    bias: random.next() < 0.5 ? values(outChannels) : undefined,
    before: random.next() < 0.5 ? values(weights) : undefined,
    isExact,
  };
}

const weightsOf = ({ channels, outChannels, plane: { vertical, horizontal } }: Shape): number =>
  outChannels * channels * vertical.kernel * horizontal.kernel;

/** Sums in double precision, and the same sums over the sizes of their terms. */
class Sums {
  readonly values: Float64Array;
  readonly sizes: Float64Array;
  /** The most terms that one of them has. */
  readonly terms: number;

  constructor(first: Float32Array, terms: number) {
    this.values = Float64Array.from(first);
    this.sizes = this.values.map(Math.abs);
    this.terms = terms + 1;
  }

  add(index: number, term: number): void {
    this.values[index] += term;
    this.sizes[index] += Math.abs(term);
  }
}

const MESSAGES = ["y", "dx", "dweight"] as const;
type Messages<T> = Record<(typeof MESSAGES)[number], T>;

/**
 * Every product of a convolution and of its derivatives, once each. The zeros of the padding take part in y and dweight, as in
 * PyTorch, where a dy that is no number meets them; dx has no elements there.
 */
export function referenceMessages({ shape, x, weight, dy, bias, before }: Operands): Messages<Sums> {
  const { images, channels, outChannels, plane } = shape;
  const { vertical, horizontal } = plane;
  const [outHeight, outWidth] = [outputsAlong(vertical), outputsAlong(horizontal)];
  const outputs = outHeight * outWidth;
  const taps = vertical.kernel * horizontal.kernel;
  const biases = dy.map((_, i) => bias?.[Math.floor(i / outputs) % outChannels] ?? 0);
  const sums = {
    y: new Sums(biases, channels * taps),
    dx: new Sums(
      x.map(() => 0),
      outChannels * taps,
    ),
    dweight: new Sums(before ?? weight.map(() => 0), images * outputs),
  };
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < outChannels; o++) {
      for (let i = 0; i < outHeight; i++) {
        for (let j = 0; j < outWidth; j++) {
          const output = ((n * outChannels + o) * outHeight + i) * outWidth + j;
          for (let c = 0; c < channels; c++) {
            for (let u = 0; u < vertical.kernel; u++) {
              for (let v = 0; v < horizontal.kernel; v++) {
                const row = i * vertical.stride - vertical.padding + u;
                const column = j * horizontal.stride - horizontal.padding + v;
                const isInside = row >= 0 && row < vertical.size && column >= 0 && column < horizontal.size;
                const input = ((n * channels + c) * vertical.size + row) * horizontal.size + column;
                const tap = ((o * channels + c) * vertical.kernel + u) * horizontal.kernel + v;
                const value = isInside ? x[input] : 0;
                sums.y.add(output, weight[tap] * value);
                sums.dweight.add(tap, dy[output] * value);
                if (isInside) sums.dx.add(input, weight[tap] * dy[output]);
              }
            }
          }
        }
      }
    }
  }
  return sums;
}

/** The convolutions of every kernel set under test, on the same numbers. */
export class ConvolutionBench {
  readonly #sets: KernelsUnderTest[];
  readonly #heap: LinearMemory;
  readonly #arena: Arena;

  constructor(sets: KernelsUnderTest[], words: number) {
    this.#sets = sets;
    this.#heap = sets[0].heap;
    this.#arena = new Arena(this.#heap, words);
  }

  /** The scratch that each set asks for. */
  workBytes(sizes: WindowSizes): number[] {
    const window = setWindow(this.#heap, sizes);
    return this.#sets.map(({ kernels }) => kernels.conv2dWorkBytes(window));
  }

  /**
   * The three messages of a kernel set. Before the calls the results hold NaN, unless dweight is to be added to, and so does the
   * scratch, which is as long as the set says and may hold anything after. A word changed elsewhere is a problem.
   */
  #run(
    { name, kernels }: KernelsUnderTest,
    operands: Operands,
    place: () => Placement,
    problems: Problems,
  ): Messages<Float32Array> {
    const { shape, x, weight, dy, bias, before } = operands;
    const { images, channels, outChannels, plane } = shape;
    const [height, width] = [plane.vertical.size, plane.horizontal.size];
    const window = setWindow(this.#heap, [channels, height, width, outChannels, ...windowArguments(plane)]);
    const scratch = notNumbers(kernels.conv2dWorkBytes(window) / 4);
    const arena = this.#arena;
    const message = (
      inputs: readonly Float32Array[],
      result: Float32Array,
      call: (inputs: number[], result: number, work: number) => void,
    ): Float32Array => {
      arena.clear();
      const from = inputs.map((values) => arena.input(values, place()).address);
      const [to, work] = [result, scratch].map((values): Region => arena.output(values, place()));
      arena.run(
        () => call(from, to.address, work.address),
        problems,
        () => describeConvolution(name, operands),
      );
      return arena.read(to);
    };
    return {
      y: message(bias ? [x, weight, bias] : [x, weight], notNumbers(dy.length), ([x, weight, bias = 0], y, work) =>
        kernels.conv2d(images, window, x, weight, bias, y, work),
      ),
      dx: message([dy, weight], notNumbers(x.length), ([dy, weight], dx, work) =>
        kernels.conv2dBackwardInput(images, window, dy, weight, dx, work),
      ),
      dweight: message([x, dy], before ?? notNumbers(weight.length), ([x, dy], dweight, work) =>
        kernels.conv2dBackwardWeight(images, window, x, dy, dweight, before !== undefined, work),
      ),
    };
  }

  /**
   * Every kernel set against double precision, and the others against the twin. In any order of summation, with fused or separate
   * multiplication, a float32 sum of k products is off by at most (k + 1) roundings of the terms' sizes.
   */
  check(operands: Operands, want: Messages<Sums>, random: Random, problems: Problems): void {
    const limits = MESSAGES.map((message): Limit => {
      const { sizes, terms } = want[message];
      return operands.isExact ? exact : within(sizes.map((size) => size * (terms + 1) * ROUNDING));
    });
    const results = new Map<string, Messages<Float32Array>>();
    for (const set of this.#sets) {
      results.set(
        set.name,
        this.#run(set, operands, () => anywhere(random), problems),
      );
    }
    const twin = results.get("js" satisfies Kernels["set"])!;
    for (const [name, got] of results) {
      for (const [i, message] of MESSAGES.entries()) {
        const label = (): string => `${describeConvolution(name, operands)}: ${message}`;
        problems.note(label, firstDifference(got[message], want[message].values, limits[i]));
        if (got === twin) continue;
        problems.note(() => `${label()} against the twin`, firstDifference(got[message], twin[message], limits[i]));
      }
    }
  }

  /** The same operands give the same bits wherever they lie. */
  checkPlacement(operands: Operands, random: Random, problems: Problems): void {
    for (const set of this.#sets) {
      const aligned = this.#run(set, operands, () => ({}), problems);
      for (let again = 0; again < 3; again++) {
        const got = this.#run(set, operands, () => anywhere(random), problems);
        for (const message of MESSAGES) {
          const label = (): string => `${describeConvolution(set.name, operands)}: ${message} elsewhere`;
          problems.note(label, firstDifference(got[message], aligned[message], bitExact));
        }
      }
    }
  }
}

function describeConvolution(name: string, { shape, bias, before, isExact }: Operands): string {
  const { images, channels, outChannels, plane } = shape;
  const extras = `${bias ? " bias" : ""}${before ? " accumulate" : ""}${isExact ? " integers" : ""}`;
  return `${name} ${images} images, channels ${channels} to ${outChannels}, ${describePlane(plane)}${extras}`;
}
