// The transforms on the way to dW: Z = A dy Aᵀ, and dW = Gᵀ dU G.

import { nr } from "../../gemm/mode";
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
  for (let o = 0; o < outChannels; o++) {
    // the panel that o lies in, as addPoints laid them out
    const column = o % nr;
    const first = o - column;
    const narrow = outChannels - first <= NR;
    const panelRow = (<usize>(narrow ? NR : nr)) << 2;
    for (let c = 0; c < channels; c++) {
      const from = gradient + ((<usize>(first * channels + column)) << 2) + <usize>c * panelRow;
      // Gᵀ over the rows of points, then over their columns
      for (let u: usize = 0; u < 3; u++) {
        const a = combined(u, from, 4 * point);
        const b = combined(u, from + point, 4 * point);
        const c1 = combined(u, from + 2 * point, 4 * point);
        const d = combined(u, from + 3 * point, 4 * point);
        const sum: f32 = 0.5 * (b + c1);
        addTo(dweight, a + sum, accumulate);
        addTo(dweight + 4, 0.5 * (b - c1), accumulate);
        addTo(dweight + 8, sum + d, accumulate);
        dweight += 12;
      }
    }
  }
}

/** Row u of Gᵀ times four values, `step` apart. */
@inline
function combined(u: usize, at: usize, step: usize): f32 {
  const a = load<f32>(at);
  const b = load<f32>(at + step);
  const c = load<f32>(at + 2 * step);
  const d = load<f32>(at + 3 * step);
  if (u == 0) return a + <f32>0.5 * (b + c);
  return u == 1 ? <f32>0.5 * (b - c) : <f32>0.5 * (b + c) + d;
}


@inline
function addTo(address: usize, value: f32, accumulate: bool): void {
  store<f32>(address, accumulate ? load<f32>(address) + value : value);
}
