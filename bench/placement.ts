import type { Engine } from "../src/index.js";
import type { Kernels } from "../src/kernels/kernels.js";
import { setWindow, type WindowSizes } from "../src/kernels/window.js";
import { onEach } from "./engines.js";
import { CLASSES } from "./network.js";
import { numbersFrom, uniform } from "./numbers.js";
import type { Row, Scope } from "./row.js";
import type { Work } from "./run.js";

/** Time for some ten rounds, but for products that keep the twin busy for long; there are many such rows. */
const MEASURING_MS = 500;

/** One call of a kernel, with its sizes and addresses fixed. */
type Call = (ops: Kernels) => void;

/** Buffers in an engine's memory for as long as a row is measured. */
export class Buffers {
  readonly #engine: Engine;
  readonly #scope: Scope;
  #seed = 0;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** Numbers spread over low..high; where they are results, what is there at first does not matter. */
  floats(length: number, low = -0.5, high = 0.5): number {
    const address = this.#allocate(length);
    this.#engine.linear.f32.set(uniform(length, low, high, ++this.#seed), address >>> 2);
    return address;
  }

  labels(length: number): number {
    const address = this.#allocate(length);
    const next = numbersFrom(++this.#seed);
    const labels = Int32Array.from({ length }, () => Math.floor(next() * CLASSES));
    this.#engine.linear.i32.set(labels, address >>> 2);
    return address;
  }

  /** The scratch that a convolution of these sizes needs. */
  scratch(sizes: WindowSizes): number {
    const { linear, ops } = this.#engine;
    return this.#allocate(ops.conv2dWorkBytes(setWindow(linear, sizes)) / 4);
  }

  /** Puts the sizes of a window where the calls of this row read them. */
  window(sizes: WindowSizes): number {
    const window = this.#allocate(sizes.length);
    this.#engine.linear.i32.set(sizes, window >>> 2);
    return window;
  }

  #allocate(length: number): number {
    const { linear } = this.#engine;
    const address = linear.allocate(length * 4);
    this.#scope.defer(() => linear.free(address));
    return address;
  }
}

/** A row that makes the same call on every engine; `place` puts the operands there. */
export function kernelRow(name: string, work: Work, place: (buffers: Buffers) => Call): Row {
  return {
    name,
    work,
    milliseconds: MEASURING_MS,
    prepare: (engines, scope) =>
      onEach(engines, (engine) => {
        const call = place(new Buffers(engine, scope));
        const { ops } = engine;
        return () => call(ops);
      }),
  };
}
