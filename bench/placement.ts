// with every layer come all groups of kernels
import "../src/index.js";
import type { Engine } from "../src/index.js";
import { addressesOf, argumentsOf, type KernelName, type Operands, type Sizes } from "../src/kernels/description.js";
import { descriptions } from "../src/kernels/groups.js";
import type { Kernels } from "../src/kernels/kernels.js";
import type { WindowSizes } from "../src/kernels/window.js";
import { READ_FLOATS, reading } from "./loops.js";
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
  /** The operand that bounds the call, by its place among the arguments: read once, or written. */
  readonly moved?: { argument: number; floats: number; isWritten: boolean };
  /** Whether each call has other operands, so many that none is in the cache when its turn comes again. The twin is left out. */
  readonly isCold?: boolean;
  /** A call that fills some of the same operands with what this one expects. */
  readonly prepare?: (ops: Kernels, args: readonly number[]) => void;
}

export const COLD_MIB = 512;

/** Operands in an engine's memory for as long as a row is measured. */
class Placement implements Operands {
  readonly #engine: Engine;
  readonly #scope: Scope;
  readonly #called: Called;
  readonly #values: number[];
  /** Of the floats, by buffer: made once for all placements of a row. */
  readonly #numbers: Float32Array[];
  #buffers = 0;
  bytes = 0;

  constructor(engine: Engine, scope: Scope, called: Called, numbers: Float32Array[]) {
    this.#numbers = numbers;
    this.#engine = engine;
    this.#scope = scope;
    this.#called = called;
    this.#values = [...(called.values ?? [])];
  }

  /** Where they are results, what is there at first does not matter. */
  floats(length: number): number {
    const address = this.#allocate(length);
    const [low, high] = this.#buffers === this.#called.variances ? [0.5, 1] : [-0.5, 0.5];
    this.#numbers[++this.#buffers] ??= uniform(length, low, high, this.#buffers);
    this.#engine.linear.f32.set(this.#numbers[this.#buffers], address >>> 2);
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
    this.bytes += length * 4;
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
  const { kernel, isCold, moved } = called;
  return {
    name,
    work,
    milliseconds: MEASURING_MS,
    isBounded: moved !== undefined,
    prepare({ wasm, wide, twin }, scope) {
      let call: ReturnType<typeof callerOf> | undefined;
      const numbers: Float32Array[] = [];
      const caller = (engine: Engine) => {
        const places = placesOf(engine, scope, called, numbers);
        call ??= callerOf(kernel, places[0]);
        const { ops } = engine;
        for (const args of places) called.prepare?.(ops, args as number[]);
        const made = call;
        return { places, run: inTurn(places, (args) => made(ops, args)) };
      };
      const ours = caller(wasm);
      return {
        wasm: ours.run,
        ...(wide && { wide: caller(wide).run }),
        ...(!isCold && { twin: caller(twin).run }),
        ...(moved && { memory: inTurn(ours.places, moverOf(wasm, moved)) }),
      };
    },
  };
}

/** The arguments of a call, or of as many as it takes until none of their operands is in the cache. */
function placesOf(engine: Engine, scope: Scope, called: Called, numbers: Float32Array[]): Arguments[] {
  const place = () => {
    const placement = new Placement(engine, scope, called, numbers);
    return { args: argumentsOf(descriptions()[called.kernel], called.sizes, placement), placement };
  };
  const first = place();
  const count = called.isCold ? Math.ceil((COLD_MIB << 20) / first.placement.bytes) : 1;
  return [first.args, ...Array.from({ length: count - 1 }, () => place().args)];
}

function inTurn(places: readonly Arguments[], call: (args: Arguments) => void): () => void {
  const [only] = places;
  if (places.length === 1) return () => call(only);
  let turn = 0;
  return () => call(places[turn++ % places.length]);
}

function moverOf({ ops, linear }: Engine, { argument, floats, isWritten }: Required<Called>["moved"]) {
  if (isWritten) return (args: Arguments) => ops.fill(floats, args[argument] as number, 0);
  const read = reading(linear.memory);
  return (args: Arguments) => read(floats / READ_FLOATS, args[argument] as number);
}
