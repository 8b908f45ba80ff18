// U = G g Gᵀ: the transform of the kernels.

import { pointBytes } from "./layout";

/**
 * U[point][m][k] = G g Gᵀ of weight[outChannels, channels, 3, 3]: m counts output channels and k input channels, or, `flipped`, the other
 * way round with each kernel flipped by 180 degrees.
 */
export function transformWeights(outChannels: i32, channels: i32, flipped: bool, weight: usize, u: usize): void {
  const k = flipped ? outChannels : channels;
  const point = pointBytes(outChannels, channels);
  for (let o = 0; o < outChannels; o++) {
    for (let c = 0; c < channels; c++) {
      const row = flipped ? c : o;
      const column = flipped ? o : c;
      transformKernel(flipped, weight, point, u + ((<usize>(row * k + column)) << 2));
      weight += 36;
    }
  }
}

/** A row of G g, or a column of (G g) Gᵀ: (a, (a + b + c) / 2, (a - b + c) / 2, c). */
@inline
function storeRow(a: f32, b: f32, c: f32, to: usize, step: usize): void {
  const outer: f32 = 0.5 * (a + c);
  const inner: f32 = 0.5 * b;
  store<f32>(to, a);
  store<f32>(to + step, outer + inner);
  store<f32>(to + 2 * step, outer - inner);
  store<f32>(to + 3 * step, c);
}

function transformKernel(flipped: bool, g: usize, point: usize, to: usize): void {
  const first: usize = flipped ? 32 : 0;
  const step: usize = flipped ? <usize>-4 : 4;
  let at = g + first;
  const g00 = load<f32>(at);
  const g01 = load<f32>(at + step);
  const g02 = load<f32>(at + 2 * step);
  at += 3 * step;
  const g10 = load<f32>(at);
  const g11 = load<f32>(at + step);
  const g12 = load<f32>(at + 2 * step);
  at += 3 * step;
  const g20 = load<f32>(at);
  const g21 = load<f32>(at + step);
  const g22 = load<f32>(at + 2 * step);
  const s0: f32 = 0.5 * (g00 + g20);
  const s1: f32 = 0.5 * (g01 + g21);
  const s2: f32 = 0.5 * (g02 + g22);
  const h0: f32 = 0.5 * g10;
  const h1: f32 = 0.5 * g11;
  const h2: f32 = 0.5 * g12;
  const row: usize = 4 * point;
  storeRow(g00, g01, g02, to, point);
  storeRow(s0 + h0, s1 + h1, s2 + h2, to + row, point);
  storeRow(s0 - h0, s1 - h1, s2 - h2, to + 2 * row, point);
  storeRow(g20, g21, g22, to + 3 * row, point);
}
