import { describe, expect, test } from "vitest";
import { callKernel, type KernelName } from "../../src/kernels/description.js";
import { descriptions } from "../../src/kernels/groups.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { modulesOf } from "../../src/kernels/modules.js";
import { GROUPS } from "../../src/kernels/table/groups.js";
import type { Factor, KernelDescription, Operand, Shape } from "../../src/kernels/table/vocabulary.js";
import { link, type WasmKernels } from "../../src/kernels/wasm.js";
import { isInternal } from "../../src/kernels/wide/module-bytes.js";
import { RandomOperands } from "../../src/kernels/wide/random-calls.js";
import type { LinearMemory } from "../../src/memory.js";
import { hasRelaxedSimd } from "../support/engines.js";
import { kernelSets } from "../support/kernels.js";

const table: Record<string, KernelDescription> = Object.assign(
  {},
  ...Object.values(GROUPS).flatMap((files) => Object.values(files)),
);
const names = Object.keys(table) as KernelName[];
const parameters = Object.fromEntries(names.map((name) => [name, Object.keys(table[name].arguments).length]));

/** What the modules export to be set up, with how many parameters. */
const SETUP = { isRelaxed: 0, workBytes: 0, useWork: 1, useShare: 2, useWide: 1, useTall: 1, calibrate: 2 };

const parametersOf = (functions: object): Record<string, number> =>
  Object.fromEntries(
    Object.entries(functions).flatMap(([name, value]) => (typeof value === "function" ? [[name, value.length]] : [])),
  );

describe("the table has what there is", () => {
  const sets = (["simd", ...(hasRelaxedSimd ? (["relaxed-simd"] as const) : [])] as const).map((set) => ({ set }));
  test.each(sets)("in the $set modules", ({ set }) => {
    const modules = modulesOf(set, false);
    const linked: WebAssembly.Exports = Object.assign(
      {},
      ...link(modules, new WebAssembly.Memory({ initial: 1, maximum: 1 })),
    );
    const exported = Object.fromEntries(Object.entries(linked).filter(([name]) => !isInternal(name)));
    const functions = modules
      .flatMap((module) => WebAssembly.Module.exports(module))
      .filter(({ kind, name }) => kind === "function" && !isInternal(name));
    expect(Object.keys(parametersOf(exported)).sort()).toEqual(functions.map(({ name }) => name).sort());
    expect(parametersOf(exported)).toEqual({ ...parameters, ...SETUP });
  });

  test("in the twin", () => {
    expect(parametersOf(kernelSets()[0].kernels)).toEqual(parameters);
  });
});

const SEED = 5;
/** What is in an output before: a NaN, which would show in any result. */
const GARBAGE = 0x7fc0_0000;
const CALLS = 25;
/** Many are such that an axis cannot be cut. */
const CALLS_TO_SPLIT = 80;
const WINDOW = ["channels", "height", "width", "outChannels", "kernelHeight", "kernelWidth"] as const;
const WINDOW_STEPS = ["strideHeight", "strideWidth", "paddingHeight", "paddingWidth"] as const;

/** A random call of a kernel, with what the table says of it worked out by names. */
class TableCall {
  readonly values: Readonly<Record<string, number>>;
  readonly #description: KernelDescription;

  constructor(name: KernelName, args: readonly (number | boolean)[], heap: LinearMemory) {
    this.#description = table[name];
    const named = Object.fromEntries(Object.keys(table[name].arguments).map((key, i) => [key, Number(args[i])]));
    this.values = "window" in named ? { ...named, ...sizesOfWindow(heap, named.window) } : named;
  }

  /** The operands that the call has. */
  operands(): [name: string, operand: Operand][] {
    return Object.entries(this.#description.arguments).flatMap(([name, argument]) =>
      "shape" in argument && this.values[name] !== 0 ? [[name, argument]] : [],
    );
  }

  product(shape: Shape): number {
    return shape.reduce((length: number, factor) => length * this.#factor(factor), 1);
  }

  isAccumulated({ accumulate }: Operand): boolean {
    return accumulate !== undefined && this.values[accumulate] === 1;
  }

  #factor(factor: Factor): number {
    if (typeof factor === "number") return factor;
    if (typeof factor === "string") return this.values[factor];
    return this.values[this.values[factor.flag] === 1 ? factor.then : factor.otherwise];
  }
}

function sizesOfWindow({ i32 }: LinearMemory, window: number): Record<string, number> {
  const sizes = Object.fromEntries([...WINDOW, ...WINDOW_STEPS].map((name, i) => [name, i32[window / 4 + i]]));
  const [down, across] = ["Height", "Width"].map((axis) => {
    const side = sizes[axis.toLowerCase()] + 2 * sizes[`padding${axis}`];
    let places = 0;
    for (let at = 0; at + sizes[`kernel${axis}`] <= side; at += sizes[`stride${axis}`]) places++;
    return places;
  });
  const { channels, outChannels, height, width, kernelHeight, kernelWidth } = sizes;
  return {
    outChannels,
    inputs: channels * height * width,
    outputs: outChannels * down * across,
    weights: outChannels * channels * kernelHeight * kernelWidth,
    plane: height * width,
  };
}

/** A NaN may be any: which one comes out depends on the compiler. */
const withoutPayloads = (words: Int32Array): Int32Array =>
  words.map((word) => ((word & 0x7fff_ffff) > 0x7f80_0000 ? 0x7fc0_0000 : word));

interface Made {
  readonly args: (number | boolean)[];
  readonly call: TableCall;
  readonly before: Int32Array;
  /** What the operands hold after a call with these arguments, from `words`. */
  run(words: Int32Array, ...calls: (number | boolean)[][]): Int32Array;
  /** Where an address is among those words. */
  at(address: number): number;
}

const outputsOf = (call: TableCall): [string, Operand][] => call.operands().filter(([, { role }]) => role !== "input");

describe.each(kernelSets())("what the table says holds for $name", ({ kernels, heap }) => {
  const workBytes = (window: number): number => kernels.conv2dWorkBytes(window);

  function eachCall(name: KernelName, calls: number, check: (made: Made) => void): void {
    const operands = new RandomOperands(heap, workBytes, SEED);
    for (let i = 0; i < calls; i++) {
      const args = operands.arguments(descriptions()[name]);
      const run = (words: Int32Array, ...calls: (number | boolean)[][]): Int32Array => {
        operands.write(words);
        for (const each of calls) callKernel(kernels as Kernels, name, each);
        return withoutPayloads(operands.read());
      };
      const at = (address: number): number => address / 4 - operands.start;
      check({ args, call: new TableCall(name, args, heap), before: withoutPayloads(operands.read()), run, at });
    }
    operands.free();
  }

  const withOperands = names.filter((name) => Object.values(table[name].arguments).some((a) => "shape" in a));

  test.each(withOperands)("%s writes its outputs alone, and reads none of them", (name) => {
    eachCall(name, CALLS, ({ args, call, before, run, at }) => {
      const after = run(before, args);
      const other = before.slice();
      const mayChange = new Uint8Array(before.length);
      const unread: [start: number, end: number, row: number][] = [];
      const read = new Set(
        call.operands().flatMap(([key, operand]) => (operand.role === "output" ? [] : [call.values[key]])),
      );
      for (const [key, operand] of call.operands()) {
        const start = at(call.values[key]);
        const end = start + call.product(operand.shape);
        if (operand.role === "input") continue;
        mayChange.fill(1, start, end);
        if (operand.role === "updated" || call.isAccumulated(operand) || read.has(call.values[key])) continue;
        other.fill(GARBAGE, start, end);
        // a row may be shorter than the distance of rows
        unread.push([start, end, operand.shape.at(-1) === "ldc" ? call.values.ldc : end - start]);
      }
      for (let i = 0; i < before.length; i++) {
        if (mayChange[i] === 0 && after[i] !== before[i]) throw new Error(`word ${i} is no output`);
      }
      const again = run(other, args);
      for (const [start, end, row] of unread) {
        const length = row === end - start ? row : call.values.n;
        for (let i = start; i < end; i++) {
          if ((i - start) % row < length && again[i] !== after[i]) throw new Error(`word ${i - start} was read`);
        }
      }
    });
  });

  const splittable = names.flatMap((name) => (table[name].split ?? []).map((axis) => ({ name, axis })));

  test.each(splittable)("$name may be split along $axis", ({ name, axis }) => {
    let cuts = 0;
    eachCall(name, CALLS_TO_SPLIT, ({ args, call, before, run, at }) => {
      const size = call.values[axis];
      const cut = call.operands().filter(([, { shape }]) => shape.includes(axis));
      const isWhole = cut.some(([, { shape }]) => call.product(shape.slice(0, shape.indexOf(axis))) !== 1);
      if (isWhole || size < 2) return;
      cuts++;
      const first = Math.ceil(size / 3);
      const parts = [
        { from: 0, count: first },
        { from: first, count: size - first },
      ].map(({ from, count }) =>
        Object.keys(table[name].arguments).map((key, i) => {
          if (key === axis) return count;
          const shape = cut.find(([other]) => other === key)?.[1].shape;
          if (shape === undefined) return args[i];
          return Number(args[i]) + 4 * from * call.product(shape.slice(shape.indexOf(axis) + 1));
        }),
      );
      const whole = run(before, args);
      const halves = run(before, ...parts);
      for (const [key, { shape }] of outputsOf(call)) {
        const start = at(call.values[key]);
        const end = start + call.product(shape);
        for (let i = start; i < end; i++) if (halves[i] !== whole[i]) throw new Error(`${key}[${i - start}] differs`);
      }
    });
    expect(cuts).toBeGreaterThan(0);
  });

  const sharing = names.filter((name) => table[name].shares);

  // the twin computes no shares: it runs on one thread
  test.runIf("useShare" in kernels).each(sharing)("%s computes shares that are the whole together", (name) => {
    const { useShare } = kernels as WasmKernels;
    let differing = 0;
    eachCall(name, CALLS_TO_SPLIT, ({ args, call, before, run, at }) => {
      const whole = run(before, args);
      for (const shares of [2, 5]) {
        let words = before;
        // in another order than that of memory
        for (let i = shares - 1; i >= 0; i--) {
          useShare(i, shares);
          words = run(words, args);
        }
        useShare(0, shares);
        if (!same(run(before, args), whole, outputRanges(call, at))) differing++;
        useShare(0, 1);
        for (const [key, start, end] of outputRanges(call, at)) {
          for (let i = start; i < end; i++) {
            if (words[i] !== whole[i]) throw new Error(`${shares} shares: ${key}[${i - start}] differs`);
          }
        }
      }
    });
    // else a share might be the whole
    expect(differing).toBeGreaterThan(0);
  });
});

type Range = readonly [name: string, start: number, end: number];

const outputRanges = (call: TableCall, at: (address: number) => number): Range[] =>
  outputsOf(call).map(([key, { shape }]) => {
    const start = at(call.values[key]);
    return [key, start, start + call.product(shape)];
  });

const same = (a: Int32Array, b: Int32Array, ranges: readonly Range[]): boolean =>
  ranges.every(([, start, end]) => a.subarray(start, end).every((word, i) => word === b[start + i]));
