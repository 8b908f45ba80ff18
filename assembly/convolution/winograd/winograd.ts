// Winograd's F(2x2, 3x3) for kernels of 3x3 and stride 1 (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016): an
// output tile of 2x2 takes 16 products instead of 36.
//
//   y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A     for each patch d of 4x4, with the brackets summed over the channels
//
// For each of the 16 points (i, j) this is a product over channels, M[o, tile] = U[o, c] · V[c, tile]. dx is the same with dy and flipped
// kernels. dW adds up dU = (A dy Aᵀ) ⊙ (Bᵀ d B) over tiles and images and is Gᵀ dU G.
//
// Even and odd columns are parted once, so that neighbouring tiles are vectors without a shuffle. Rows of tiles are padded to a multiple of
// four. V and M are in panels of tiles, [point][panel][channel][8 or 16]; for dW they are rows,
// [point][channel][tile].

import * as window from "../../window";
import { wholePanels } from "../geometry";
import { gradientRowBytes, inputBytes, panelTiles, pointsBytes, tileCount } from "./layout";
import { transformImage, transformImageRows } from "./inputs";
import { addPoints, multiplyPoints } from "./products";
import { transformOutput } from "./outputs";
import { transformGradientRows } from "./gradients";

export function winogradWeightBytes(): u64 {
  return pointsBytes(window.outChannels, window.channels);
}

export function winogradGradientBytes(): u64 {
  return pointsBytes(wholePanels(window.outChannels), window.channels);
}

/** Scratch for `winogradImage` with k channels in and m out. */
export function winogradImageBytes(k: i32, m: i32, outHeight: i32, outWidth: i32): u64 {
  const tiles = panelTiles(outHeight, outWidth);
  return inputBytes(outHeight, outWidth) + pointsBytes(k, tiles) + pointsBytes(m, tiles);
}

/** target[m, outHeight, outWidth] (+ bias) from source[k, sourceHeight, sourceWidth], with the transformed weights u[m, k]. */
export function winogradImage(
  k: i32,
  m: i32,
  sourceHeight: i32,
  sourceWidth: i32,
  paddingHeight: i32,
  paddingWidth: i32,
  outHeight: i32,
  outWidth: i32,
  source: usize,
  u: usize,
  bias: usize,
  scratch: usize,
  target: usize,
): void {
  const v = scratch + <usize>inputBytes(outHeight, outWidth);
  const products = v + <usize>pointsBytes(k, panelTiles(outHeight, outWidth));
  transformImage(k, sourceHeight, sourceWidth, paddingHeight, paddingWidth, source, outHeight, outWidth, scratch, v);
  multiplyPoints(m, k, tileCount(outHeight, outWidth), u, v, products);
  transformOutput(m, outHeight, outWidth, products, bias, target);
}

/** Scratch for `addWinogradImage`. */
export function winogradRowBytes(): u64 {
  const tiles = tileCount(window.outHeight, window.outWidth);
  const transforms = max(
    inputBytes(window.outHeight, window.outWidth),
    gradientRowBytes(window.outHeight, window.outWidth),
  );
  return transforms + pointsBytes(window.channels, tiles) + pointsBytes(window.outChannels, tiles);
}

/** dU (+)= the products of one image. */
export function addWinogradImage(x: usize, dy: usize, scratch: usize, gradient: usize, accumulate: bool): void {
  const height = window.outHeight;
  const width = window.outWidth;
  const tiles = tileCount(height, width);
  const v = scratch + <usize>max(inputBytes(height, width), gradientRowBytes(height, width));
  const z = v + <usize>pointsBytes(window.channels, tiles);
  transformImageRows(
    window.channels,
    window.height,
    window.width,
    window.paddingHeight,
    window.paddingWidth,
    x,
    height,
    width,
    scratch,
    v,
  );
  transformGradientRows(window.outChannels, height, width, dy, scratch, z);
  addPoints(window.outChannels, window.channels, tiles, v, z, gradient, accumulate);
}
