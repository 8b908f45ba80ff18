import type { LinearMemory } from "../../memory.js";
import type { Kernels } from "../kernels.js";
import { type KernelName, Operands, RANDOM_CALLS } from "./random-calls.js";

/** How often each kernel is called, and those with many ways through them. */
const CALLS = 12;
const MORE_CALLS: Partial<Record<KernelName, number>> = {
  gemm: 50,
  conv2d: 16,
  conv2dBackwardInput: 16,
  conv2dBackwardWeight: 16,
};
const SEED = 1;

/** Whether two sets of kernels over one memory give the same bits, on random calls. NaN counts as NaN whatever its payload. */
export class Comparison {
  readonly #operands: Operands;
  readonly #kernels: readonly [Kernels, Kernels];

  constructor(kernels: readonly [Kernels, Kernels], heap: LinearMemory, seed: number) {
    const workBytes = (window: number): number => Math.max(...kernels.map((ops) => ops.conv2dWorkBytes(window)));
    this.#kernels = kernels;
    this.#operands = new Operands(heap, workBytes, seed);
  }

  free(): void {
    this.#operands.free();
  }

  /** One more random call of a kernel. */
  isSame(name: KernelName): boolean {
    const operands = this.#operands;
    operands.clear();
    const call = RANDOM_CALLS[name](operands);
    const before = operands.read();
    const results = this.#kernels.map((kernels) => {
      operands.write(before);
      return { returned: call(kernels), words: operands.read() };
    });
    const [first, second] = results;
    return Object.is(first.returned, second.returned) && isSameBits(first.words, second.words);
  }
}

function isSameBits(a: Int32Array, b: Int32Array): boolean {
  return a.every((word, i) => word === b[i] || (isNaNPattern(word) && isNaNPattern(b[i])));
}

const isNaNPattern = (word: number): boolean => (word & 0x7fff_ffff) > 0x7f80_0000;

/** Calls every kernel that the program has, of both sets, which share a memory; the name of the first whose bits differ. */
export function firstDifference(normal: Kernels, wide: Kernels, heap: LinearMemory): KernelName | undefined {
  const comparison = new Comparison([normal, wide], heap, SEED);
  try {
    return (Object.keys(RANDOM_CALLS) as KernelName[])
      .filter((name) => name in normal)
      .find((name) => Array.from({ length: MORE_CALLS[name] ?? CALLS }).some(() => !comparison.isSame(name)));
  } finally {
    comparison.free();
  }
}
