// The derived sizes of a convolution, and the layout of its scratch. One convolution at a time: `readGeometry` comes first.
//
// An image is read from a padded copy that is split by the stride's phases:
//   copy[c][r][s][y][x] = image[c][y · strideHeight + r - paddingHeight][x · strideWidth + s - paddingWidth], 0 outside
// so that the outputs of a row read neighbouring floats whatever the stride, and a tap of the kernel is one offset into the copy.
//
// The messages back to x are convolutions as well, of dy, one for each phase of x's padded coordinate: with P = y + paddingHeight =
// q · strideHeight + r, dx at P sums dy[q - j] · weight[r + j · strideHeight] over the kernel's rows of that phase. dy's copy has the
// rows firstRow .. firstRow + dyHeight - 1 of dy, zeros where there are none.

import { evenBlock, LEAST_PATCHES, MOST_PATCHES, PATCH_FLOATS, WIDE_NR } from "../gemm/sizes";
import * as window from "../window";

/** Products of one output: channels · kernelHeight · kernelWidth. */
export let depth: i32 = 0;
/** Phases of the stride that the kernel touches, and the planes of x's copy. */
export let phasesHeight: i32 = 0;
export let phasesWidth: i32 = 0;
export let copyHeight: i32 = 0;
export let copyWidth: i32 = 0;
/** The part of dy's padded plane that dx needs. */
export let firstRow: i32 = 0;
export let firstColumn: i32 = 0;
export let dyHeight: i32 = 0;
export let dyWidth: i32 = 0;
/** Outputs whose patches are gathered at a time for the weights' gradient, and the bytes between the gathered rows. */
export let patchBlock: i32 = 0;
export let patchRow: usize = 0;

/** Vector loads may run this far past the end of a copy, and vector stores past the end of gathered rows. */
export const SLACK: usize = 64;

/** ceil(a / b) for b > 0. */
@inline
function ceilDivide(a: i32, b: i32): i32 {
  return a > 0 ? (a + b - 1) / b : -(-a / b);
}

/** Reads the sizes and derives the rest. */
export function readGeometry(sizes: usize): void {
  window.readSizes(sizes);
  depth = window.channels * window.kernelHeight * window.kernelWidth;
  phasesHeight = min(window.strideHeight, window.kernelHeight);
  phasesWidth = min(window.strideWidth, window.kernelWidth);
  copyHeight = window.outHeight + (window.kernelHeight - 1) / window.strideHeight;
  copyWidth = window.outWidth + (window.kernelWidth - 1) / window.strideWidth;
  firstRow = ceilDivide(window.paddingHeight - window.kernelHeight + 1, window.strideHeight);
  firstColumn = ceilDivide(window.paddingWidth - window.kernelWidth + 1, window.strideWidth);
  dyHeight = (window.paddingHeight + window.height - 1) / window.strideHeight - firstRow + 1;
  dyWidth = (window.paddingWidth + window.width - 1) / window.strideWidth - firstColumn + 1;
  patchBlock = evenBlock(
    window.outHeight * window.outWidth,
    max(LEAST_PATCHES, min(MOST_PATCHES, PATCH_FLOATS / max(depth, 1))),
  );
  patchRow = ((<usize>patchBlock) << 2) + SLACK;
}

// The pieces of the scratch, in bytes. Each starts at a multiple of 64, and off a power of two from the one before. In 64 bits, since a
// caller may ask about sizes that do not fit the memory.

@inline
export function piece(floats: u64): u64 {
  return (((floats << 2) + 63) & ~63) + SLACK;
}

/** The offsets of the taps, for either direction. */
export function tapBytes(): u64 {
  return piece(<u64>max(window.channels, window.outChannels) * window.kernelHeight * window.kernelWidth);
}

export function copyBytes(): u64 {
  return piece(<u64>window.channels * phasesHeight * phasesWidth * copyHeight * copyWidth);
}

/** Bytes of a row with an output channel's bias in each column of a tile. */
export const BIAS_ROW: usize = (<usize>WIDE_NR) << 2;

export function biasBytes(): u64 {
  return piece(<u64>window.outChannels * WIDE_NR);
}

export function dyCopyBytes(): u64 {
  return piece(<u64>window.outChannels * dyHeight * dyWidth);
}

export function weightBytes(): u64 {
  return piece(<u64>window.outChannels * depth);
}

/** dx of one phase, before it is spread: at most every element of an image. */
export function phaseBytes(): u64 {
  return window.strideHeight * window.strideWidth == 1 ? 0 : piece(<u64>window.channels * window.height * window.width);
}

export function patchBytes(): u64 {
  return piece((<u64>depth * patchRow) >> 2);
}

/** The weights' gradient in panels of output channels. */
export function gradientBytes(): u64 {
  return piece(<u64>wholePanels(window.outChannels) * depth);
}

/** Rounded up to whole panels of any width: scratch serves whichever tiles come into effect. */
@inline
export function wholePanels(columns: i32): i32 {
  return (columns + WIDE_NR - 1) & -WIDE_NR;
}
