/**
 * The register-blocked product of the pure-JavaScript opponent; see step.ts. Not ours to improve: see there.
 *
 * Panels are packed as doubles and multiplied in tiles of 4 x 4 whose sums stay in registers. Strides are arbitrary, so one function
 * serves all three forms.
 */
type Numbers = Float32Array;

const K_BLOCK = 256;
const panelA = new Float64Array(K_BLOCK * 4);
const panelsB = { buffer: new Float64Array(K_BLOCK * 1024) };
const edge = new Float64Array(16);

/** C[m, n] = A[m, k] · B[k, n] */
export function multiply(m: number, n: number, k: number, A: Numbers, B: Numbers, C: Numbers): void {
  if (m < 3) {
    for (let i = 0; i < m; i++) rowTimesMatrix(n, k, A, i * k, B, C, i * n);
  } else gemm(m, n, k, A, 0, k, 1, B, 0, n, 1, C, 0, n, false);
}

/** C[m, n] = A[m, k] · B[n, k]ᵀ */
export function multiplyTransposedB(m: number, n: number, k: number, A: Numbers, B: Numbers, C: Numbers): void {
  if (m < 3) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let s0 = 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        let p = 0;
        const a = i * k;
        const b = j * k;
        for (; p + 4 <= k; p += 4) {
          s0 += A[a + p] * B[b + p];
          s1 += A[a + p + 1] * B[b + p + 1];
          s2 += A[a + p + 2] * B[b + p + 2];
          s3 += A[a + p + 3] * B[b + p + 3];
        }
        for (; p < k; p++) s0 += A[a + p] * B[b + p];
        C[i * n + j] = s0 + s1 + s2 + s3;
      }
    }
  } else gemm(m, n, k, A, 0, k, 1, B, 0, 1, k, C, 0, n, false);
}

/** C[m, n] = A[k, m]ᵀ · B[k, n] */
export function multiplyTransposedA(m: number, n: number, k: number, A: Numbers, B: Numbers, C: Numbers): void {
  if (k === 1) {
    for (let i = 0; i < m; i++) {
      const a = A[i];
      for (let j = 0; j < n; j++) C[i * n + j] = a * B[j];
    }
  } else gemm(m, n, k, A, 0, 1, m, B, 0, n, 1, C, 0, n, false);
}

/** y[n] = x[k] · W[k, n], eight rows of W a pass */
function rowTimesMatrix(n: number, k: number, x: Numbers, xo: number, W: Numbers, y: Numbers, yo: number): void {
  for (let j = 0; j < n; j++) y[yo + j] = 0;
  let p = 0;
  for (; p + 8 <= k; p += 8) {
    const x0 = x[xo + p];
    const x1 = x[xo + p + 1];
    const x2 = x[xo + p + 2];
    const x3 = x[xo + p + 3];
    const x4 = x[xo + p + 4];
    const x5 = x[xo + p + 5];
    const x6 = x[xo + p + 6];
    const x7 = x[xo + p + 7];
    let q = p * n;
    for (let j = 0; j < n; j++, q++) {
      y[yo + j] +=
        x0 * W[q] +
        x1 * W[q + n] +
        x2 * W[q + 2 * n] +
        x3 * W[q + 3 * n] +
        x4 * W[q + 4 * n] +
        x5 * W[q + 5 * n] +
        x6 * W[q + 6 * n] +
        x7 * W[q + 7 * n];
    }
  }
  for (; p < k; p++) {
    const a = x[xo + p];
    for (let j = 0; j < n; j++) y[yo + j] += a * W[p * n + j];
  }
}

/** C (+)= A · B; each matrix as its first element and the distances between its rows and columns. */
function gemm(
  m: number,
  n: number,
  k: number,
  A: Numbers,
  ao: number,
  aRow: number,
  aColumn: number,
  B: Numbers,
  bo: number,
  bRow: number,
  bColumn: number,
  C: Numbers,
  co: number,
  ldc: number,
  accumulate: boolean,
): void {
  const panels = (n + 3) >> 2;
  const PB = roomForB(K_BLOCK * panels * 4);
  for (let k0 = 0; k0 < k; k0 += K_BLOCK) {
    const kc = Math.min(K_BLOCK, k - k0);
    for (let jp = 0; jp < panels; jp++) {
      const base = jp * kc * 4;
      const j = jp * 4;
      const nr = Math.min(4, n - j);
      if (nr === 4) {
        let s = bo + k0 * bRow + j * bColumn;
        for (let p = 0, d = base; p < kc; p++, d += 4, s += bRow) {
          PB[d] = B[s];
          PB[d + 1] = B[s + bColumn];
          PB[d + 2] = B[s + 2 * bColumn];
          PB[d + 3] = B[s + 3 * bColumn];
        }
      } else {
        for (let p = 0; p < kc; p++) {
          for (let t = 0; t < 4; t++) {
            PB[base + p * 4 + t] = t < nr ? B[bo + (k0 + p) * bRow + (j + t) * bColumn] : 0;
          }
        }
      }
    }
    const add = accumulate || k0 > 0;
    for (let i = 0; i < m; i += 4) {
      const mr = Math.min(4, m - i);
      if (mr === 4) {
        let s = ao + i * aRow + k0 * aColumn;
        for (let p = 0, d = 0; p < kc; p++, d += 4, s += aColumn) {
          panelA[d] = A[s];
          panelA[d + 1] = A[s + aRow];
          panelA[d + 2] = A[s + 2 * aRow];
          panelA[d + 3] = A[s + 3 * aRow];
        }
      } else {
        for (let p = 0; p < kc; p++) {
          for (let t = 0; t < 4; t++) panelA[p * 4 + t] = t < mr ? A[ao + (i + t) * aRow + (k0 + p) * aColumn] : 0;
        }
      }
      for (let jp = 0; jp < panels; jp++) {
        tile(kc, panelA, PB, jp * kc * 4, C, co + i * ldc + jp * 4, ldc, mr, Math.min(4, n - jp * 4), add);
      }
    }
  }
}

function roomForB(length: number): Float64Array {
  if (panelsB.buffer.length < length) panelsB.buffer = new Float64Array(length);
  return panelsB.buffer;
}

/** A tile of 4 x 4 (mr x nr at the edges) of C from a panel of A and one of B. */
function tile(
  kc: number,
  PA: Float64Array,
  PB: Float64Array,
  bo: number,
  C: Numbers,
  c0: number,
  ldc: number,
  mr: number,
  nr: number,
  add: boolean,
): void {
  let c00 = 0;
  let c01 = 0;
  let c02 = 0;
  let c03 = 0;
  let c10 = 0;
  let c11 = 0;
  let c12 = 0;
  let c13 = 0;
  let c20 = 0;
  let c21 = 0;
  let c22 = 0;
  let c23 = 0;
  let c30 = 0;
  let c31 = 0;
  let c32 = 0;
  let c33 = 0;
  for (let p = 0, ia = 0, ib = bo; p < kc; p++, ia += 4, ib += 4) {
    const b0 = PB[ib];
    const b1 = PB[ib + 1];
    const b2 = PB[ib + 2];
    const b3 = PB[ib + 3];
    let a = PA[ia];
    c00 += a * b0;
    c01 += a * b1;
    c02 += a * b2;
    c03 += a * b3;
    a = PA[ia + 1];
    c10 += a * b0;
    c11 += a * b1;
    c12 += a * b2;
    c13 += a * b3;
    a = PA[ia + 2];
    c20 += a * b0;
    c21 += a * b1;
    c22 += a * b2;
    c23 += a * b3;
    a = PA[ia + 3];
    c30 += a * b0;
    c31 += a * b1;
    c32 += a * b2;
    c33 += a * b3;
  }
  if (mr === 4 && nr === 4) {
    let q = c0;
    if (add) {
      C[q] += c00;
      C[q + 1] += c01;
      C[q + 2] += c02;
      C[q + 3] += c03;
      q += ldc;
      C[q] += c10;
      C[q + 1] += c11;
      C[q + 2] += c12;
      C[q + 3] += c13;
      q += ldc;
      C[q] += c20;
      C[q + 1] += c21;
      C[q + 2] += c22;
      C[q + 3] += c23;
      q += ldc;
      C[q] += c30;
      C[q + 1] += c31;
      C[q + 2] += c32;
      C[q + 3] += c33;
    } else {
      C[q] = c00;
      C[q + 1] = c01;
      C[q + 2] = c02;
      C[q + 3] = c03;
      q += ldc;
      C[q] = c10;
      C[q + 1] = c11;
      C[q + 2] = c12;
      C[q + 3] = c13;
      q += ldc;
      C[q] = c20;
      C[q + 1] = c21;
      C[q + 2] = c22;
      C[q + 3] = c23;
      q += ldc;
      C[q] = c30;
      C[q + 1] = c31;
      C[q + 2] = c32;
      C[q + 3] = c33;
    }
  } else {
    const T = edge;
    T[0] = c00;
    T[1] = c01;
    T[2] = c02;
    T[3] = c03;
    T[4] = c10;
    T[5] = c11;
    T[6] = c12;
    T[7] = c13;
    T[8] = c20;
    T[9] = c21;
    T[10] = c22;
    T[11] = c23;
    T[12] = c30;
    T[13] = c31;
    T[14] = c32;
    T[15] = c33;
    for (let i = 0; i < mr; i++) {
      for (let j = 0; j < nr; j++) {
        const q = c0 + i * ldc + j;
        C[q] = (add ? C[q] : 0) + T[i * 4 + j];
      }
    }
  }
}
