import type { Kernels } from "../../src/kernels/kernels.js";
import { Arena, type Placement } from "./arena.js";
import { bitExact, firstDifference, type Problems, ROUNDING, within } from "./compare.js";
import type { KernelsUnderTest } from "./kernels.js";
import type { Random } from "./random.js";

/** How the operands of a product are stored: op(A) is Aᵀ where `transposeA`. */
export interface Form {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

export const AB: Form = { transposeA: false, transposeB: false };
export const ABT: Form = { transposeA: false, transposeB: true };
export const ATB: Form = { transposeA: true, transposeB: false };
export const ATBT: Form = { transposeA: true, transposeB: true };
export const FORMS = [AB, ABT, ATB, ATBT];

/** What becomes of the destination: written, written with a bias added, or added to. */
export type Mode = "write" | "bias" | "accumulate";
export const MODES: readonly Mode[] = ["write", "bias", "accumulate"];

/** op(A) [m, k], op(B) [k, n], the bias [n] and what C [m, n] holds before, all without gaps. */
export interface Operands {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly bias: Float32Array;
  readonly c: Float32Array;
}

export function randomOperands(random: Random, m: number, n: number, k: number): Operands {
  const [a, b, bias, c] = [m * k, k * n, n, m * n].map((count) => random.values(count));
  return { m, n, k, a, b, bias, c };
}

/** op(A) · op(B) in double precision, and the same sums over the sizes of their terms. */
export interface Product {
  readonly sums: Float64Array;
  readonly sizes: Float64Array;
}

export function referenceProduct({ m, n, k, a, b }: Operands): Product {
  const rows = Float64Array.from(a);
  const columns = Float64Array.from(transpose(b, k, n));
  const sums = new Float64Array(m * n);
  const sizes = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let size = 0;
      for (let p = 0; p < k; p++) {
        const term = rows[i * k + p] * columns[j * k + p];
        sum += term;
        size += Math.abs(term);
      }
      sums[i * n + j] = sum;
      sizes[i * n + j] = size;
    }
  }
  return { sums, sizes };
}

/** The transpose of a [rows, columns] matrix. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j];
  }
  return turned;
}

/** Where the matrices lie: words past a multiple of 64 bytes, and the words between the rows of A, B and C. */
export interface Layout {
  readonly shifts: readonly [a: number, b: number, c: number, bias: number];
  readonly gaps: readonly [a: number, b: number, c: number];
}

export const PLAIN: Layout = { shifts: [0, 0, 0, 0], gaps: [0, 0, 0] };

/** Any multiple of 4 bytes, any leading dimension. */
export function randomLayout(random: Random): Layout {
  const shift = (): number => random.integer(0, 15);
  const gap = (): number => random.pick([0, 0, 0, 1, 2, 3, 4, 5, 8, 13]);
  return { shifts: [shift(), shift(), shift(), shift()], gaps: [gap(), gap(), gap()] };
}

/** The products of every kernel set under test, on the same bytes. */
export class ProductBench {
  readonly #sets: KernelsUnderTest[];
  readonly #arena: Arena;

  constructor(sets: KernelsUnderTest[], words: number) {
    this.#sets = sets;
    this.#arena = new Arena(sets[0].heap, words);
  }

  /**
   * C of each kernel set, by its name. Before the call C holds NaN, unless the mode adds to it, and so does a bias that must be
   * ignored. A word changed outside C is a problem.
   */
  run(operands: Operands, form: Form, mode: Mode, layout: Layout, problems: Problems): Map<string, Float32Array> {
    const { m, n, k } = operands;
    const arena = this.#arena;
    arena.clear();
    const place = (rows: number, length: number, index: 0 | 1 | 2): Placement => ({
      rows,
      stride: length + layout.gaps[index],
      shift: layout.shifts[index],
    });
    const { transposeA, transposeB } = form;
    const a = arena.input(
      transposeA ? transpose(operands.a, m, k) : operands.a,
      transposeA ? place(k, m, 0) : place(m, k, 0),
    );
    const b = arena.input(
      transposeB ? transpose(operands.b, k, n) : operands.b,
      transposeB ? place(n, k, 1) : place(k, n, 1),
    );
    const nothing = (length: number): Float32Array => new Float32Array(length).fill(Number.NaN);
    const c = arena.output(mode === "accumulate" ? operands.c : nothing(m * n), place(m, n, 2));
    // Accumulating ignores the bias: one of NaNs must leave no trace.
    const bias = arena.input(mode === "accumulate" ? nothing(n) : operands.bias, { shift: layout.shifts[3] });
    const biasAddress = mode === "write" ? 0 : bias.address;

    const results = new Map<string, Float32Array>();
    for (const { name, kernels } of this.#sets) {
      const storage = [a.address, a.stride, b.address, b.stride, c.address, c.stride] as const;
      arena.run(
        () => kernels.gemm(transposeA, transposeB, m, n, k, ...storage, biasAddress, mode === "accumulate"),
        problems,
        () => describeProduct(name, operands, form, mode, layout),
      );
      results.set(name, arena.read(c));
    }
    return results;
  }

  /**
   * Every kernel set against double precision, and the others against the twin. In any order of summation, with fused or separate
   * multiplication, a float32 sum of k products and one more term is off by at most (k + 2) roundings of the terms' sizes.
   */
  check(operands: Operands, product: Product, form: Form, mode: Mode, layout: Layout, problems: Problems): void {
    const { k, n } = operands;
    const want = product.sums.slice();
    const bounds = product.sizes.slice();
    if (mode !== "write") {
      for (let i = 0; i < want.length; i++) {
        const extra = mode === "bias" ? operands.bias[i % n] : operands.c[i];
        want[i] += extra;
        bounds[i] += Math.abs(extra);
      }
    }
    for (let i = 0; i < bounds.length; i++) bounds[i] *= (k + 2) * ROUNDING;
    const limit = within(bounds);
    const results = this.run(operands, form, mode, layout, problems);
    const twin = results.get("js" satisfies Kernels["set"])!;
    for (const [name, got] of results) {
      const label = (): string => describeProduct(name, operands, form, mode, layout);
      problems.note(label, firstDifference(got, want, limit));
      if (got !== twin) problems.note(() => `${label()} against the twin`, firstDifference(got, twin, limit));
    }
  }

  /** The same operands give the same bits wherever they lie. */
  checkPlacement(operands: Operands, form: Form, layouts: Layout[], problems: Problems): void {
    const first = this.run(operands, form, "bias", PLAIN, problems);
    for (const layout of layouts) {
      for (const [name, got] of this.run(operands, form, "bias", layout, problems)) {
        const problem = firstDifference(got, first.get(name)!, bitExact);
        problems.note(() => describeProduct(name, operands, form, "bias", layout), problem);
      }
    }
  }
}

export function describeProduct(
  name: string,
  { m, n, k }: Operands,
  { transposeA, transposeB }: Form,
  mode: Mode,
  { shifts, gaps }: Layout,
): string {
  const form = `${transposeA ? "Aᵀ" : "A"}·${transposeB ? "Bᵀ" : "B"}`;
  return `${name} ${form} m=${m} n=${n} k=${k} ${mode} shifts=${shifts} gaps=${gaps}`;
}
