// When Winograd's way is taken.

import { WINOGRAD_FROM_CHANNELS, WINOGRAD_PERCENT } from "../../gemm/sizes";
import {
  channels,
  height,
  kernelHeight,
  kernelWidth,
  outChannels,
  outHeight,
  outWidth,
  paddingHeight,
  paddingWidth,
  strideHeight,
  strideWidth,
  width,
} from "../../window";
import { tileCount } from "./layout";

/** Whether the way is open, and pays: padded tiles must leave enough of the 36 / 16, and the products enough to transform for. */
export function isWinograd(): bool {
  const fits = kernelHeight == 3 && kernelWidth == 3 && strideHeight == 1 && strideWidth == 1;
  if (!fits || paddingHeight > 2 || paddingWidth > 2) return false;
  if (min(channels, outChannels) < WINOGRAD_FROM_CHANNELS) return false;
  return pays(outHeight, outWidth) && pays(height, width);
}

function pays(rows: i32, columns: i32): bool {
  return <i64>1600 * ((tileCount(rows, columns) + 7) & ~7) <= <i64>WINOGRAD_PERCENT * 9 * rows * columns;
}

/** Numbers up to here cannot run over in sums of transformed products. */
export const TAME: f32 = 1e15;

/** Whether every number of a tensor is one and at most `most` in size. */
export function staysBelow(most: f32, n: i32, x: usize): bool {
  const end = x + ((<usize>n) << 2);
  const limit = f32x4.splat(most);
  let inside = i32x4.splat(-1);
  for (; x + 32 <= end; x += 32) {
    inside = v128.and(inside, f32x4.le(f32x4.abs(v128.load(x)), limit));
    inside = v128.and(inside, f32x4.le(f32x4.abs(v128.load(x, 16)), limit));
  }
  let isInside = i32x4.all_true(inside);
  for (; x < end; x += 4) isInside = isInside && abs(load<f32>(x)) <= most;
  return isInside;
}
