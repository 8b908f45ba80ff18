/**
 * The words in which kernels are described. The build (scripts/kernels.mjs) and tests read the table; programs contain only what is
 * generated from it, in ../generated/.
 */

/** One of two factors, by a flag. */
export interface Either {
  readonly flag: string;
  readonly then: string;
  readonly otherwise: string;
}

/** A size argument by its name, a number, one of two sizes, or what a window leads to: the elements of one image in or out, ... */
export type Factor = string | number | Either;

/** From the slowest axis to that of neighbours; an operand has as many elements as their product. */
export type Shape = readonly Factor[];

/**
 * Which sizes a kernel has, from which self-test and warm-up choose them:
 * - "elements": n
 * - "channels": rows, channels, inner
 * - "statistics": likewise, at least two values a channel
 * - "classes": rows, classes
 * - "product": both transposes, m, n, k, and leading dimensions
 * - "convolution", "pool": images and a window
 */
export type Layout = "elements" | "channels" | "statistics" | "classes" | "product" | "convolution" | "pool";

/** The address of numbers. */
export interface Operand {
  readonly role: "input" | "output" | "updated";
  readonly shape: Shape;
  /** int32 below this factor instead of float32. */
  readonly below?: Factor;
  /** May be 0: none. */
  readonly optional?: boolean;
  /** Given where this optional operand is given, and else 0. */
  readonly with?: string;
  /** May be the very same buffer as this other operand. */
  readonly mayBe?: string;
  /** The flag that has the result added to what is there. */
  readonly accumulate?: string;
}

export type Argument =
  | Operand
  /** An integer >= 0. */
  | { readonly role: "size" }
  | { readonly role: "flag" }
  /** A number, float32 for the modules; `among` are the values that make sense. */
  | { readonly role: "scalar"; readonly among?: readonly number[] }
  /** An integer in 0 .. below - 1. */
  | { readonly role: "integer"; readonly below: number }
  /** The address of a window's sizes (../window.ts). */
  | { readonly role: "window" }
  /** The address of a convolution's scratch. */
  | { readonly role: "work" };

export interface KernelDescription {
  readonly layout: Layout;
  /** What it computes: the documentation in the `Kernels` interface, to which the build adds what the roles of the arguments imply. */
  readonly formula: string;
  /** By name, in the order of the call. */
  readonly arguments: Readonly<Record<string, Argument>>;
  /** Whether it returns a number. */
  readonly returns?: "number";
  /**
   * Size arguments along which a call may be cut in two, for several threads: each part gets a part of the size, and operands with that
   * factor start further on in the second. That takes factors of 1 before it in every such operand. Never an axis that is summed over.
   */
  readonly split?: readonly string[];
  /** Whether the kernel itself computes a share of its result (../../../assembly/thread.ts): for what cannot be cut from outside. */
  readonly shares?: boolean;
  /** Whether the twin also takes floats as bits. */
  readonly bits?: boolean;
}

/** The kernels of one file, by name. */
export type KernelFile = Readonly<Record<string, KernelDescription>>;

type Options<Name extends keyof Operand> = Pick<Operand, Name>;

export const size = { role: "size" } as const satisfies Argument;
export const flag = { role: "flag" } as const satisfies Argument;
export const scalar = { role: "scalar" } as const satisfies Argument;
export const window = { role: "window" } as const satisfies Argument;
export const work = { role: "work" } as const satisfies Argument;
/** Half of a random generator's key. */
export const key = { role: "integer", below: 2 ** 31 } as const satisfies Argument;

export const oneOf = (...among: number[]): Argument => ({ role: "scalar", among });
export const integer = (below: number): Argument => ({ role: "integer", below });

export const either = (flag: string, then: string, otherwise: string): Either => ({ flag, then, otherwise });

/** Read. */
export const input = (shape: Shape, options: Options<"mayBe"> = {}): Operand => ({ role: "input", shape, ...options });

/** Written; read only where a flag has it `accumulate`. */
export const output = (shape: Shape, options: Options<"mayBe" | "optional" | "with" | "accumulate"> = {}): Operand => ({
  role: "output",
  shape,
  ...options,
});

/** Read and written. */
export const updated = (shape: Shape, options: Options<"mayBe" | "optional" | "with"> = {}): Operand => ({
  role: "updated",
  shape,
  ...options,
});

/** int32 in 0 .. below - 1; read. */
export const integers = (shape: Shape, below: Factor): Operand => ({ role: "input", shape, below });

/** int32 in 0 .. below - 1; written. */
export const places = (shape: Shape, below: Factor, options: Options<"optional">): Operand => ({
  role: "output",
  shape,
  below,
  ...options,
});

/** An optional row that is added. */
export const bias = (shape: Shape): Operand => ({ role: "input", shape, optional: true });

/** x[n] */
export const row: Shape = ["n"];
/** x[rows, channels, inner] */
export const volume: Shape = ["rows", "channels", "inner"];
/** One number for each channel. */
export const perChannel: Shape = ["channels"];

export const volumeSizes = { rows: size, channels: size, inner: size } as const;
