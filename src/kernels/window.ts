import type { Heap } from "../memory.js";

/**
 * The sizes of a convolution or a pool: what `window` points to, ten int32 in this order. A pool's outChannels is its channels.
 */
export type WindowSizes = readonly [
  channels: number,
  height: number,
  width: number,
  outChannels: number,
  kernelHeight: number,
  kernelWidth: number,
  strideHeight: number,
  strideWidth: number,
  paddingHeight: number,
  paddingWidth: number,
];

/** Below the modules' static data, which begins at 1024 (asconfig.json), and off the address that means "none". */
const WINDOW = 64;

/** Puts sizes where kernel calls may read them until the next are put there; returns the address. */
export function setWindow({ i32 }: Heap, sizes: WindowSizes): number {
  i32.set(sizes, WINDOW / 4);
  return WINDOW;
}
