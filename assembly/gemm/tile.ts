// The tile: R x 8 of C = A · B + addend, R = 4, 2 or 1, in registers over a block of k.
//
//   PANEL   A is read as R neighbouring floats a step of k, `aStep` apart: a packed panel, or columns of a stored A[k, m]
//   rows    A is read along R rows that lie `aStep` apart (a stored A[m, k]); one index serves them all
//   B       8 neighbouring floats a step of k, `bStep` apart: a packed panel, or B[k, n] where it lies
//   addend  0: none; otherwise an address like c's, with its own distance between rows: a row of bias (0), or C itself (cRow)
//
// The first step of k is peeled (accumulators start as a · b), which frees V8 from zeroing them and from one address
// computation a splat. A whole column of tiles is one function: V8 tiers up at calls, and the panel of B stays in L1.

import { multiplyAdd } from "../lanes";

/** R is 4, 2 or 1 and PANEL true or false, both literals: what they rule out is gone after inlining. */
@inline
function column(
  R: i32,
  PANEL: bool,
  tiles: i32,
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const end = PANEL ? <usize>k : (<usize>k) << 2;
  const aNext: usize = PANEL ? (<usize>R) << 2 : aStep * <usize>R;
  for (; tiles > 0; tiles--) {
    const a1 = a + aStep;
    const a2 = a1 + aStep;
    const a3 = a2 + aStep;
    let pa = a;
    let pb = b;
    let b0 = v128.load(pb);
    let b1 = v128.load(pb, 16);
    let s = v128.load32_splat(pa);
    let c00 = f32x4.mul(s, b0);
    let c01 = f32x4.mul(s, b1);
    let c10 = c00;
    let c11 = c01;
    let c20 = c00;
    let c21 = c01;
    let c30 = c00;
    let c31 = c01;
    if (R > 1) {
      s = PANEL ? v128.load32_splat(pa, 4) : v128.load32_splat(a1);
      c10 = f32x4.mul(s, b0);
      c11 = f32x4.mul(s, b1);
    }
    if (R > 2) {
      s = PANEL ? v128.load32_splat(pa, 8) : v128.load32_splat(a2);
      c20 = f32x4.mul(s, b0);
      c21 = f32x4.mul(s, b1);
      s = PANEL ? v128.load32_splat(pa, 12) : v128.load32_splat(a3);
      c30 = f32x4.mul(s, b0);
      c31 = f32x4.mul(s, b1);
    }
    // x counts steps of k down along a panel, or is the byte index along rows
    let x: usize = PANEL ? end - 1 : 4;
    while (PANEL ? x != 0 : x != end) {
      pb += bStep;
      if (PANEL) pa += aStep;
      b0 = v128.load(pb);
      b1 = v128.load(pb, 16);
      s = PANEL ? v128.load32_splat(pa) : v128.load32_splat(a + x);
      c00 = multiplyAdd(s, b0, c00);
      c01 = multiplyAdd(s, b1, c01);
      if (R > 1) {
        s = PANEL ? v128.load32_splat(pa, 4) : v128.load32_splat(a1 + x);
        c10 = multiplyAdd(s, b0, c10);
        c11 = multiplyAdd(s, b1, c11);
      }
      if (R > 2) {
        s = PANEL ? v128.load32_splat(pa, 8) : v128.load32_splat(a2 + x);
        c20 = multiplyAdd(s, b0, c20);
        c21 = multiplyAdd(s, b1, c21);
        s = PANEL ? v128.load32_splat(pa, 12) : v128.load32_splat(a3 + x);
        c30 = multiplyAdd(s, b0, c30);
        c31 = multiplyAdd(s, b1, c31);
      }
      if (PANEL) x--;
      else x += 4;
    }
    if (addend) {
      c00 = f32x4.add(v128.load(addend), c00);
      c01 = f32x4.add(v128.load(addend, 16), c01);
      addend += addendRow;
      if (R > 1) {
        c10 = f32x4.add(v128.load(addend), c10);
        c11 = f32x4.add(v128.load(addend, 16), c11);
        addend += addendRow;
      }
      if (R > 2) {
        c20 = f32x4.add(v128.load(addend), c20);
        c21 = f32x4.add(v128.load(addend, 16), c21);
        addend += addendRow;
        c30 = f32x4.add(v128.load(addend), c30);
        c31 = f32x4.add(v128.load(addend, 16), c31);
        addend += addendRow;
      }
    }
    v128.store(c, c01, 16);
    v128.store(c, c00);
    c += cRow;
    if (R > 1) {
      v128.store(c, c11, 16);
      v128.store(c, c10);
      c += cRow;
    }
    if (R > 2) {
      v128.store(c, c21, 16);
      v128.store(c, c20);
      c += cRow;
      v128.store(c, c31, 16);
      v128.store(c, c30);
      c += cRow;
    }
    a += aNext;
  }
}

/** `m` rows of 8 columns with A read along its rows. */
export function columnOfRows(
  m: i32,
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  const whole = m & ~3;
  rows4(m >> 2, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
  if (whole == m) return;
  const done = <usize>whole;
  a += done * aStep;
  c += done * cRow;
  if (addend) addend += done * addendRow;
  if (m & 2) {
    rows2(k, a, aStep, b, bStep, c, cRow, addend, addendRow);
    a += aStep << 1;
    c += cRow << 1;
    if (addend) addend += addendRow << 1;
  }
  if (m & 1) rows1(k, a, b, bStep, c, addend);
}

/**
 * `m` rows of 8 columns with A read in panels. `aPanel` is the distance between panels of 4 rows: 16 where A's columns are read
 * in place, a packed panel's size otherwise.
 */
export function columnOfPanels(
  m: i32,
  k: i32,
  a: usize,
  aStep: usize,
  aPanel: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  if (aPanel == 16) {
    panels4(m >> 2, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
  } else {
    for (let i = 0; i < m >> 2; i++) {
      const row = (<usize>i) << 2;
      panels4(
        1,
        k,
        a + <usize>i * aPanel,
        aStep,
        b,
        bStep,
        c + row * cRow,
        cRow,
        addend ? addend + row * addendRow : 0,
        addendRow,
      );
    }
  }
  const whole = m & ~3;
  if (whole == m) return;
  const done = <usize>whole;
  a += (done >> 2) * aPanel;
  c += done * cRow;
  if (addend) addend += done * addendRow;
  if (m & 2) {
    panels2(k, a, aStep, b, bStep, c, cRow, addend, addendRow);
    a += 8;
    c += cRow << 1;
    if (addend) addend += addendRow << 1;
  }
  if (m & 1) panels1(k, a, aStep, b, bStep, c, addend);
}

function rows4(
  tiles: i32,
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  column(4, false, tiles, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
}

function rows2(
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  column(2, false, 1, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
}

function rows1(k: i32, a: usize, b: usize, bStep: usize, c: usize, addend: usize): void {
  column(1, false, 1, k, a, 0, b, bStep, c, 0, addend, 0);
}

function panels4(
  tiles: i32,
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  column(4, true, tiles, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
}

function panels2(
  k: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  column(2, true, 1, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
}

function panels1(k: i32, a: usize, aStep: usize, b: usize, bStep: usize, c: usize, addend: usize): void {
  column(1, true, 1, k, a, aStep, b, bStep, c, 0, addend, 0);
}
