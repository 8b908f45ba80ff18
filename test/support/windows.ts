import type { Random } from "./random.js";

/** How a convolution's kernel or a pool's window moves along one side of a plane. */
export interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

export interface Plane {
  readonly vertical: Axis;
  readonly horizontal: Axis;
}

export const outputsAlong = ({ size, kernel, stride, padding }: Axis): number =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

export const inputsOf = ({ vertical, horizontal }: Plane): number => vertical.size * horizontal.size;
export const outputsOf = ({ vertical, horizontal }: Plane): number => outputsAlong(vertical) * outputsAlong(horizontal);

/** Every combination in which the kernel fits at least once. */
export function axes(
  sizes: readonly number[],
  kernels: readonly number[],
  strides: readonly number[],
  paddingsOf: (kernel: number) => readonly number[],
): Axis[] {
  return sizes
    .flatMap((size) => kernels.map((kernel) => ({ size, kernel })))
    .flatMap((axis) => strides.map((stride) => ({ ...axis, stride })))
    .flatMap((axis) => paddingsOf(axis.kernel).map((padding) => ({ ...axis, padding })))
    .filter((axis) => axis.size + 2 * axis.padding >= axis.kernel);
}

/** Each axis once as the vertical and once as the horizontal one. */
export function planes(random: Random, axes: readonly Axis[]): Plane[] {
  const others = random.shuffled(axes);
  return axes.map((vertical, i) => ({ vertical, horizontal: others[i] }));
}

/** Kernel, stride and padding as the kernels take them. */
export const windowArguments = ({ vertical, horizontal }: Plane) =>
  [
    vertical.kernel,
    horizontal.kernel,
    vertical.stride,
    horizontal.stride,
    vertical.padding,
    horizontal.padding,
  ] as const;

export function describePlane({ vertical, horizontal }: Plane): string {
  const pair = (key: keyof Axis): string => `${vertical[key]}x${horizontal[key]}`;
  return `${pair("size")} kernel ${pair("kernel")} stride ${pair("stride")} padding ${pair("padding")}`;
}
