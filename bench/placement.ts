// with every layer come all groups of kernels
import "../src/index.js";
import type { Engine } from "../src/index.js";
import { addressesOf, argumentsOf, type KernelName, type Operands, type Sizes } from "../src/kernels/description.js";
import { descriptions } from "../src/kernels/groups.js";
import type { Kernels } from "../src/kernels/kernels.js";
import type { WindowSizes } from "../src/kernels/window.js";
import { onEach } from "./engines.js";
import { numbersFrom, uniform } from "./numbers.js";
import type { Row, Scope } from "./row.js";
import type { Work } from "./run.js";

/** Time for about ten rounds, fewer for large products, on which the twin takes long; there are many such rows. */
const MEASURING_MS = 500;

/** A call of a kernel, beside the operands that the table gives it. */
export interface Called {
  readonly kernel: KernelName;
  readonly sizes: Sizes;
  /** Its numbers that are no sizes, in the order of its arguments; flags are not set. */
  readonly values?: readonly number[];
  /** Whether it has its optional operands. */
  readonly withOptional?: boolean;
  /** Which of the buffers of floats, from 0 on, holds variances: none is negative. */
  readonly variances?: number;
  /** A call that fills some of the same operands with what this one expects. */
  readonly prepare?: (ops: Kernels, args: readonly number[]) => void;
}

/** Operands in an engine's memory for as long as a row is measured. */
class Placement implements Operands {
  readonly #engine: Engine;
  readonly #scope: Scope;
  readonly #called: Called;
  readonly #values: number[];
  #buffers = 0;

  constructor(engine: Engine, scope: Scope, called: Called) {
    this.#engine = engine;
    this.#scope = scope;
    this.#called = called;
    this.#values = [...(called.values ?? [])];
  }

  /** Where they are results, what is there at first does not matter. */
  floats(length: number): number {
    const address = this.#allocate(length);
    const [low, high] = this.#buffers === this.#called.variances ? [0.5, 1] : [-0.5, 0.5];
    this.#engine.linear.f32.set(uniform(length, low, high, ++this.#buffers), address >>> 2);
    return address;
  }

  integers(length: number, below: number): number {
    const address = this.#allocate(length);
    const next = numbersFrom(++this.#buffers);
    this.#engine.linear.i32.set(
      Int32Array.from({ length }, () => Math.floor(next() * below)),
      address >>> 2,
    );
    return address;
  }

  window(sizes: WindowSizes): number {
    const window = this.#allocate(sizes.length);
    this.#engine.linear.i32.set(sizes, window >>> 2);
    return window;
  }

  work(window: number): number {
    return this.#allocate(this.#engine.ops.conv2dWorkBytes(window) / 4);
  }

  scalar(): number {
    return this.#values.shift()!;
  }

  integer(): number {
    return this.scalar();
  }

  flag(): boolean {
    return false;
  }

  isThere(): boolean {
    return this.#called.withOptional ?? false;
  }

  isSame(): boolean {
    return false;
  }

  #allocate(length: number): number {
    const { linear } = this.#engine;
    const address = linear.allocate(length * 4);
    this.#scope.defer(() => linear.free(address));
    return address;
  }
}

type Arguments = readonly (number | boolean)[];

/**
 * Makes the call in straight line, with its numbers as constants: what spreads the arguments, or has to look what they are, costs as
 * much as a small kernel.
 */
function callerOf(kernel: KernelName, args: Arguments): (ops: Kernels, args: Arguments) => void {
  const isAddress = addressesOf(descriptions()[kernel]);
  const passed = args.map((value, i) => (isAddress[i] ? `args[${i}]` : value));
  return new Function("ops", "args", `ops.${kernel}(${passed.join(", ")});`) as (ops: Kernels, args: Arguments) => void;
}

/** A row that makes the same call on every engine. */
export function kernelRow(name: string, work: Work, called: Called): Row {
  const { kernel, sizes } = called;
  const description = descriptions()[kernel];
  return {
    name,
    work,
    milliseconds: MEASURING_MS,
    prepare(engines, scope) {
      let call: ReturnType<typeof callerOf> | undefined;
      return onEach(engines, (engine) => {
        const args = argumentsOf(description, sizes, new Placement(engine, scope, called));
        call ??= callerOf(kernel, args);
        const { ops } = engine;
        called.prepare?.(ops, args as number[]);
        const made = call;
        return () => made(ops, args);
      });
    },
  };
}
