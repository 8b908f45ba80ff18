import type { LinearMemory } from "../../memory.js";
import { callKernel, hasOperands, type KernelName, layoutOf } from "../description.js";
import { descriptions } from "../groups.js";
import type { Kernels } from "../kernels.js";
import type { Layout } from "../table/vocabulary.js";
import { RandomOperands } from "./random-calls.js";

/** How often each kernel is called; kernels with many paths more often, by their layouts. */
const CALLS = 12;
const MORE_CALLS: Readonly<Partial<Record<Layout, number>>> = { product: 50, convolution: 16 };
const SEED = 1;

/** The kernels of this program that read or write numbers of tensors. */
export function comparedKernels(): KernelName[] {
  const all = descriptions();
  return (Object.keys(all) as KernelName[]).filter((name) => hasOperands(all[name]));
}

/** Whether two sets of kernels over one memory give the same bits, on random calls. NaN counts as NaN whatever its payload. */
export class Comparison {
  readonly #operands: RandomOperands;
  readonly #kernels: readonly [Kernels, Kernels];

  constructor(kernels: readonly [Kernels, Kernels], heap: LinearMemory, seed: number) {
    const workBytes = (window: number): number => Math.max(...kernels.map((ops) => ops.conv2dWorkBytes(window)));
    this.#kernels = kernels;
    this.#operands = new RandomOperands(heap, workBytes, seed);
  }

  free(): void {
    this.#operands.free();
  }

  /** One more random call of a kernel. */
  isSame(name: KernelName): boolean {
    const operands = this.#operands;
    const args = operands.arguments(descriptions()[name]);
    const before = operands.read();
    const results = this.#kernels.map((kernels) => {
      operands.write(before);
      return { returned: callKernel(kernels, name, args), words: operands.read() };
    });
    const [first, second] = results;
    return Object.is(first.returned, second.returned) && isSameBits(first.words, second.words);
  }
}

function isSameBits(a: Int32Array, b: Int32Array): boolean {
  return a.every((word, i) => word === b[i] || (isNaNPattern(word) && isNaNPattern(b[i])));
}

const isNaNPattern = (word: number): boolean => (word & 0x7fff_ffff) > 0x7f80_0000;

/** Calls every kernel of both sets, which share a memory; the name of the first whose bits differ. */
export function firstDifference(normal: Kernels, wide: Kernels, heap: LinearMemory): KernelName | undefined {
  const comparison = new Comparison([normal, wide], heap, SEED);
  try {
    return comparedKernels().find((name) => {
      const calls = MORE_CALLS[layoutOf(descriptions()[name])] ?? CALLS;
      return Array.from({ length: calls }).some(() => !comparison.isSame(name));
    });
  } finally {
    comparison.free();
  }
}
