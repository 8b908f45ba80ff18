// The tile: R x 8 of C = A · B + addend, R = 4, 2 or 1 rows, in registers over a block of k.
//
//   Panel   A is read as R neighbouring floats a step of k, `aStep` apart: a packed panel, or columns of a stored A[k, m]
//   Rows    A is read along R rows that lie `aStep` apart (a stored A[m, k]); one index serves them all
//   B       8 neighbouring floats a step of k, `bStep` apart: a packed panel, or B[k, n] where it lies
//   addend  0: none; otherwise an address like c's, with its own distance between rows: a row of bias (0), or C itself (cRow)
//
// The first step of k is peeled (accumulators start as a · b), which frees V8 from zeroing them and from one address
// computation a splat. A whole column of tiles is one function: V8 tiers up at calls, and the panel of B stays in L1.

import { multiplyAdd } from "../lanes";

/** Marks how A is read. */
class Panel {}
class Rows {}

/** R tells the rows of a tile by its size in bytes: u32, u16 or u8. What R and A rule out is gone at compile time. */
function column<R, A>(
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
  const rows = sizeof<R>();
  const isPanel = idof<A>() == idof<Panel>();
  const end = isPanel ? <usize>k : (<usize>k) << 2;
  const aNext = isPanel ? rows << 2 : aStep * rows;
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
    if (rows > 1) {
      s = isPanel ? v128.load32_splat(pa, 4) : v128.load32_splat(a1);
      c10 = f32x4.mul(s, b0);
      c11 = f32x4.mul(s, b1);
    }
    if (rows > 2) {
      s = isPanel ? v128.load32_splat(pa, 8) : v128.load32_splat(a2);
      c20 = f32x4.mul(s, b0);
      c21 = f32x4.mul(s, b1);
      s = isPanel ? v128.load32_splat(pa, 12) : v128.load32_splat(a3);
      c30 = f32x4.mul(s, b0);
      c31 = f32x4.mul(s, b1);
    }
    // x counts steps of k down along a panel, or is the byte index along rows
    let x: usize = isPanel ? end - 1 : 4;
    while (isPanel ? x != 0 : x != end) {
      pb += bStep;
      if (isPanel) pa += aStep;
      b0 = v128.load(pb);
      b1 = v128.load(pb, 16);
      s = isPanel ? v128.load32_splat(pa) : v128.load32_splat(a + x);
      c00 = multiplyAdd(s, b0, c00);
      c01 = multiplyAdd(s, b1, c01);
      if (rows > 1) {
        s = isPanel ? v128.load32_splat(pa, 4) : v128.load32_splat(a1 + x);
        c10 = multiplyAdd(s, b0, c10);
        c11 = multiplyAdd(s, b1, c11);
      }
      if (rows > 2) {
        s = isPanel ? v128.load32_splat(pa, 8) : v128.load32_splat(a2 + x);
        c20 = multiplyAdd(s, b0, c20);
        c21 = multiplyAdd(s, b1, c21);
        s = isPanel ? v128.load32_splat(pa, 12) : v128.load32_splat(a3 + x);
        c30 = multiplyAdd(s, b0, c30);
        c31 = multiplyAdd(s, b1, c31);
      }
      if (isPanel) x--;
      else x += 4;
    }
    if (addend) {
      c00 = f32x4.add(v128.load(addend), c00);
      c01 = f32x4.add(v128.load(addend, 16), c01);
      addend += addendRow;
      if (rows > 1) {
        c10 = f32x4.add(v128.load(addend), c10);
        c11 = f32x4.add(v128.load(addend, 16), c11);
        addend += addendRow;
      }
      if (rows > 2) {
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
    if (rows > 1) {
      v128.store(c, c11, 16);
      v128.store(c, c10);
      c += cRow;
    }
    if (rows > 2) {
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
  column<u32, Rows>(m >> 2, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
  const done = <usize>(m & ~3);
  remainder<Rows>(
    m & 3,
    k,
    a + done * aStep,
    aStep,
    b,
    bStep,
    c + done * cRow,
    cRow,
    after(addend, addendRow, done),
    addendRow,
  );
}

/**
 * `m` rows of 8 columns with A read in panels. `aPanel` is the distance between panels of 4 rows: 16 where A's columns are read
 * in place, a packed panel's size otherwise. A long packed panel is worth a call of its own.
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
    column<u32, Panel>(m >> 2, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
    a += (<usize>(m >> 2)) << 4;
  } else {
    for (let i: usize = 0; i < <usize>(m & ~3); i += 4) {
      column<u32, Panel>(1, k, a, aStep, b, bStep, c + i * cRow, cRow, after(addend, addendRow, i), addendRow);
      a += aPanel;
    }
  }
  const done = <usize>(m & ~3);
  remainder<Panel>(m & 3, k, a, aStep, b, bStep, c + done * cRow, cRow, after(addend, addendRow, done), addendRow);
}

/** The last m < 4 rows. */
function remainder<A>(
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
  if (m & 2) {
    column<u16, A>(1, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
    a += idof<A>() == idof<Panel>() ? 8 : aStep << 1;
    c += cRow << 1;
    addend = after(addend, addendRow, 2);
  }
  if (m & 1) column<u8, A>(1, k, a, aStep, b, bStep, c, cRow, addend, addendRow);
}

/** The addend's address `rows` further down; none stays none. */
@inline
function after(addend: usize, addendRow: usize, rows: usize): usize {
  return addend ? addend + rows * addendRow : 0;
}
