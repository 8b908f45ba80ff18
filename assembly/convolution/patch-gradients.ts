// dx for few channels. Directly, its product would have a row for each channel, and the patches of dy would be packed for these few rows.
// Here the product has a row for each number of a patch:
//
//   G[k, p] = W[o, k]ᵀ · dy[o, p]      the gradients of the patches, which are then added up where they overlap
//
// for some rows of outputs at a time.

import { gemm } from "../gemm/gemm";
import { PATCH_GRADIENT_FLOATS, PATCH_GRADIENTS_BELOW_CHANNELS } from "../gemm/sizes";
import { storePair } from "../lanes";
import * as window from "../window";
import { depth, piece } from "./geometry";

/** Whether dx is computed like this, where Winograd's method does not do it. */
@inline
export function hasFewChannels(): bool {
  return window.channels < PATCH_GRADIENTS_BELOW_CHANNELS;
}

/** Rows of outputs at a time. */
@inline
function blockRows(): i32 {
  const fit = <i64>PATCH_GRADIENT_FLOATS / max(1, <i64>depth * window.outWidth);
  return min(window.outHeight, max(1, <i32>fit));
}

export function patchGradientBytes(): u64 {
  return piece(<u64>depth * blockRows() * window.outWidth);
}

/** dx of one image. */
export function inputFromPatches(dy: usize, weight: usize, gradients: usize, dx: usize): void {
  const outputs = window.outHeight * window.outWidth;
  const most = blockRows();
  memory.fill(dx, 0, (<usize>(window.channels * window.height * window.width)) << 2);
  for (let y = 0; y < window.outHeight; y += most) {
    const rows = min(most, window.outHeight - y);
    const count = rows * window.outWidth;
    const block = dy + ((<usize>(y * window.outWidth)) << 2);
    gemm(true, false, depth, count, window.outChannels, weight, depth, block, outputs, gradients, count, 0, false);
    addPatches(y, rows, gradients, dx);
  }
}

/** Adds up the gradients of the patches of `rows` rows of outputs from the first on. */
function addPatches(first: i32, rows: i32, gradients: usize, dx: usize): void {
  const row = (<usize>window.width) << 2;
  for (let c = 0; c < window.channels; c++) {
    for (let u = 0; u < window.kernelHeight; u++) {
      for (let v = 0; v < window.kernelWidth; v++) {
        // outputs from `left` to `right` read this column of the kernel inside the plane
        const left = outputFrom(window.paddingWidth - v);
        const right = min(window.outWidth, outputFrom(window.width + window.paddingWidth - v));
        const x = left * window.strideWidth + v - window.paddingWidth;
        let from = gradients + ((<usize>left) << 2);
        for (let y = first; y < first + rows; y++) {
          const target = y * window.strideHeight + u - window.paddingHeight;
          if (target >= 0 && target < window.height) {
            addRow(right - left, from, dx + <usize>target * row + ((<usize>x) << 2));
          }
          from += (<usize>window.outWidth) << 2;
        }
        gradients += (<usize>(rows * window.outWidth)) << 2;
      }
    }
    dx += <usize>window.height * row;
  }
}

/** The first output in a row whose patch begins at column x or later. */
@inline
function outputFrom(x: i32): i32 {
  return x > 0 ? (x + window.strideWidth - 1) / window.strideWidth : 0;
}

/** Adds numbers to those of a row that are a stride apart. */
@inline
function addRow(count: i32, source: usize, target: usize): void {
  if (window.strideWidth == 1) addNeighbours(count, source, target);
  else if (window.strideWidth == 2) addEverySecond(count, source, target);
  else addApart(count, source, target, (<usize>window.strideWidth) << 2);
}

function addNeighbours(count: i32, source: usize, target: usize): void {
  for (; count >= 8; count -= 8) {
    const a = f32x4.add(v128.load(target), v128.load(source));
    const b = f32x4.add(v128.load(target, 16), v128.load(source, 16));
    storePair(target, a, b);
    source += 32;
    target += 32;
  }
  if (count >= 4) {
    v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
    source += 16;
    target += 16;
    count -= 4;
  }
  addApart(count, source, target, 4);
}

/** Four with zeros between them and after the last, which another one must follow in the row. */
function addEverySecond(count: i32, source: usize, target: usize): void {
  const zero = f32x4.splat(0);
  for (; count > 4; count -= 4) {
    const a = v128.load(source);
    v128.store(target, f32x4.add(v128.load(target), v128.shuffle<f32>(a, zero, 0, 4, 1, 5)));
    v128.store(target, f32x4.add(v128.load(target, 16), v128.shuffle<f32>(a, zero, 2, 6, 3, 7)), 16);
    source += 16;
    target += 32;
  }
  addApart(count, source, target, 8);
}

function addApart(count: i32, source: usize, target: usize, step: usize): void {
  for (; count > 0; count--) {
    store<f32>(target, load<f32>(target) + load<f32>(source));
    source += 4;
    target += step;
  }
}
