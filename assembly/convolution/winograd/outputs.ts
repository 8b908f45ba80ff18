// y = Aᵀ M A + bias: the transform of products into outputs. A few channels of a panel at a time, whose sums stay in L1 until their even
// and odd columns come together by shuffles.

import { nr } from "../../gemm/mode";
import { panel } from "../../gemm/work";
import { storePair, storeUpTo4 } from "../../lanes";
import { CHANNELS, panelTiles, pointBytes, rowTiles, tileCount } from "./layout";

/** y[channels, height, width] = Aᵀ M A + bias. */
export function transformOutput(channels: i32, height: i32, width: i32, m: usize, bias: usize, y: usize): void {
  const tiles = tileCount(height, width);
  const columns = rowTiles(width);
  const point = pointBytes(channels, panelTiles(height, width));
  const step = (<usize>nr) << 2;
  const row = (<usize>width) << 2;
  const plane = <usize>height * row;
  for (let first = 0; first < tiles; first += nr) {
    const end = min(nr, tiles - first);
    for (let c = 0; c < channels; c += CHANNELS) {
      const count = min(CHANNELS, channels - c);
      const part = <usize>count * step;
      sumPoints(part, point, m, panel);
      m += part;
      const addend = bias ? bias + ((<usize>c) << 2) : 0;
      for (let tile = 0; tile < end; tile += 4) {
        const top = (first + tile) / columns;
        const left = first + tile - top * columns;
        const length = min(8, width - 2 * left);
        if (length <= 0) continue;
        const from = panel + ((<usize>tile) << 2);
        const to = y + <usize>c * plane + <usize>(2 * top) * row + ((<usize>left) << 3);
        placeTiles(count, from, part, step, addend, length, to, plane);
        if (2 * top + 1 < height) placeTiles(count, from + 2 * part, part, step, addend, length, to + row, plane);
      }
    }
  }
}

/** target[row][column] = Aᵀ M A for `bytes` of each of its four parts. */
function sumPoints(bytes: usize, point: usize, m: usize, target: usize): void {
  for (let x: usize = 0; x < bytes; x += 32) {
    const at0 = m + x;
    const at1 = at0 + point;
    const at2 = at1 + point;
    const at3 = at2 + point;
    const c0 = upper(false, at0, point);
    const d0 = upper(true, at0, point);
    const b0 = lower(false, at0, point);
    const e0 = lower(true, at0, point);
    const c1 = upper(false, at1, point);
    const d1 = upper(true, at1, point);
    const b1 = lower(false, at1, point);
    const e1 = lower(true, at1, point);
    const c2 = upper(false, at2, point);
    const d2 = upper(true, at2, point);
    const b2 = lower(false, at2, point);
    const e2 = lower(true, at2, point);
    const c3 = upper(false, at3, point);
    const d3 = upper(true, at3, point);
    const b3 = lower(false, at3, point);
    const e3 = lower(true, at3, point);
    const to = target + x;
    storePair(to, even(c0, c1, c2), even(d0, d1, d2));
    storePair(to + bytes, odd(c1, c2, c3), odd(d1, d2, d3));
    storePair(to + 2 * bytes, even(b0, b1, b2), even(e0, e1, e2));
    storePair(to + 3 * bytes, odd(b1, b2, b3), odd(e1, e2, e3));
  }
}

/** A column of points summed for the upper outputs, and for the lower ones. */
@inline
function upper(SECOND: bool, at: usize, point: usize): v128 {
  return even(vector(SECOND, at), vector(SECOND, at + 4 * point), vector(SECOND, at + 8 * point));
}


@inline
function lower(SECOND: bool, at: usize, point: usize): v128 {
  return odd(vector(SECOND, at + 4 * point), vector(SECOND, at + 8 * point), vector(SECOND, at + 12 * point));
}

/** The first or the second of two neighbouring vectors: V8 sees that they are by the constant between them. */
@inline
function vector(SECOND: bool, at: usize): v128 {
  return SECOND ? v128.load(at, 16) : v128.load(at);
}

/** A row of Aᵀ times four points, those that it needs. */
@inline
function even(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.add(a, b), c);
}


@inline
function odd(b: v128, c: v128, d: v128): v128 {
  return f32x4.sub(f32x4.sub(b, c), d);
}

/** `length` columns of one row of outputs, for each of a few channels: even and odd columns, `part` apart, come together. */
function placeTiles(
  channels: i32,
  from: usize,
  part: usize,
  step: usize,
  bias: usize,
  length: i32,
  y: usize,
  plane: usize,
): void {
  for (; channels > 0; channels--) {
    const addend = bias ? v128.load32_splat(bias) : f32x4.splat(0);
    const a = f32x4.add(v128.load(from), addend);
    const b = f32x4.add(v128.load(from + part), addend);
    const first = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const second = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    if (length == 8) {
      v128.store(y, first);
      v128.store(y, second, 16);
    } else {
      storeUpTo4(y, first, min(length, 4));
      if (length > 4) storeUpTo4(y + 16, second, length - 4);
    }
    from += step;
    y += plane;
    if (bias) bias += 4;
  }
}
