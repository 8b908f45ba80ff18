// Batch 1: products of a vector, where every element of the matrix is used once and packing could only cost.

import { multiplyAdd } from "../lanes";

/**
 * y[n] = x[k] · B[k, n] (+ bias, or + y): 32 columns of sums in registers run down the rows of B; then 8, then single columns.
 */
export function vectorTimesMatrix(n: i32, k: i32, x: usize, b: usize, bRow: usize, y: usize, addend: usize): void {
  const end = (<usize>n) << 2;
  let j: usize = 0;
  for (; j + 128 <= end; j += 128) columns32(k, x, b + j, bRow, y + j, addend ? addend + j : 0);
  for (; j + 32 <= end; j += 32) columns8(k, x, b + j, bRow, y + j, addend ? addend + j : 0);
  for (; j < end; j += 4) {
    let value: f32 = addend ? load<f32>(addend + j) : 0;
    for (let i: usize = 0; i < <usize>k; i++) value += load<f32>(x + (i << 2)) * load<f32>(b + i * bRow + j);
    store<f32>(y + j, value);
  }
}

function columns32(k: i32, x: usize, b: usize, bRow: usize, y: usize, addend: usize): void {
  let s = v128.load32_splat(x);
  let c0 = f32x4.mul(s, v128.load(b));
  let c1 = f32x4.mul(s, v128.load(b, 16));
  let c2 = f32x4.mul(s, v128.load(b, 32));
  let c3 = f32x4.mul(s, v128.load(b, 48));
  let c4 = f32x4.mul(s, v128.load(b, 64));
  let c5 = f32x4.mul(s, v128.load(b, 80));
  let c6 = f32x4.mul(s, v128.load(b, 96));
  let c7 = f32x4.mul(s, v128.load(b, 112));
  const end = x + ((<usize>k) << 2);
  for (x += 4; x < end; x += 4) {
    b += bRow;
    s = v128.load32_splat(x);
    c0 = multiplyAdd(s, v128.load(b), c0);
    c1 = multiplyAdd(s, v128.load(b, 16), c1);
    c2 = multiplyAdd(s, v128.load(b, 32), c2);
    c3 = multiplyAdd(s, v128.load(b, 48), c3);
    c4 = multiplyAdd(s, v128.load(b, 64), c4);
    c5 = multiplyAdd(s, v128.load(b, 80), c5);
    c6 = multiplyAdd(s, v128.load(b, 96), c6);
    c7 = multiplyAdd(s, v128.load(b, 112), c7);
  }
  if (addend) {
    c0 = f32x4.add(v128.load(addend), c0);
    c1 = f32x4.add(v128.load(addend, 16), c1);
    c2 = f32x4.add(v128.load(addend, 32), c2);
    c3 = f32x4.add(v128.load(addend, 48), c3);
    c4 = f32x4.add(v128.load(addend, 64), c4);
    c5 = f32x4.add(v128.load(addend, 80), c5);
    c6 = f32x4.add(v128.load(addend, 96), c6);
    c7 = f32x4.add(v128.load(addend, 112), c7);
  }
  v128.store(y, c1, 16);
  v128.store(y, c0);
  v128.store(y, c3, 48);
  v128.store(y, c2, 32);
  v128.store(y, c5, 80);
  v128.store(y, c4, 64);
  v128.store(y, c7, 112);
  v128.store(y, c6, 96);
}

function columns8(k: i32, x: usize, b: usize, bRow: usize, y: usize, addend: usize): void {
  let c0 = addend ? v128.load(addend) : f32x4.splat(0);
  let c1 = addend ? v128.load(addend, 16) : f32x4.splat(0);
  const end = x + ((<usize>k) << 2);
  for (; x < end; x += 4) {
    const s = v128.load32_splat(x);
    c0 = multiplyAdd(s, v128.load(b), c0);
    c1 = multiplyAdd(s, v128.load(b, 16), c1);
    b += bRow;
  }
  v128.store(y, c1, 16);
  v128.store(y, c0);
}

/** C[m, n] = x yᵀ, x read `xStep` apart (+ bias for each row, or + C). */
export function outerProduct(
  m: i32,
  n: i32,
  x: usize,
  xStep: usize,
  y: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const end = (<usize>n) << 2;
  const whole = end & ~63;
  for (; m > 0; m--) {
    const s = v128.load32_splat(x);
    if (addend) {
      for (let j: usize = 0; j < whole; j += 64) {
        const r0 = multiplyAdd(s, v128.load(y + j), v128.load(addend + j));
        const r1 = multiplyAdd(s, v128.load(y + j, 16), v128.load(addend + j, 16));
        const r2 = multiplyAdd(s, v128.load(y + j, 32), v128.load(addend + j, 32));
        const r3 = multiplyAdd(s, v128.load(y + j, 48), v128.load(addend + j, 48));
        v128.store(c + j, r1, 16);
        v128.store(c + j, r0);
        v128.store(c + j, r3, 48);
        v128.store(c + j, r2, 32);
      }
    } else {
      for (let j: usize = 0; j < whole; j += 64) {
        const r0 = f32x4.mul(s, v128.load(y + j));
        const r1 = f32x4.mul(s, v128.load(y + j, 16));
        const r2 = f32x4.mul(s, v128.load(y + j, 32));
        const r3 = f32x4.mul(s, v128.load(y + j, 48));
        v128.store(c + j, r1, 16);
        v128.store(c + j, r0);
        v128.store(c + j, r3, 48);
        v128.store(c + j, r2, 32);
      }
    }
    const single = load<f32>(x);
    for (let j = whole; j < end; j += 4) {
      const product = single * load<f32>(y + j);
      store<f32>(c + j, addend ? load<f32>(addend + j) + product : product);
    }
    x += xStep;
    c += cRow;
    if (addend) addend += addendRow;
  }
}
