// The transforms on the way to dW: Z = A dy Aᵀ, and dW = Gᵀ dU G.

import { nr } from "../../gemm/mode";
import { column } from "../../gemm/pack";
import { NR } from "../../gemm/sizes";
import { loadUpTo4, storePair } from "../../lanes";
import { gradientPoint, pointBytes, rowTiles, tileCount } from "./layout";

/** Z[point][channel][tile] = A dy Aᵀ, for dW. What is stored past a channel's last tile is overwritten by the next channel. */
export function transformGradientRows(
  channels: i32,
  height: i32,
  width: i32,
  dy: usize,
  scratch: usize,
  z: usize,
): void {
  const tiles = tileCount(height, width);
  const point = pointBytes(channels, tiles);
  const part = (<usize>tiles) << 2;
  const row = (<usize>rowTiles(width)) << 2;
  for (let c = 0; c < channels; c++) {
    let to = scratch;
    for (let y = 0; y < height; y += 2) {
      splitRow(width, row, dy, part, to);
      dy += (<usize>width) << 2;
      if (y + 1 < height) {
        splitRow(width, row, dy, part, to + 2 * part);
        dy += (<usize>width) << 2;
      } else {
        memory.fill(to + 2 * part, 0, row);
        memory.fill(to + 3 * part, 0, row);
      }
      to += row;
    }
    spreadTiles(part, scratch, point, z);
    z += part;
  }
}

/** Parts a row into even and odd columns, four at a time, zeros past its end. */
function splitRow(width: i32, row: usize, from: usize, part: usize, to: usize): void {
  const end = to + row;
  for (; width >= 8; width -= 8) {
    storeSplit(v128.load(from), v128.load(from, 16), part, to);
    from += 32;
    to += 16;
  }
  for (; to < end; to += 16) {
    const first = width > 0 ? loadUpTo4(from, min(4, width)) : f32x4.splat(0);
    const second = width > 4 ? loadUpTo4(from + 16, width - 4) : f32x4.splat(0);
    storeSplit(first, second, part, to);
    width = 0;
  }
}


@inline
function storeSplit(first: v128, second: v128, part: usize, to: usize): void {
  v128.store(to, v128.shuffle<f32>(first, second, 0, 2, 4, 6));
  v128.store(to + part, v128.shuffle<f32>(first, second, 1, 3, 5, 7));
}

/** A dy Aᵀ of a plane's tiles, eight at a time. Its four parts: even and odd columns of the upper row, then of the lower one. */
function spreadTiles(part: usize, from: usize, point: usize, z: usize): void {
  for (let x: usize = 0; x < part; x += 32) {
    const at = from + x;
    const to = z + x;
    const a = v128.load(at);
    const e = v128.load(at, 16);
    const b = v128.load(at + part);
    const f = v128.load(at + part, 16);
    const p = v128.load(at + 2 * part);
    const r = v128.load(at + 2 * part, 16);
    const q = v128.load(at + 3 * part);
    const s = v128.load(at + 3 * part, 16);
    spreadRow(a, e, b, f, point, to);
    spreadRow(f32x4.add(a, p), f32x4.add(e, r), f32x4.add(b, q), f32x4.add(f, s), point, to + 4 * point);
    spreadRow(f32x4.sub(a, p), f32x4.sub(e, r), f32x4.sub(b, q), f32x4.sub(f, s), point, to + 8 * point);
    spreadRow(f32x4.neg(p), f32x4.neg(r), f32x4.neg(q), f32x4.neg(s), point, to + 12 * point);
  }
}

/** (a, a + b, a - b, -b), two vectors of tiles: a and e are even columns, b and f odd ones. */
@inline
function spreadRow(a: v128, e: v128, b: v128, f: v128, point: usize, to: usize): void {
  storePair(to, a, e);
  storePair(to + point, f32x4.add(a, b), f32x4.add(e, f));
  storePair(to + 2 * point, f32x4.sub(a, b), f32x4.sub(e, f));
  storePair(to + 3 * point, f32x4.neg(b), f32x4.neg(f));
}

/** dweight[o, c, 3, 3] (+)= Gᵀ dU G */
export function transformGradient(
  outChannels: i32,
  channels: i32,
  gradient: usize,
  dweight: usize,
  accumulate: bool,
): void {
  const point = gradientPoint(outChannels, channels);
  const kernels = <usize>channels * 36;
  for (let o = 0; o < outChannels; o += 4) {
    // the panel that they lie in, as addPoints laid them out
    const first = o - (o % nr);
    const panelRow = (<usize>(outChannels - first <= NR ? NR : nr)) << 2;
    let from = gradient + ((<usize>(first * channels + o - first)) << 2);
    for (let c = 0; c < channels; c++) {
      transformKernels(min(4, outChannels - o), from, point, dweight + <usize>c * 36, kernels, accumulate);
      from += panelRow;
    }
    dweight += 4 * kernels;
  }
}

/** The kernels of `count` (1 to 4) output channels for one input channel, `step` bytes apart. */
function transformKernels(count: i32, from: usize, point: usize, to: usize, step: usize, accumulate: bool): void {
  const sum0 = outerSum(0, from, point);
  const sum1 = outerSum(1, from, point);
  const sum2 = outerSum(2, from, point);
  const k0 = f32x4.add(combined(0, from, point), sum0);
  const k1 = difference(0, from, point);
  const k2 = f32x4.add(sum0, combined(0, from + 3 * point, point));
  const k3 = f32x4.add(combined(1, from, point), sum1);
  const k4 = difference(1, from, point);
  const k5 = f32x4.add(sum1, combined(1, from + 3 * point, point));
  const k6 = f32x4.add(combined(2, from, point), sum2);
  const k7 = difference(2, from, point);
  const k8 = f32x4.add(sum2, combined(2, from + 3 * point, point));
  addKernel(to, column(0, k0, k1, k2, k3), column(0, k4, k5, k6, k7), f32x4.extract_lane(k8, 0), accumulate);
  if (count == 1) return;
  to += step;
  addKernel(to, column(1, k0, k1, k2, k3), column(1, k4, k5, k6, k7), f32x4.extract_lane(k8, 1), accumulate);
  if (count == 2) return;
  to += step;
  addKernel(to, column(2, k0, k1, k2, k3), column(2, k4, k5, k6, k7), f32x4.extract_lane(k8, 2), accumulate);
  if (count == 3) return;
  to += step;
  addKernel(to, column(3, k0, k1, k2, k3), column(3, k4, k5, k6, k7), f32x4.extract_lane(k8, 3), accumulate);
}

/** Row U of Gᵀ times the four points of a column. */
@inline
function combined(U: i32, at: usize, point: usize): v128 {
  const half = f32x4.splat(0.5);
  const b = v128.load(at + 4 * point);
  const c = v128.load(at + 8 * point);
  if (U == 1) return f32x4.mul(half, f32x4.sub(b, c));
  const sum = f32x4.mul(half, f32x4.add(b, c));
  return f32x4.add(sum, v128.load(U == 0 ? at : at + 12 * point));
}

/** What the outer columns of Gᵀ dU G share, and the inner one. */
@inline
function outerSum(U: i32, at: usize, point: usize): v128 {
  const sum = f32x4.add(combined(U, at + point, point), combined(U, at + 2 * point, point));
  return f32x4.mul(f32x4.splat(0.5), sum);
}


@inline
function difference(U: i32, at: usize, point: usize): v128 {
  const rest = f32x4.sub(combined(U, at + point, point), combined(U, at + 2 * point, point));
  return f32x4.mul(f32x4.splat(0.5), rest);
}


@inline
function addKernel(to: usize, first: v128, second: v128, last: f32, accumulate: bool): void {
  if (accumulate) {
    first = f32x4.add(v128.load(to), first);
    second = f32x4.add(v128.load(to, 16), second);
    last += load<f32>(to, 32);
  }
  v128.store(to, first);
  v128.store(to, second, 16);
  store<f32>(to, last, 32);
}
