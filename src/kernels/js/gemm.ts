/** Rows and columns of a register tile, and lanes of a packed panel: nine sums and six factors fit the registers, sixteen sums do not. */
const TILE = 3;
/** Steps of k between two roundings of C to float32. Every path below keeps it, or bits would differ. */
const K_BLOCK = 1024;
/** Columns of B that are packed (or summed) at a time. */
const N_BLOCK = 86 * TILE;
/** With at most this many rows (or columns) of C, packing costs more than it saves. */
const FEW = 2;

type Tile = ReturnType<typeof createTile>;
let onlyTile: Tile | undefined;

/** Made at first use, so that importing allocates next to nothing. */
const theTile = (): Tile => {
  onlyTile ??= createTile();
  return onlyTile;
};

const vector = new Float64Array(K_BLOCK);
const sums = new Float64Array(N_BLOCK);
const edge = new Float32Array(TILE * TILE);

/**
 * C[m, n] = op(A)[m, k] · op(B)[k, n] + bias, or C += op(A) · op(B). All positions are element indices, `bias` 0 means none.
 *
 * C is set to the bias or 0 first, then every path adds to it: one row (or column) at a time where C has only a few of them, else
 * 3 x 3 tiles of panels that are packed as doubles, which saves a conversion for each use of a number but the first. An element of C
 * is one double sum over k in ascending order on every path, so its bits do not depend on how the caller splits rows or columns.
 *
 * "| 0" behind an index tells the compiler that it need not watch for overflow: indices stay below 2^30.
 */
export function gemm(
  f32: Float32Array,
  transposeA: boolean,
  transposeB: boolean,
  m: number,
  n: number,
  k: number,
  a: number,
  lda: number,
  b: number,
  ldb: number,
  c: number,
  ldc: number,
  bias: number,
  accumulate: boolean,
): void {
  if (m === 0 || n === 0) return;
  const aRow = transposeA ? 1 : lda;
  const aStep = transposeA ? lda : 1;
  const bStep = transposeB ? 1 : ldb;
  const bColumn = transposeB ? ldb : 1;

  if (k === 1 && bias === 0 && !accumulate) {
    outerProduct(f32, m, n, a, aRow, b, bColumn, c, ldc);
    return;
  }
  if (!accumulate) initialize(f32, m, n, c, ldc, bias);

  for (let p = 0; p < k; p += K_BLOCK) {
    const kc = Math.min(K_BLOCK, k - p);
    const ap = a + p * aStep;
    const bp = b + p * bStep;
    if (m <= FEW) {
      for (let i = 0; i < m; i++) {
        addVectorProduct(f32, n, kc, ap + i * aRow, aStep, bp, bStep, bColumn, c + i * ldc, 1);
      }
    } else if (n <= FEW) {
      for (let j = 0; j < n; j++) {
        addVectorProduct(f32, m, kc, bp + j * bColumn, bStep, ap, aStep, aRow, c + j, ldc);
      }
    } else {
      for (let j = 0; j < n; j += N_BLOCK) {
        addPacked(f32, m, Math.min(N_BLOCK, n - j), kc, ap, aRow, aStep, bp + j * bColumn, bStep, bColumn, c + j, ldc);
      }
    }
  }
}

/** C[i, j] = bias[j], or 0 */
function initialize(f32: Float32Array, m: number, n: number, c: number, ldc: number, bias: number): void {
  for (let i = 0; i < m; i++) {
    const row = c + i * ldc;
    if (bias === 0) f32.fill(0, row, row + n);
    else for (let j = 0; j < n; j++) f32[row + j] = f32[bias + j];
  }
}

/**
 * C[i, j] = a[i] · b[j]: the weights' gradient at batch 1, where reading C as well would cost a third. Four rows at a time, because with
 * one store for each pass of the loop most of the time is the loop's own.
 */
function outerProduct(
  f32: Float32Array,
  m: number,
  n: number,
  a: number,
  aStride: number,
  b: number,
  bStride: number,
  c: number,
  ldc: number,
): void {
  for (let start = 0; start < n; start += K_BLOCK) {
    const width = Math.min(K_BLOCK, n - start);
    for (let j = 0; j < width; j++) vector[j] = f32[b + (start + j) * bStride];
    let x = a;
    let q0 = c + start;
    let i = 0;
    for (; i + 4 <= m; i += 4, x += 4 * aStride, q0 += 4 * ldc) {
      const x0 = f32[x];
      const x1 = f32[x + aStride];
      const x2 = f32[x + 2 * aStride];
      const x3 = f32[x + 3 * aStride];
      const q1 = q0 + ldc;
      const q2 = q1 + ldc;
      const q3 = q2 + ldc;
      for (let j = 0; j < width; j++) {
        const y = vector[j];
        f32[(q0 + j) | 0] = x0 * y;
        f32[(q1 + j) | 0] = x1 * y;
        f32[(q2 + j) | 0] = x2 * y;
        f32[(q3 + j) | 0] = x3 * y;
      }
    }
    for (; i < m; i++, x += aStride, q0 += ldc) {
      const x0 = f32[x];
      for (let j = 0; j < width; j++) f32[(q0 + j) | 0] = x0 * vector[j];
    }
  }
}

/**
 * out[j · outStride] += Σ_p x[p · xStride] · M[p, j] for j < n, p < k, with M[p, j] at matrix + p · step + j · column.
 * The matrix is read in the direction in which it is contiguous.
 */
function addVectorProduct(
  f32: Float32Array,
  n: number,
  k: number,
  x: number,
  xStride: number,
  matrix: number,
  step: number,
  column: number,
  out: number,
  outStride: number,
): void {
  for (let p = 0; p < k; p++) vector[p] = f32[x + p * xStride];
  if (column !== 1) {
    addDots(f32, n, k, matrix, step, column, out, outStride);
    return;
  }
  for (let j = 0; j < n; j += N_BLOCK) {
    addRows(f32, Math.min(N_BLOCK, n - j), k, matrix + j, step, out + j * outStride, outStride);
  }
}

/** A · B for one row: eight rows of B a pass, so that the running sums are loaded and stored once for eight products. */
function addRows(
  f32: Float32Array,
  n: number,
  k: number,
  matrix: number,
  step: number,
  out: number,
  outStride: number,
): void {
  sums.fill(0, 0, n);
  let p = 0;
  for (; p + 8 <= k; p += 8) {
    const x0 = vector[p];
    const x1 = vector[p + 1];
    const x2 = vector[p + 2];
    const x3 = vector[p + 3];
    const x4 = vector[p + 4];
    const x5 = vector[p + 5];
    const x6 = vector[p + 6];
    const x7 = vector[p + 7];
    const q0 = matrix + p * step;
    const q1 = q0 + step;
    const q2 = q1 + step;
    const q3 = q2 + step;
    const q4 = q3 + step;
    const q5 = q4 + step;
    const q6 = q5 + step;
    const q7 = q6 + step;
    for (let j = 0; j < n; j++) {
      sums[j] =
        sums[j] +
        x0 * f32[(q0 + j) | 0] +
        x1 * f32[(q1 + j) | 0] +
        x2 * f32[(q2 + j) | 0] +
        x3 * f32[(q3 + j) | 0] +
        x4 * f32[(q4 + j) | 0] +
        x5 * f32[(q5 + j) | 0] +
        x6 * f32[(q6 + j) | 0] +
        x7 * f32[(q7 + j) | 0];
    }
  }
  for (; p < k; p++) {
    const x0 = vector[p];
    const q = matrix + p * step;
    for (let j = 0; j < n; j++) sums[j] += x0 * f32[(q + j) | 0];
  }
  for (let j = 0; j < n; j++) f32[out + j * outStride] += sums[j];
}

/** A · Bᵀ for one row: eight dot products at a time, because one sum alone waits for the latency of its additions. */
function addDots(
  f32: Float32Array,
  n: number,
  k: number,
  matrix: number,
  step: number,
  column: number,
  out: number,
  outStride: number,
): void {
  let j = 0;
  for (; j + 8 <= n; j += 8) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    const q0 = matrix + j * column;
    const q1 = q0 + column;
    const q2 = q1 + column;
    const q3 = q2 + column;
    const q4 = q3 + column;
    const q5 = q4 + column;
    const q6 = q5 + column;
    const q7 = q6 + column;
    for (let p = 0, q = 0; p < k; p++, q = (q + step) | 0) {
      const v = vector[p];
      s0 += v * f32[(q0 + q) | 0];
      s1 += v * f32[(q1 + q) | 0];
      s2 += v * f32[(q2 + q) | 0];
      s3 += v * f32[(q3 + q) | 0];
      s4 += v * f32[(q4 + q) | 0];
      s5 += v * f32[(q5 + q) | 0];
      s6 += v * f32[(q6 + q) | 0];
      s7 += v * f32[(q7 + q) | 0];
    }
    const o = out + j * outStride;
    f32[o] += s0;
    f32[o + outStride] += s1;
    f32[o + 2 * outStride] += s2;
    f32[o + 3 * outStride] += s3;
    f32[o + 4 * outStride] += s4;
    f32[o + 5 * outStride] += s5;
    f32[o + 6 * outStride] += s6;
    f32[o + 7 * outStride] += s7;
  }
  for (; j < n; j++) {
    let s = 0;
    let q = matrix + j * column;
    for (let p = 0; p < k; p++, q += step) s += vector[p] * f32[q];
    f32[out + j * outStride] += s;
  }
}

/** C += A · B through packed panels: all of B's panels once, A's one at a time, each used for a whole row of tiles. */
function addPacked(
  f32: Float32Array,
  m: number,
  n: number,
  k: number,
  a: number,
  aRow: number,
  aStep: number,
  b: number,
  bStep: number,
  bColumn: number,
  c: number,
  ldc: number,
): void {
  const { panelA, panelsB, addTile } = theTile();
  const panel = TILE * k;
  for (let j = 0, to = 0; j < n; j += TILE, to += panel) {
    pack(f32, b + j * bColumn, bColumn, bStep, n - j, k, panelsB, to);
  }
  for (let i = 0; i < m; i += TILE) {
    pack(f32, a + i * aRow, aRow, aStep, m - i, k, panelA, 0);
    const row = c + i * ldc;
    for (let j = 0, from = 0; j < n; j += TILE, from += panel) {
      if (m - i >= TILE && n - j >= TILE) addTile(k, from, f32, row + j, ldc);
      else addEdge(k, from, f32, row + j, ldc, Math.min(TILE, m - i), Math.min(TILE, n - j));
    }
  }
}

/** to[p, lane] = f32[from + lane · laneStride + p · step]; lanes that do not exist are 0 and end in columns nobody stores. */
function pack(
  f32: Float32Array,
  from: number,
  laneStride: number,
  step: number,
  lanes: number,
  k: number,
  to: Float64Array,
  t: number,
): void {
  if (lanes >= TILE) {
    for (let p = 0; p < k; p++, t += TILE, from += step) {
      to[t] = f32[from];
      to[t + 1] = f32[from + laneStride];
      to[t + 2] = f32[from + 2 * laneStride];
    }
  } else {
    for (let p = 0; p < k; p++, t += TILE, from += step) {
      for (let lane = 0; lane < TILE; lane++) to[t + lane] = lane < lanes ? f32[from + lane * laneStride] : 0;
    }
  }
}

/** A tile at the right or lower border: computed whole beside C, of which only the existing part is touched. */
function addEdge(
  k: number,
  from: number,
  f32: Float32Array,
  c: number,
  ldc: number,
  rows: number,
  columns: number,
): void {
  edge.fill(0);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) edge[i * TILE + j] = f32[c + i * ldc + j];
  }
  theTile().addTile(k, from, edge, 0, TILE);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) f32[c + i * ldc + j] = edge[i * TILE + j];
  }
}

/**
 * The tile and its panels. The panels are constants of a function that runs once, rather than arguments or arrays that grow: the
 * compiler then knows their addresses and lengths and drops the checks around each access, which makes the tile a third faster.
 * Constants of the module would do, too, but bundlers turn those into variables. Pages never used are never resident.
 */
function createTile() {
  const panelA = new Float64Array(TILE * K_BLOCK);
  const panelsB = new Float64Array(N_BLOCK * K_BLOCK);

  /** C[3, 3] += A panel · B panel: nine sums, six loads for nine products. */
  function addTile(k: number, from: number, f32: Float32Array, c: number, ldc: number): void {
    let c00 = 0;
    let c01 = 0;
    let c02 = 0;
    let c10 = 0;
    let c11 = 0;
    let c12 = 0;
    let c20 = 0;
    let c21 = 0;
    let c22 = 0;
    for (let end = TILE * k, p = 0, q = from; p < end; p = (p + TILE) | 0, q = (q + TILE) | 0) {
      const b0 = panelsB[q];
      const b1 = panelsB[(q + 1) | 0];
      const b2 = panelsB[(q + 2) | 0];
      const a0 = panelA[p];
      c00 += a0 * b0;
      c01 += a0 * b1;
      c02 += a0 * b2;
      const a1 = panelA[(p + 1) | 0];
      c10 += a1 * b0;
      c11 += a1 * b1;
      c12 += a1 * b2;
      const a2 = panelA[(p + 2) | 0];
      c20 += a2 * b0;
      c21 += a2 * b1;
      c22 += a2 * b2;
    }
    f32[c] += c00;
    f32[c + 1] += c01;
    f32[c + 2] += c02;
    c += ldc;
    f32[c] += c10;
    f32[c + 1] += c11;
    f32[c + 2] += c12;
    c += ldc;
    f32[c] += c20;
    f32[c + 1] += c21;
    f32[c + 2] += c22;
  }

  return { panelA, panelsB, addTile };
}
