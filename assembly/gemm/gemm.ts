// The product: C[m, n] = op(A) · op(B) + bias, or C += op(A) · op(B). Which way is taken depends on shape and strides alone, so
// that the same product gives the same bits everywhere.
//
//   A·Bᵀ with few rows or columns        dot products (dot.ts)
//   A·Bᵀ with fewer rows than 256        Cᵀ = B·Aᵀ in tiles, B's rows where they lie, A in transposed panels
//   one row, or k = 1                    matrix-vector and outer product (vector.ts)
//   everything else                      blocks of k, of m, then panels of B with a column of tiles each

import { dots } from "./dot";
import { edgeColumn } from "./edge";
import { nr } from "./mode";
import { packColumns, packColumnsEdge, packGroup, packRows, unpackRows } from "./pack";
import {
  COLLISION_BYTES,
  KC,
  DOT_BELOW_M,
  DOT_KC,
  DOT_UP_TO_N,
  GROUP_BELOW_M,
  GROUP_NC,
  GROUP_KC,
  GROUP_FROM_M,
  MC,
  PACK_B_FROM_M,
  PACKED_MC,
  SWAP_BELOW_M,
  SWAP_NC,
  SWAP_KC,
  NR,
  VECTOR_KC,
} from "./sizes";
import { tileColumn } from "./tile";
import { outerProduct, vectorTimesMatrix } from "./vector";
import { block, panel } from "./work";

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
  if (m <= 0 || n <= 0) return;
  const aRow = (<usize>lda) << 2;
  const bRow = (<usize>ldb) << 2;
  const cRow = (<usize>ldc) << 2;
  if (k <= 0) {
    if (!accumulate) emptyProduct(m, n, c, cRow, bias);
  } else if (transposeB && !transposeA && (m < DOT_BELOW_M || n <= DOT_UP_TO_N)) {
    for (let k0 = 0; k0 < k; k0 += DOT_KC) {
      const at = (<usize>k0) << 2;
      dots(m, n, min(DOT_KC, k - k0), a + at, aRow, b + at, bRow, c, cRow, bias, accumulate || k0 > 0);
    }
  } else if (transposeB && !transposeA && m < SWAP_BELOW_M) {
    swapped(m, n, k, a, aRow, b, bRow, c, cRow, bias, accumulate);
  } else if (!transposeB && k == 1) {
    outerProduct(m, n, a, transposeA ? 4 : aRow, b, c, cRow, accumulate ? c : bias, accumulate ? cRow : 0);
  } else if (!transposeB && !transposeA && m == 1) {
    for (let k0 = 0; k0 < k; k0 += VECTOR_KC) {
      const pa = a + ((<usize>k0) << 2);
      const addend = accumulate || k0 > 0 ? c : bias;
      vectorTimesMatrix(n, min(VECTOR_KC, k - k0), pa, b + <usize>k0 * bRow, bRow, c, addend);
    }
  } else {
    blocked(transposeA, transposeB, m, n, k, a, aRow, b, bRow, c, cRow, bias, accumulate);
  }
}

function emptyProduct(m: i32, n: i32, c: usize, cRow: usize, bias: usize): void {
  for (; m > 0; m--) {
    if (bias) memory.copy(c, bias, (<usize>n) << 2);
    else memory.fill(c, 0, (<usize>n) << 2);
    c += cRow;
  }
}

/** An even share of k, a multiple of 4, at most `limit`: 784 is two blocks of 392, not 512 and 272. */
@inline
export function evenBlock(k: i32, limit: i32): i32 {
  const blocks = max(1, (k + limit - 1) / limit);
  return ((k + blocks - 1) / blocks + 3) & ~3;
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
  const packB = m >= PACK_B_FROM_M;
  // rows of B that are this far apart meet in the same cache sets, all of them
  const collides = (bRow & (COLLISION_BYTES - 1)) == 0 && m >= GROUP_FROM_M && m < GROUP_BELOW_M;
  const groups = collides && !transposeA && !transposeB;
  const depth = evenBlock(k, groups ? GROUP_KC : KC);
  const height = transposeA ? PACKED_MC : MC;
  for (let k0 = 0; k0 < k; k0 += depth) {
    const kc = min(depth, k - k0);
    const adds = accumulate || k0 > 0;
    const bBlock = transposeB ? b + ((<usize>k0) << 2) : b + <usize>k0 * bRow;
    for (let i0 = 0; i0 < m; i0 += height) {
      const mc = min(height, m - i0);
      let aBlock = transposeA ? a + <usize>k0 * aRow + ((<usize>i0) << 2) : a + <usize>i0 * aRow + ((<usize>k0) << 2);
      let aStep = aRow;
      if (transposeA) {
        aStep = (<usize>kc) << 2;
        unpackRows(mc, kc, aBlock, aRow, block, aStep, 0, false);
        aBlock = block;
      }
      let width = 0;
      for (let j = 0; j < n; j += width) {
        width = n - j >= nr ? nr : NR;
        const columns = min(width, n - j);
        const x = (<usize>j) << 2;
        const groupB = groups && width == nr;
        const groupPanel = ((<usize>(kc * width)) << 2) + 64;
        if (groupB && j % GROUP_NC == 0) {
          packGroup(min(GROUP_NC, n - j) / width, width, kc, bBlock + x, bRow, block, groupPanel);
        }
        let pb = panel;
        let bStep = (<usize>width) << 2;
        if (transposeB) packRows(columns, width, kc, bBlock + <usize>j * bRow, bRow, panel);
        else if (columns < width) packColumnsEdge(columns, kc, bBlock + x, bRow, panel);
        else if (groupB) pb = block + <usize>((j % GROUP_NC) / width) * groupPanel;
        else if (packB) packColumns(width, kc, bBlock + x, bRow, panel);
        else {
          pb = bBlock + x;
          bStep = bRow;
        }
        const pc = c + <usize>i0 * cRow + x;
        const addend = adds ? pc : bias ? bias + x : 0;
        const addendRow = adds ? cRow : 0;
        if (columns < width) edgeColumn(mc, columns, kc, aBlock, aStep, pc, cRow, addend, addendRow);
        else tileColumn(width, mc, kc, aBlock, aStep, pb, bStep, pc, cRow, addend, addendRow);
      }
    }
  }
}

/**
 * A·Bᵀ with the roles swapped: some rows of A, transposed into a panel, are the tile's columns; B's rows are its splats. Blocks of
 * [SWAP_NC][width] results are transposed on their way into C.
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
  const depth = evenBlock(k, SWAP_KC);
  for (let k0 = 0; k0 < k; k0 += depth) {
    const kc = min(depth, k - k0);
    const kx = (<usize>k0) << 2;
    let width = 0;
    for (let i = 0; i < m; i += width) {
      width = m - i > NR ? nr : NR;
      const rows = min(width, m - i);
      const step = (<usize>width) << 2;
      packRows(rows, width, kc, a + <usize>i * aRow + kx, aRow, panel);
      for (let j = 0; j < n; j += SWAP_NC) {
        const nc = min(SWAP_NC, n - j);
        const x = (<usize>j) << 2;
        tileColumn(width, nc, kc, b + <usize>j * bRow + kx, bRow, panel, step, block, step, 0, 0);
        unpackRows(rows, nc, block, step, c + <usize>i * cRow + x, cRow, bias ? bias + x : 0, accumulate || k0 > 0);
      }
    }
  }
}
