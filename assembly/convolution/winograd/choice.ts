// When Winograd's method is taken.

import { WINOGRAD_FROM_CHANNELS, WINOGRAD_PERCENT } from "../../gemm/sizes";
import * as window from "../../window";
import { tileCount } from "./layout";

/** Whether the kernel fits and the method pays: with enough channels, and without too many tiles of padding. */
export function isWinograd(): bool {
  const fits =
    window.kernelHeight == 3 && window.kernelWidth == 3 && window.strideHeight == 1 && window.strideWidth == 1;
  if (!fits || window.paddingHeight > 2 || window.paddingWidth > 2) return false;
  if (min(window.channels, window.outChannels) < WINOGRAD_FROM_CHANNELS) return false;
  return pays(window.outHeight, window.outWidth) && pays(window.height, window.width);
}

function pays(rows: i32, columns: i32): bool {
  return <i64>1600 * ((tileCount(rows, columns) + 7) & ~7) <= <i64>WINOGRAD_PERCENT * 9 * rows * columns;
}

/** Numbers up to this size cannot overflow in sums of transformed products. */
export const TAME: f32 = 1e15;

/** Whether no element of a tensor is NaN or larger than `most` in magnitude. */
export function staysBelow(most: f32, n: i32, x: usize): bool {
  const end = x + ((<usize>n) << 2);
  const limit = f32x4.splat(most);
  let inside = i32x4.splat(-1);
  for (; x + 64 <= end; x += 64) {
    const a = v128.and(isBelow(v128.load(x), limit), isBelow(v128.load(x, 16), limit));
    const b = v128.and(isBelow(v128.load(x, 32), limit), isBelow(v128.load(x, 48), limit));
    inside = v128.and(inside, v128.and(a, b));
  }
  let isInside = i32x4.all_true(inside);
  for (; x < end; x += 4) isInside = isInside && abs(load<f32>(x)) <= most;
  return isInside;
}


@inline
function isBelow(a: v128, limit: v128): v128 {
  return f32x4.le(f32x4.abs(a), limit);
}
