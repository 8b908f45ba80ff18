// The product: C[m, n] = op(A) · op(B) + bias, or C += op(A) · op(B). Which way is taken depends on shape and strides alone, so
// that the same product gives the same bits everywhere.
//
//   A·Bᵀ with few rows or columns        dot products (dot.ts)
//   A·Bᵀ with fewer rows than 256        swapped: Cᵀ = B·Aᵀ in tiles, B's rows where they lie, A in transposed panels
//   one row, or k = 1                    matrix-vector and outer product (vector.ts)
//   A·B or Aᵀ·B, k up to 64, a large C   shallow: C is written along its rows
//   everything else                      blocked
//
// The loops have BLIS's names, see sizes.ts: pc (k by KC), ic (m by MC), jr (n by NR), and ir (m by MR) in tile.ts. Panels of B are
// packed just before they are used, so that blocked has no jc.

import { dots } from "./dot";
import { edgeColumn } from "./edge";
import { nr } from "./mode";
import { packColumns, packColumnsEdge, packGroup, packRows, unpackRows } from "./pack";
import {
  ALONG_BELOW_M,
  ALONG_FROM,
  COLLISION_BYTES,
  DOT_BELOW_M,
  DOT_KC,
  DOT_UP_TO_N,
  evenBlock,
  GROUP_BELOW_M,
  GROUP_FROM_M,
  GROUP_KC,
  GROUP_NC,
  KC,
  MC,
  NR,
  PACK_B_FROM_M,
  PACKED_MC,
  SHALLOW_FLOATS,
  SHALLOW_FROM,
  SHALLOW_KC,
  SHARE_BY_ROWS_FROM_M,
  SHARE_BY_ROWS_UP_TO_N,
  SHARE_COLUMNS,
  SHARE_ROWS,
  SWAP_BELOW_M,
  SWAP_KC,
  SWAP_MC,
  SWAP_NC,
  VECTOR_KC,
  WIDE_NR,
} from "./sizes";
import { shareFrom, shareTo } from "../thread";
import { tileColumn, tilesOf } from "./tile";
import { alongRows, outerProduct, vectorTimesMatrix } from "./vector";
import { block, panel } from "./work";

/** The product of which a share is computed: its way depends on these, so that every share has the bits of the whole. */
let wholeM: i32 = 0;
let wholeN: i32 = 0;

/**
 * A share is some columns of C, so that B is packed once. It is some rows where C is written along them, where there are few columns, and
 * with the roles swapped, where A is packed instead.
 */
function isSharedByRows(transposeA: bool, transposeB: bool, k: i32): bool {
  if (wholeN <= SHARE_BY_ROWS_UP_TO_N) return true;
  if (transposeB) return !transposeA && wholeM >= SHARE_BY_ROWS_FROM_M && wholeM < SWAP_BELOW_M;
  return k == 1 || isShallow(transposeB, k);
}

function isShallow(transposeB: bool, k: i32): bool {
  return !transposeB && k <= SHALLOW_KC && wholeM >= PACK_B_FROM_M && wholeM * wholeN >= SHALLOW_FROM;
}

export function gemm(
  transposeA: bool,
  transposeB: bool,
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  lda: i32,
  b: usize,
  ldb: i32,
  c: usize,
  ldc: i32,
  bias: usize,
  accumulate: bool,
): void {
  wholeM = m;
  wholeN = n;
  const aRow = (<usize>lda) << 2;
  const bRow = (<usize>ldb) << 2;
  const cRow = (<usize>ldc) << 2;
  if (isSharedByRows(transposeA, transposeB, k)) {
    const first = shareFrom(m, SHARE_ROWS);
    m = shareTo(m, SHARE_ROWS) - first;
    a += transposeA ? (<usize>first) << 2 : <usize>first * aRow;
    c += <usize>first * cRow;
  } else {
    const first = shareFrom(n, SHARE_COLUMNS);
    const x = (<usize>first) << 2;
    n = shareTo(n, SHARE_COLUMNS) - first;
    b += transposeB ? <usize>first * bRow : x;
    c += x;
    if (bias) bias += x;
  }
  if (m <= 0 || n <= 0) return;
  // a single column lies as a row does; past one block of k its sums would have another order
  if (transposeA && !transposeB && wholeM == 1 && lda == 1 && k <= KC) transposeA = false;
  if (k <= 0) {
    if (!accumulate) emptyProduct(m, n, c, cRow, bias);
  } else if (transposeB && !transposeA && (wholeM < DOT_BELOW_M || wholeN <= DOT_UP_TO_N)) {
    for (let pc = 0; pc < k; pc += DOT_KC) {
      const x = (<usize>pc) << 2;
      dots(m, n, min(DOT_KC, k - pc), a + x, aRow, b + x, bRow, c, cRow, bias, accumulate || pc > 0);
    }
  } else if (transposeB && !transposeA && wholeM < SWAP_BELOW_M) {
    swapped(m, n, k, a, aRow, b, bRow, c, cRow, bias, accumulate);
  } else if (!transposeB && k == 1) {
    outerProduct(m, n, a, transposeA ? 4 : aRow, b, c, cRow, accumulate ? c : bias, accumulate ? cRow : 0);
  } else if (!transposeB && !transposeA && wholeM == 1) {
    for (let pc = 0; pc < k; pc += VECTOR_KC) {
      const kc = min(VECTOR_KC, k - pc);
      const pa = a + ((<usize>pc) << 2);
      const pb = b + <usize>pc * bRow;
      const addend = accumulate || pc > 0 ? c : bias;
      if (wholeN * k >= ALONG_FROM) alongRows(1, n, kc, pa, aRow, pb, bRow, c, cRow, addend, 0);
      else vectorTimesMatrix(n, kc, pa, pb, bRow, c, addend);
    }
  } else if (isShallow(transposeB, k)) {
    shallow(transposeA, m, n, k, a, aRow, b, bRow, c, cRow, bias, accumulate);
  } else {
    blocked(transposeA, transposeB, m, n, k, a, aRow, b, bRow, c, cRow, bias, accumulate);
  }
}

/** k = 0. */
function emptyProduct(m: i32, n: i32, c: usize, cRow: usize, bias: usize): void {
  for (; m > 0; m--) {
    if (bias) memory.copy(c, bias, (<usize>n) << 2);
    else memory.fill(c, 0, (<usize>n) << 2);
    c += cRow;
  }
}

function blocked(
  transposeA: bool,
  transposeB: bool,
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  bias: usize,
  accumulate: bool,
): void {
  const packB = wholeM >= PACK_B_FROM_M;
  // rows of B this far apart all fall into the same cache sets
  const collides = (bRow & (COLLISION_BYTES - 1)) == 0 && wholeM >= GROUP_FROM_M && wholeM < GROUP_BELOW_M;
  const groups = collides && !transposeA && !transposeB;
  const mostK = evenBlock(k, groups ? GROUP_KC : KC);
  const mostM = transposeA ? PACKED_MC : MC;
  const isAlong = !transposeA && !transposeB && wholeM < ALONG_BELOW_M && wholeN * k >= ALONG_FROM;
  for (let pc = 0; pc < k; pc += mostK) {
    const kc = min(mostK, k - pc);
    const kx = (<usize>pc) << 2;
    const adds = accumulate || pc > 0;
    const bBlock = transposeB ? b + kx : b + <usize>pc * bRow;
    if (isAlong) {
      alongRows(m, n, kc, a + kx, aRow, bBlock, bRow, c, cRow, adds ? c : bias, adds ? cRow : 0);
      continue;
    }
    for (let ic = 0; ic < m; ic += mostM) {
      const mc = min(mostM, m - ic);
      let aBlock = transposeA ? a + <usize>pc * aRow + ((<usize>ic) << 2) : a + <usize>ic * aRow + kx;
      let aStep = aRow;
      if (transposeA) {
        aStep = (<usize>kc) << 2;
        unpackRows(mc, kc, aBlock, aRow, block, aStep, 0, false);
        aBlock = block;
      }
      let width = 0;
      for (let jr = 0; jr < n; jr += width) {
        width = n - jr >= nr ? nr : NR;
        const columns = min(width, n - jr);
        const x = (<usize>jr) << 2;
        const groupB = groups && width == nr;
        const groupPanel = ((<usize>(kc * width)) << 2) + 64;
        if (groupB && jr % GROUP_NC == 0) {
          packGroup(min(GROUP_NC, n - jr) / width, width, kc, bBlock + x, bRow, block, groupPanel);
        }
        let pb = panel;
        let bStep = (<usize>width) << 2;
        if (transposeB) packRows(columns, width, kc, bBlock + <usize>jr * bRow, bRow, panel);
        else if (columns < width) packColumnsEdge(columns, kc, bBlock + x, bRow, panel);
        else if (groupB) pb = block + <usize>((jr % GROUP_NC) / width) * groupPanel;
        else if (packB) packColumns(width, kc, bBlock + x, bRow, panel);
        else {
          pb = bBlock + x;
          bStep = bRow;
        }
        const to = c + <usize>ic * cRow + x;
        const addend = adds ? to : bias ? bias + x : 0;
        const addendRow = adds ? cRow : 0;
        if (columns < width) edgeColumn(mc, columns, kc, aBlock, aStep, to, cRow, addend, addendRow);
        else tileColumn(width, mc, kc, aBlock, aStep, pb, bStep, to, cRow, addend, addendRow);
      }
    }
  }
}

/**
 * A small k: NC columns of B are packed at once (jc), and a few rows of A at a time go along all of them. A transposed A is turned into
 * rows, MC of them at a time (ic). Columns that fill no panel go the blocked way.
 */
function shallow(
  transposeA: bool,
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  bias: usize,
  accumulate: bool,
): void {
  const whole = n - (n % nr);
  const mostN = (SHALLOW_FLOATS / k) & ~(WIDE_NR - 1);
  const step = (<usize>k) << 2;
  const panelBytes = step * <usize>nr;
  const panels = block + ((<usize>(PACKED_MC * SHALLOW_KC)) << 2);
  for (let jc = 0; jc < whole; jc += mostN) {
    const count = min(mostN, whole - jc) / nr;
    const x = (<usize>jc) << 2;
    packGroup(count, nr, k, b + x, bRow, panels, panelBytes);
    for (let ic = 0; ic < m; ic += PACKED_MC) {
      const mc = min(PACKED_MC, m - ic);
      let rows = a + <usize>ic * aRow;
      let rowsStep = aRow;
      if (transposeA) {
        rows = block;
        rowsStep = step;
        unpackRows(mc, k, a + ((<usize>ic) << 2), aRow, rows, step, 0, false);
      }
      const to = c + <usize>ic * cRow + x;
      const addend = accumulate ? to : bias ? bias + x : 0;
      const bStep = (<usize>nr) << 2;
      tilesOf(count, nr, mc, k, rows, rowsStep, panels, bStep, panelBytes, to, cRow, addend, accumulate ? cRow : 0);
    }
  }
  if (whole == n) return;
  const x = (<usize>whole) << 2;
  const rest = bias ? bias + x : 0;
  blocked(transposeA, false, m, n - whole, k, a, aRow, b + x, bRow, c + x, cRow, rest, accumulate);
}

/**
 * A·Bᵀ with the roles swapped: B's rows are the tiles' rows (ic), and A's rows, transposed into panels, their columns (jr). NC of A's rows
 * are packed at once (jc), so that a large B is read once for all of them. Blocks of [SWAP_MC][width] results are transposed on their way
 * into C.
 */
function swapped(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  c: usize,
  cRow: usize,
  bias: usize,
  accumulate: bool,
): void {
  const mostK = evenBlock(k, SWAP_KC);
  const panels = block + ((<usize>(SWAP_MC * WIDE_NR)) << 2);
  for (let pc = 0; pc < k; pc += mostK) {
    const kc = min(mostK, k - pc);
    const kx = (<usize>pc) << 2;
    for (let jc = 0; jc < m; jc += SWAP_NC) {
      const count = min(SWAP_NC, m - jc);
      const to = c + <usize>jc * cRow;
      packPanels(count, kc, a + <usize>jc * aRow + kx, aRow, panels);
      for (let ic = 0; ic < n; ic += SWAP_MC) {
        const mc = min(SWAP_MC, n - ic);
        const x = (<usize>ic) << 2;
        const rows = b + <usize>ic * bRow + kx;
        let pa = panels;
        let width = 0;
        for (let jr = 0; jr < count; jr += width) {
          width = panelWidth(count - jr);
          const step = (<usize>width) << 2;
          const cr = to + <usize>jr * cRow + x;
          tileColumn(width, mc, kc, rows, bRow, pa, step, block, step, 0, 0);
          unpackRows(min(width, count - jr), mc, block, step, cr, cRow, bias ? bias + x : 0, accumulate || pc > 0);
          pa += step * <usize>kc;
        }
      }
    }
  }
}

/** `count` rows of A, transposed into panels one behind the other. */
function packPanels(count: i32, kc: i32, a: usize, aRow: usize, to: usize): void {
  let width = 0;
  for (let jr = 0; jr < count; jr += width) {
    width = panelWidth(count - jr);
    packRows(min(width, count - jr), width, kc, a + <usize>jr * aRow, aRow, to);
    to += (<usize>(width * kc)) << 2;
  }
}


@inline
function panelWidth(rows: i32): i32 {
  return rows > NR ? nr : NR;
}
