// The transforms on the way to dW: Z = A dy Aᵀ, and dW = Gᵀ dU G.

import { nr } from "../../gemm/mode";
import { NR } from "../../gemm/sizes";
import { gradientPoint, pointBytes, rowTiles, tileRows } from "./layout";
import { column } from "./outputs";

/** Z[point][channel][tile] = A dy Aᵀ of a copy of dy, for dW. */
export function transformGradientRows(channels: i32, height: i32, width: i32, copy: usize, z: usize): void {
  const rows = tileRows(height);
  const columns = rowTiles(width);
  const point = pointBytes(channels, rows * columns);
  const row = (<usize>columns) << 2;
  const half = row * <usize>(2 * rows);
  for (let c = 0; c < channels; c++) {
    let even = copy + <usize>c * 2 * half;
    for (let y = 0; y < rows; y++) {
      for (let x: usize = 0; x < row; x += 16) {
        const a = v128.load(even + x);
        const b = v128.load(even + half + x);
        const p = v128.load(even + row + x);
        const q = v128.load(even + half + row + x);
        storeGradientRow(a, b, point, z);
        storeGradientRow(f32x4.add(a, p), f32x4.add(b, q), point, z + 4 * point);
        storeGradientRow(f32x4.sub(a, p), f32x4.sub(b, q), point, z + 8 * point);
        storeGradientRow(f32x4.neg(p), f32x4.neg(q), point, z + 12 * point);
        z += 16;
      }
      even += 2 * row;
    }
  }
}

/** (a, a + b, a - b, -b) */
@inline
function storeGradientRow(a: v128, b: v128, point: usize, to: usize): void {
  v128.store(to, a);
  v128.store(to + point, f32x4.add(a, b));
  v128.store(to + 2 * point, f32x4.sub(a, b));
  v128.store(to + 3 * point, f32x4.neg(b));
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
