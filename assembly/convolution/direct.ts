// The direct method, for every kernel, stride and padding: through the product's tiles, one image at a time. At most a panel or a block of
// the matrix of patches exists at a time.
//
//   forward  y[o, p]  = W[o, k] · patches[k, p] + bias      W's rows in place; patches packed just in time, by tiles and blocks of k
//   input    dx[c, p] = W'[c, k] · patches of dy[k, p]      W' = the kernel's taps of one phase, flipped; once for each phase of the stride
//   weight   dW[o, k] = Σ over images of dy[o, p] · patches[k, p]
//            as dWᵀ: rows of gathered patches are the splats, dy is transposed into panels of channels; dWᵀ's panels add up over
//            the images in the scratch and are transposed into dW at the end
//
// k counts (channel, kernel row, kernel column), p the outputs of a plane in row-major order.

import { edgeColumn } from "../gemm/edge";
import { nr } from "../gemm/mode";
import { packRows, unpackRows } from "../gemm/pack";
import { evenBlock, KC, MC, NR } from "../gemm/sizes";
import { tileColumn } from "../gemm/tile";
import { panel } from "../gemm/work";
import * as window from "../window";
import {
  BIAS_ROW,
  copyHeight,
  copyWidth,
  depth,
  dyHeight,
  dyWidth,
  firstColumn,
  firstRow,
  patchBlock,
  patchRow,
  phasesHeight,
  phasesWidth,
} from "./geometry";
import { gatherRows, packPatches, splitImage } from "./patches";

/** What all images share: the taps, and the bias as tiles add it. */
export function prepareForward(taps: usize, bias: usize, biasRows: usize): void {
  tapsOfImage(taps);
  if (bias) spreadBias(bias, biasRows);
}

/** y of one image; `biasRows` 0: no bias. */
export function forwardImage(x: usize, weight: usize, taps: usize, biasRows: usize, copy: usize, y: usize): void {
  splitInput(x, copy);
  correlate(window.outChannels, depth, weight, copy, copyWidth, window.outHeight, window.outWidth, taps, y, biasRows);
}

/** The padded copy of an image, from which its patches are read. */
function splitInput(x: usize, copy: usize): void {
  splitImage(
    window.channels,
    window.height,
    window.width,
    x,
    window.strideHeight,
    window.strideWidth,
    phasesHeight,
    phasesWidth,
    -window.paddingHeight,
    -window.paddingWidth,
    copyHeight,
    copyWidth,
    copy,
  );
}

/** Where each tap (c, u, v) of an output's patch lies in the copy: bytes from the position of the output itself. */
export function tapsOfImage(taps: usize): void {
  for (let c = 0; c < window.channels; c++) {
    for (let u = 0; u < window.kernelHeight; u++) {
      for (let v = 0; v < window.kernelWidth; v++) {
        const plane = (c * phasesHeight + (u % window.strideHeight)) * phasesWidth + (v % window.strideWidth);
        store<u32>(taps, ((plane * copyHeight + u / window.strideHeight) * copyWidth + v / window.strideWidth) << 2);
        taps += 4;
      }
    }
  }
}

/** Repeats each output channel's bias for every column of a tile: the addend of a tile. */
function spreadBias(bias: usize, rows: usize): void {
  for (let o = 0; o < window.outChannels; o++) {
    const value = v128.load32_splat(bias);
    for (let x: usize = 0; x < BIAS_ROW; x += 16) v128.store(rows + x, value);
    bias += 4;
    rows += BIAS_ROW;
  }
}

/**
 * c[m, height · width] = A[m, k] · patches[k, height · width] (+ biasRows) of one image: blocks of k, of m, then panels of outputs with a
 * column of tiles each, as in the product.
 */
function correlate(
  m: i32,
  k: i32,
  a: usize,
  source: usize,
  pitch: i32,
  height: i32,
  width: i32,
  taps: usize,
  c: usize,
  biasRows: usize,
): void {
  const outputs = height * width;
  // where rows follow each other without a gap they are one
  const row = width == pitch ? outputs : width;
  const plane = (<usize>outputs) << 2;
  const aRow = (<usize>k) << 2;
  const step = evenBlock(k, KC);
  for (let k0 = 0; k0 < k; k0 += step) {
    const kc = min(step, k - k0);
    const kx = (<usize>k0) << 2;
    for (let i0 = 0; i0 < m; i0 += MC) {
      const mc = min(MC, m - i0);
      const aBlock = a + <usize>i0 * aRow + kx;
      let tile = 0;
      for (let p = 0; p < outputs; p += tile) {
        tile = outputs - p >= nr ? nr : NR;
        const columns = min(tile, outputs - p);
        packPatches(columns, tile, kc, source, p, row, pitch, taps + kx);
        const pc = c + <usize>i0 * plane + ((<usize>p) << 2);
        const addend = k0 > 0 ? pc : biasRows ? biasRows + <usize>i0 * BIAS_ROW : 0;
        const addendRow = k0 > 0 ? plane : BIAS_ROW;
        if (columns < tile) edgeColumn(mc, columns, kc, aBlock, aRow, pc, plane, addend, addendRow);
        else tileColumn(tile, mc, kc, aBlock, aRow, panel, (<usize>tile) << 2, pc, plane, addend, addendRow);
      }
    }
  }
}

/** dx of one image; `flipped` are the weights as flipWeights leaves them. */
export function inputOfImage(dy: usize, flipped: usize, taps: usize, copy: usize, phase: usize, dx: usize): void {
  splitImage(
    window.outChannels,
    window.outHeight,
    window.outWidth,
    dy,
    1,
    1,
    1,
    1,
    firstRow,
    firstColumn,
    dyHeight,
    dyWidth,
    copy,
  );
  for (let i = 0; i < min(window.height, window.strideHeight); i++) {
    for (let j = 0; j < min(window.width, window.strideWidth); j++) {
      const r = (i + window.paddingHeight) % window.strideHeight;
      const s = (j + window.paddingWidth) % window.strideWidth;
      sendPhase(r, s, copy, flipped, taps, phase, dx);
      flipped += (<usize>(window.outChannels * window.channels * tapRows(r) * tapColumns(s))) << 2;
    }
  }
}

/**
 * dx of one image by its definition, for weights that are not finite: times the zeros around dy's copy they would make NaN of elements that
 * they do not reach.
 */
export function spreadImage(dy: usize, weight: usize, dx: usize): void {
  memory.fill(dx, 0, (<usize>(window.channels * window.height * window.width)) << 2);
  for (let o = 0; o < window.outChannels; o++) {
    for (let i = 0; i < window.outHeight; i++) {
      for (let j = 0; j < window.outWidth; j++) {
        spreadOutput(
          load<f32>(dy),
          o,
          i * window.strideHeight - window.paddingHeight,
          j * window.strideWidth - window.paddingWidth,
          weight,
          dx,
        );
        dy += 4;
      }
    }
  }
}

/** Adds one output's gradient to dx over the patch that begins at (top, left). */
function spreadOutput(value: f32, o: i32, top: i32, left: i32, weight: usize, dx: usize): void {
  let w = weight + ((<usize>(o * depth)) << 2);
  for (let c = 0; c < window.channels; c++) {
    for (let y = top; y < top + window.kernelHeight; y++) {
      for (let x = left; x < left + window.kernelWidth; x++) {
        if (y >= 0 && y < window.height && x >= 0 && x < window.width) {
          const at = dx + ((<usize>((c * window.height + y) * window.width + x)) << 2);
          store<f32>(at, load<f32>(at) + value * load<f32>(w));
        }
        w += 4;
      }
    }
  }
}

/** How many of the kernel's rows, and columns, belong to a phase. */
@inline
function tapRows(r: i32): i32 {
  return r < window.kernelHeight ? (window.kernelHeight - 1 - r) / window.strideHeight + 1 : 0;
}


@inline
function tapColumns(s: i32): i32 {
  return s < window.kernelWidth ? (window.kernelWidth - 1 - s) / window.strideWidth + 1 : 0;
}

/** For each phase that x has W'[c][o, j, i] = W[o][c][r + j · strideHeight][s + i · strideWidth]. */
export function flipWeights(weight: usize, target: usize): void {
  for (let i = 0; i < min(window.height, window.strideHeight); i++) {
    for (let j = 0; j < min(window.width, window.strideWidth); j++) {
      const r = (i + window.paddingHeight) % window.strideHeight;
      const s = (j + window.paddingWidth) % window.strideWidth;
      const rows = tapRows(r);
      const columns = tapColumns(s);
      const row = (<usize>(window.outChannels * rows * columns)) << 2;
      for (let o = 0; o < window.outChannels; o++) {
        for (let c = 0; c < window.channels; c++) {
          const from = weight + ((<usize>((o * window.channels + c) * window.kernelHeight * window.kernelWidth)) << 2);
          let to = target + <usize>c * row + ((<usize>(o * rows * columns)) << 2);
          for (let u = r; u < window.kernelHeight; u += window.strideHeight) {
            for (let v = s; v < window.kernelWidth; v += window.strideWidth) {
              store<f32>(to, load<f32>(from + ((<usize>(u * window.kernelWidth + v)) << 2)));
              to += 4;
            }
          }
        }
      }
      target += <usize>window.channels * row;
    }
  }
}

/** The elements of dx whose padded coordinates have the phases r and s: a convolution of dy with the taps of these phases. */
function sendPhase(r: i32, s: i32, copy: usize, weights: usize, taps: usize, phase: usize, dx: usize): void {
  const firstY =
    r >= window.paddingHeight ? 0 : (window.paddingHeight - r + window.strideHeight - 1) / window.strideHeight;
  const firstX = s >= window.paddingWidth ? 0 : (window.paddingWidth - s + window.strideWidth - 1) / window.strideWidth;
  const rows = gridSize(r, window.paddingHeight + window.height, window.strideHeight) - firstY;
  const columns = gridSize(s, window.paddingWidth + window.width, window.strideWidth) - firstX;
  if (rows <= 0 || columns <= 0) return;
  const isWhole = window.strideHeight * window.strideWidth == 1;
  const target = isWhole ? dx : phase;
  const k = window.outChannels * tapRows(r) * tapColumns(s);
  if (k > 0) {
    tapsOfGradient(r, s, taps);
    const source = copy + ((<usize>((firstY - firstRow) * dyWidth + firstX - firstColumn)) << 2);
    correlate(window.channels, k, weights, source, dyWidth, rows, columns, taps, target, 0);
  } else {
    memory.fill(target, 0, (<usize>(window.channels * rows * columns)) << 2);
  }
  if (isWhole) return;
  const y = firstY * window.strideHeight + r - window.paddingHeight;
  const x = firstX * window.strideWidth + s - window.paddingWidth;
  spreadPhase(rows, columns, phase, dx + ((<usize>(y * window.width + x)) << 2));
}

/** How many numbers q there are with q · stride + r < end. */
@inline
function gridSize(r: i32, end: i32, stride: i32): i32 {
  return r < end ? (end - 1 - r) / stride + 1 : 0;
}

/** Where each tap (o, j, i) lies in dy's copy: j rows up and i columns to the left. */
function tapsOfGradient(r: i32, s: i32, taps: usize): void {
  const rows = tapRows(r);
  const columns = tapColumns(s);
  for (let o = 0; o < window.outChannels; o++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++) {
        store<i32>(taps, ((o * dyHeight - j) * dyWidth - i) << 2);
        taps += 4;
      }
    }
  }
}

/** Puts a phase's planes [channels, rows, columns] in their places, a stride apart. */
function spreadPhase(rows: i32, columns: i32, phase: usize, dx: usize): void {
  const step = (<usize>window.strideWidth) << 2;
  for (let c = 0; c < window.channels; c++) {
    for (let y = 0; y < rows; y++) {
      let to = dx + ((<usize>((c * window.height + y * window.strideHeight) * window.width)) << 2);
      for (let x = 0; x < columns; x++) {
        store<f32>(to, load<f32>(phase));
        phase += 4;
        to += step;
      }
    }
  }
}

/** dWᵀ (+)= the products of one image. */
export function addImage(
  x: usize,
  dy: usize,
  taps: usize,
  copy: usize,
  patches: usize,
  gradient: usize,
  accumulate: bool,
): void {
  const outputs = window.outHeight * window.outWidth;
  splitInput(x, copy);
  for (let p = 0; p < outputs; p += patchBlock) {
    addPatches(min(patchBlock, outputs - p), p, copy, taps, dy, patches, gradient, accumulate || p > 0);
  }
}

/** dW (+)= (dWᵀ)ᵀ */
export function unpackGradient(gradient: usize, dweight: usize, accumulate: bool): void {
  const row = (<usize>depth) << 2;
  let tile = 0;
  for (let o = 0; o < window.outChannels; o += tile) {
    tile = window.outChannels - o > NR ? nr : NR;
    const offset = <usize>o * row;
    const count = min(tile, window.outChannels - o);
    unpackRows(count, depth, gradient + offset, (<usize>tile) << 2, dweight + offset, row, 0, accumulate);
  }
}

/** dWᵀ (+)= patches[k, count] · dy[o, count]ᵀ over `count` outputs from the p-th on. */
function addPatches(
  count: i32,
  p: i32,
  copy: usize,
  taps: usize,
  dy: usize,
  patches: usize,
  gradient: usize,
  accumulate: bool,
): void {
  const outputs = window.outHeight * window.outWidth;
  const row = window.outWidth == copyWidth ? outputs : window.outWidth;
  const plane = (<usize>outputs) << 2;
  gatherRows(count, depth, copy, p, row, copyWidth, taps, patches, patchRow);
  dy += (<usize>p) << 2;
  let tile = 0;
  for (let o = 0; o < window.outChannels; o += tile) {
    tile = window.outChannels - o > NR ? nr : NR;
    const step = (<usize>tile) << 2;
    packRows(min(tile, window.outChannels - o), tile, count, dy, plane, panel);
    tileColumn(tile, depth, count, patches, patchRow, panel, step, gradient, step, accumulate ? gradient : 0, step);
    dy += plane * <usize>tile;
    gradient += <usize>depth * step;
  }
}
