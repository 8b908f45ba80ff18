import type { LinearMemory } from "../memory.js";
import {
  argumentsOf,
  callKernel,
  type Description,
  hasOptional,
  type KernelName,
  layoutOf,
  type Operands,
  type Sizes,
} from "./description.js";
import { descriptions } from "./groups.js";
import type { Kernels } from "./kernels.js";
import type { Layout } from "./table/vocabulary.js";
import { setWindow, type WindowSizes } from "./window.js";

/** V8 tiers a kernel up after a few calls; small sizes are enough, since code is compiled by function and not by size. */
const ROUNDS = 5;

/** A product of [m, k] as stored, or as its transpose, with [k, n] likewise. */
const product = (transposeA: boolean, transposeB: boolean, m: number, n: number, k: number): Sizes => [
  ...[transposeA, transposeB, m, n, k],
  ...[transposeA ? m : k, transposeB ? k : n, n],
];

const windowOver9x9 = (channels: number, kernel: number, stride: number, padding: number): Sizes => [
  ...[1, channels, 9, 9, channels],
  ...[kernel, kernel, stride, stride, padding, padding],
];

/** Sizes for each way through the kernels of a layout. */
const SIZES: Readonly<Record<Layout, readonly Sizes[]>> = {
  elements: [[36]],
  // columns, few and as many as are carried in double; one channel of everything; planes
  channels: [
    [3, 36, 1],
    [35, 36, 1],
    [1, 1, 36],
    [3, 8, 3],
  ],
  statistics: [
    [3, 8, 1],
    [3, 8, 3],
  ],
  classes: [[3, 10]],
  // single row, dot products, swapped, blocked without and with packing: as the three messages of a dense layer
  product: [1, 3, 19, 35, 260].flatMap((m) => [
    product(false, true, m, 36, 68),
    product(false, false, m, 36, 68),
    product(true, false, 36, 36, m),
  ]),
  // with few channels or a stride directly, from 16 on by Winograd's
  convolution: [windowOver9x9(2, 3, 1, 1), windowOver9x9(2, 3, 2, 1), windowOver9x9(16, 3, 1, 1)],
  pool: [windowOver9x9(2, 2, 2, 0), windowOver9x9(2, 3, 2, 0), windowOver9x9(2, 3, 3, 0)],
};

/** Operands of one call, each in a block of its own that is zeros. */
class Zeros implements Operands {
  readonly #ops: Kernels;
  readonly #memory: LinearMemory;
  readonly #isThere: boolean;
  readonly #blocks: number[] = [];

  constructor(ops: Kernels, memory: LinearMemory, isThere: boolean) {
    this.#ops = ops;
    this.#memory = memory;
    this.#isThere = isThere;
  }

  free(): void {
    for (const block of this.#blocks) this.#memory.free(block);
  }

  floats(length: number): number {
    const block = this.#allocate(length * 4);
    this.#memory.f32.fill(0, block >>> 2, (block >>> 2) + length);
    return block;
  }

  integers(length: number): number {
    return this.floats(length);
  }

  window(sizes: WindowSizes): number {
    return setWindow(this.#memory, sizes);
  }

  work(window: number): number {
    return this.#allocate(this.#ops.conv2dWorkBytes(window));
  }

  /** No integer, so that JavaScript's compiler does not take the twin's numbers for integers. */
  scalar(): number {
    return 0.5;
  }

  integer(): number {
    return 1;
  }

  flag(): boolean {
    return false;
  }

  isThere(): boolean {
    return this.#isThere;
  }

  isSame(): boolean {
    return false;
  }

  #allocate(bytes: number): number {
    const block = this.#memory.allocate(bytes);
    this.#blocks.push(block);
    return block;
  }
}

/**
 * Calls every kernel of the program with every path of it: all sizes with the optional operands, and the first ones without.
 */
export function exerciseKernels(ops: Kernels, memory: LinearMemory): void {
  for (const [name, description] of Object.entries(descriptions()) as [KernelName, Description][]) {
    const [first, ...others] = SIZES[layoutOf(description)];
    if (hasOptional(description)) exercise(ops, memory, name, description, first, false);
    for (const sizes of [first, ...others]) exercise(ops, memory, name, description, sizes, true);
  }
}

function exercise(
  ops: Kernels,
  memory: LinearMemory,
  name: KernelName,
  description: Description,
  sizes: Sizes,
  isThere: boolean,
): void {
  const zeros = new Zeros(ops, memory, isThere);
  try {
    const args = argumentsOf(description, sizes, zeros);
    for (let round = 0; round < ROUNDS; round++) callKernel(ops, name, args);
  } finally {
    zeros.free();
  }
}
