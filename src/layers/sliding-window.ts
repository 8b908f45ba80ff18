import { isArray, reading, show, showShape, type Text } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { setWindow } from "../kernels/window.js";

/** One number for both directions, or [height, width]. */
export type Size2d = number | readonly [height: number, width: number];

/** A window that slides over planes: [height, width] each. */
export interface SlidingWindow {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
}

/** Kernels count in 32 bits: sizes up to here cannot run over. */
const LARGEST = 2 ** 29 - 1;

/** [height, width] of an option, integers from `least` on. Throws ArgumentError. */
export function checkSize2d(value: unknown, least: 0 | 1, what: string): readonly [number, number] {
  const pair = isArray(value) ? reading(what, () => copyOfPair(value)) : [value, value];
  const isSize = (size: unknown): size is number => Number.isInteger(size) && (size as number) >= least;
  if (pair.length !== 2 || !pair.every(isSize)) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected an integer >= ${least} or [height, width] of such`);
  }
  if (Math.max(...pair) > LARGEST) throw new ArgumentError(`${what}: got ${show(value)}, expected at most ${LARGEST}`);
  return [pair[0], pair[1]];
}

/** Of anything longer only enough to show that it is longer. */
const copyOfPair = (values: readonly unknown[]): unknown[] =>
  Array.from({ length: Math.min(values.length, 3) }, (_, i) => values[i]);

/** One image [C, H, W], without an axis N. */
export const isImage = (shape: readonly number[]): boolean => shape.length === 3;

/**
 * The shape after a window: [N, C, H, W] (or one image [C, H, W]) with `outChannels` in place of C. `channels` undefined: any.
 * Throws a ShapeError for another rank or number of channels, and for a kernel larger than the padded plane.
 */
export function shapeAfterWindow(
  shape: readonly number[],
  channels: number | undefined,
  outChannels: number | undefined,
  { kernel, stride, padding }: SlidingWindow,
  what: Text,
): readonly number[] {
  const axis = shape.length - 3;
  if (axis < 0 || axis > 1 || (channels !== undefined && shape[axis] !== channels)) {
    const image = [channels ?? "C", "H", "W"];
    throw new ShapeError(
      `${what} got ${showShape(shape)}, expected ${showShape(["N", ...image])} or ${showShape(image)}`,
    );
  }
  const plane = shape.slice(-2);
  if (plane.includes(0)) throw new ShapeError(`${what} got ${showShape(shape)}, expected planes that are not empty`);
  if (Math.max(...plane) > LARGEST) {
    throw new ShapeError(`${what} got ${showShape(shape)}, expected planes of at most ${LARGEST} in either direction`);
  }
  const after = plane.map((size, i) => Math.floor((size + 2 * padding[i] - kernel[i]) / stride[i]) + 1);
  if (plane.some((size, i) => size + 2 * padding[i] < kernel[i])) {
    const padded = plane.map((size, i) => size + 2 * padding[i]);
    throw new ShapeError(
      `${what} got ${showShape(shape)}, expected planes of at least the kernel's ${showShape(kernel)}, with padding they are ${showShape(padded)}`,
    );
  }
  return [...shape.slice(0, axis), outChannels ?? shape[axis], ...after];
}

/** The address of the sizes of a window over images of this shape, for the next kernel call. */
export function placeWindow(
  engine: Engine,
  shape: readonly number[],
  outChannels: number,
  { kernel, stride, padding }: SlidingWindow,
): number {
  const [channels, height, width] = shape.slice(-3);
  return setWindow(engine.linear, [channels, height, width, outChannels, ...kernel, ...stride, ...padding]);
}

export const imagesIn = (shape: readonly number[]): number => (isImage(shape) ? 1 : shape[0]);

/** How a window's options read in a description: "3", "[3, 2], stride 2". */
export function describeWindow({ kernel, stride, padding }: SlidingWindow, usualStride: readonly number[]): string {
  const text = ([h, w]: readonly number[]): string => (h === w ? String(h) : showShape([h, w]));
  const isUsual = stride[0] === usualStride[0] && stride[1] === usualStride[1];
  return [
    text(kernel),
    ...(isUsual ? [] : [`stride ${text(stride)}`]),
    ...(padding[0] + padding[1] === 0 ? [] : [`padding ${text(padding)}`]),
  ].join(", ");
}
