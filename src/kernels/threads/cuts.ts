import type { Heap } from "../../memory.js";
import { type Description, layoutOf, WINDOW_SIZES, windowFactors } from "../description.js";
import type { Layout } from "../table/vocabulary.js";
import type { WindowSizes } from "../window.js";
import { CHUNKS_A_THREAD, COSTS, OTHER_COST, SHARES_A_THREAD, type Thresholds } from "./numbers.js";

export type Arguments = readonly (number | boolean)[];

/** How a call is cut. */
export interface Cut {
  readonly chunks: number;
  /** The size that is cut, by its argument; below 0 the kernel computes shares itself. */
  readonly axis: number;
  /** Of the axis: what a chunk gets of it. */
  readonly unit: number;
  /** Bytes from one step along the axis to the next, by argument; 0 for what is not cut. */
  readonly steps: readonly number[];
}

/** An operand that is cut: how far apart its parts are, and what has to be 1 for them to be parts. */
interface Part {
  readonly at: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

interface Axis {
  readonly size: number;
  readonly parts: readonly Part[];
}

type Letters = Readonly<Record<string, number>>;

/** Elements of a cache line. */
const LINE = 16;
const NO_STEPS: readonly number[] = [];

/** Decides for the calls of one kernel whether and how they are cut, from its description. */
export class Cuts {
  readonly #layout: Layout;
  readonly #cost: number;
  readonly #axes: readonly Axis[];
  readonly #computesShares: boolean;
  readonly #window: number;
  /** The argument that is a convolution's scratch, or -1. */
  readonly scratch: number;

  private constructor(name: string, description: Description, axes: string) {
    const words = description.split(" ").slice(1);
    this.#layout = layoutOf(description);
    this.#cost = COSTS[name] ?? OTHER_COST;
    this.#computesShares = axes === "-";
    this.#window = words.indexOf("w");
    this.scratch = words.indexOf("k");
    this.#axes = this.#computesShares ? [] : [...axes].map((size) => axisOf(size, words));
  }

  /** Of a kernel whose calls can be cut. */
  static of(name: string, description: Description): Cuts | undefined {
    const axes = description.split(" ", 1)[0].split("/")[1];
    return axes === undefined ? undefined : new Cuts(name, description, axes);
  }

  /** What the call costs on one thread, in nanoseconds, by its first arguments. */
  cost(a: number, b: number, c: number, d: number, e: number, heap: Heap): number {
    switch (this.#layout) {
      case "elements":
        return this.#cost * a;
      case "classes":
        return this.#cost * a * b;
      case "product":
        return this.#cost * c * d * e;
      case "convolution":
      case "pool":
        return this.#cost * a * workOfImage(this.#layout, lettersAt(b, heap));
      default:
        return this.#cost * a * b * c;
    }
  }

  /** How a call of this cost is cut for so many threads; undefined where it cannot be. */
  cut(cost: number, threads: number, args: Arguments, heap: Heap, { leastChunk }: Thresholds): Cut | undefined {
    const most = Math.max(2, Math.floor(cost / leastChunk));
    if (this.#computesShares) {
      return { chunks: Math.min(most, threads * SHARES_A_THREAD), axis: -1, unit: 0, steps: NO_STEPS };
    }
    const letters = this.#window < 0 ? {} : lettersAt(Number(args[this.#window]), heap);
    const product = (factors: readonly string[]): number =>
      factors.reduce((all, factor) => all * (letters[factor] ?? Number(args[Number.parseInt(factor, 36)])), 1);
    const isFree = ({ size, parts }: Axis): boolean =>
      Number(args[size]) > 1 && parts.every(({ before }) => product(before) === 1);
    const axis = this.#axes.filter(isFree).sort((x, y) => Number(args[y.size]) - Number(args[x.size]))[0];
    if (axis === undefined) return undefined;
    const size = Number(args[axis.size]);
    const steps = args.map(() => 0);
    for (const { at, after } of axis.parts) if (args[at] !== 0) steps[at] = 4 * product(after);
    const unit = Math.ceil(size / Math.min(most, threads * CHUNKS_A_THREAD));
    // neighbouring floats: whole cache lines
    const rounded = steps.includes(4) ? Math.ceil(unit / LINE) * LINE : unit;
    const chunks = Math.ceil(size / rounded);
    return chunks < 2 ? undefined : { chunks, axis: axis.size, unit: rounded, steps };
  }
}

function axisOf(size: string, words: readonly string[]): Axis {
  const parts = words.flatMap((word, at) => {
    const factors = word[0] === "x" ? [...word.slice(1).split(/[?&=<]/, 1)[0]] : [];
    const place = factors.indexOf(size);
    return place < 0 ? [] : [{ at, before: factors.slice(0, place), after: factors.slice(place + 1) }];
  });
  return { size: Number.parseInt(size, 36), parts };
}

function lettersAt(window: number, { i32 }: Heap): Letters {
  const sizes = Array.from(i32.subarray(window / 4, window / 4 + WINDOW_SIZES));
  return windowFactors(sizes as unknown as WindowSizes);
}

/** Multiply-adds of a convolution of one image; the elements of an image for a pool. */
const workOfImage = (layout: Layout, { I, O, W, C }: Letters): number => (layout === "pool" ? I : (O * W) / C);
