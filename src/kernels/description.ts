import type { AllKernels } from "./generated/kernels.js";
import type { Layout } from "./table/vocabulary.js";
import type { WindowSizes } from "./window.js";

/**
 * What a program knows of a kernel: enough to call it on operands of any size. scripts/kernels.mjs writes it from the table; it is short
 * because it is part of every bundle. First the layout (see table/vocabulary.ts), behind a "/" if a call may be cut for several threads: the
 * sizes along which it is, or "-" where the kernel computes shares itself. Then one word for each argument, in order:
 *
 *     s     size, or a flag that decides on a shape    f     flag
 *     w     window                                     k     a convolution's scratch
 *     v0,1  number, one of these if there are any      i8    integer in 0 .. 7
 *     x     operand: its shape as factors, then "?" where it is optional, "&8" where it is there with argument 8, "=4" where it may be
 *           the same buffer as argument 4, "<1" where it is int32 in 0 .. argument 1 - 1
 *
 * A factor is the position of an argument in base 36, "*2" the number 2 (one digit), "!042" argument 4 where flag 0 is set, else argument
 * 2, and a capital what the window leads to.
 */
export type Description = string;

/** A kernel by its name. */
export type KernelName = keyof AllKernels;

/** Sizes of a call, in the order of its arguments; a window is its ten sizes. */
export type Sizes = readonly (number | boolean)[];

/** What a call is given beside its sizes. */
export interface Operands {
  /** The address of as many floats, whatever they hold. */
  floats(length: number): number;
  /** The address of int32 in 0 .. below - 1. */
  integers(length: number, below: number): number;
  /** The address of a window's sizes. */
  window(sizes: WindowSizes): number;
  /** The address of the scratch for a convolution with this window. */
  work(window: number): number;
  /** A number: one of `among` unless that is empty. */
  scalar(among: readonly number[]): number;
  /** An integer in 0 .. below - 1. */
  integer(below: number): number;
  flag(): boolean;
  /** Whether an optional operand is there. */
  isThere(): boolean;
  /** Whether an operand that may be the same buffer as another one is. */
  isSame(): boolean;
}

export const WINDOW_SIZES = 10;
/** What may follow a shape. */
const SUFFIXES = "?&=<";

export const layoutOf = (description: Description): Layout => description.split(/[ /]/, 1)[0] as Layout;

/** Whether it reads or writes operands; else it answers a question about sizes. */
export const hasOperands = (description: Description): boolean => description.includes(" x");

/** Which of the arguments are addresses. */
export const addressesOf = (description: Description): boolean[] =>
  description
    .split(" ")
    .slice(1)
    .map((word) => "xwk".includes(word[0]));

export const hasOptional = (description: Description): boolean => description.includes("?");

/** The arguments of a call. */
export function argumentsOf(description: Description, sizes: Sizes, operands: Operands): (number | boolean)[] {
  const words = description.split(" ").slice(1);
  const given = [...sizes];
  let window = 0;
  let ofWindow: Readonly<Record<string, number>> = {};
  // sizes first: a shape may depend on one that comes after it
  const call = words.map((word) => {
    if (word === "s") return given.shift()!;
    if (word !== "w") return 0;
    const windowSizes = given.splice(0, WINDOW_SIZES) as unknown as WindowSizes;
    ofWindow = windowFactors(windowSizes);
    window = operands.window(windowSizes);
    return window;
  });
  const argument = (position: string): number => Number(call[Number.parseInt(position, 36)]);
  const operand = (word: string): number => {
    let at = 1;
    const next = (): string => word[at++];
    const nextIs = (mark: string): boolean => word[at] === mark && next() === mark;
    const factor = (): number => {
      const first = next();
      if (first === "*") return Number(next());
      if (first !== "!") return ofWindow[first] ?? argument(first);
      const [flag, then, otherwise] = [next(), next(), next()];
      return argument(argument(flag) ? then : otherwise);
    };
    let length = 1;
    while (at < word.length && !SUFFIXES.includes(word[at])) length *= factor();
    if (nextIs("?") && !operands.isThere()) return 0;
    if (nextIs("&") && argument(next()) === 0) return 0;
    if (nextIs("=")) {
      const other = argument(next());
      if (operands.isSame()) return other;
    }
    return nextIs("<") ? operands.integers(length, factor()) : operands.floats(length);
  };
  const value = (word: string): number | boolean => {
    const rest = word.slice(1);
    switch (word[0]) {
      case "x":
        return operand(word);
      case "k":
        return operands.work(window);
      case "v":
        return operands.scalar(rest === "" ? [] : rest.split(",").map(Number));
      case "i":
        return operands.integer(Number(rest));
      default:
        return operands.flag();
    }
  };
  for (const [i, word] of words.entries()) if (word !== "s" && word !== "w") call[i] = value(word);
  return call;
}

type AnyKernel = (...args: readonly (number | boolean)[]) => number | undefined;

/** Calls a kernel of any name. */
export const callKernel = (
  kernels: Readonly<AllKernels>,
  name: KernelName,
  args: readonly (number | boolean)[],
): number | undefined => (kernels as unknown as Record<KernelName, AnyKernel>)[name](...args);

/** What the capitals of a shape mean: the elements of one image in and out, of the weights, the channels out, the elements of a plane. */
export function windowFactors([channels, height, width, outChannels, ...ofKernel]: WindowSizes): Record<
  string,
  number
> {
  const [kernelHeight, kernelWidth, strideHeight, strideWidth, paddingHeight, paddingWidth] = ofKernel;
  const outHeight = Math.floor((height + 2 * paddingHeight - kernelHeight) / strideHeight) + 1;
  const outWidth = Math.floor((width + 2 * paddingWidth - kernelWidth) / strideWidth) + 1;
  return {
    I: channels * height * width,
    O: outChannels * outHeight * outWidth,
    W: outChannels * channels * kernelHeight * kernelWidth,
    C: outChannels,
    P: height * width,
  };
}
