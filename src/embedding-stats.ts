// How well spread embeddings are: computed in double, outside the linear memory, with the same bits on every engine.

import { isArray, show, showShape } from "./checks.js";
import { exp, log } from "./deterministic-math.js";
import { ArgumentError, ShapeError } from "./errors.js";
import { isTensor, type Tensor } from "./tensor.js";
import { type Flat, isFloatArray, type NestedNumbers, readNested } from "./values.js";

/** What `embeddingStats` returns. */
export interface EmbeddingStats {
  /** The mean over the d axes of the unbiased variance over the N embeddings; NaN of a single embedding, as in PyTorch. */
  variance: number;
  /**
   * In 0..1: how many directions the embeddings fill, as a share of all d. It is the effective rank, exp of the entropy of the
   * covariance's normalised eigenvalues, divided by d. At most min(N - 1, d) / d; 0 where all embeddings are equal.
   */
  isotropy: number;
}

const WHAT = "embeddingStats";

/**
 * Variance and isotropy of embeddings [N, d], a Tensor or nested arrays; values in a row are one embedding. The variance goes to 0 where
 * the embeddings collapse to a point. The isotropy, which does not see their size, goes to 1 / d where they collapse to a line. NaN and
 * infinite values give NaN. Takes N d min(N, d) + min(N, d)³ steps. Throws ArgumentError for what is no array, ShapeError for another
 * shape and for no values.
 */
export function embeddingStats(embeddings: Tensor | readonly NestedNumbers[]): EmbeddingStats {
  const { shape, values } = readEmbeddings(embeddings);
  const [count, axes] = shape;
  const scatter = scatterOf(centred(values, count, axes));
  const trace = scatter.reduce((sum, row, i) => sum + row[i], 0);
  const variance = trace / (count - 1) / axes;
  if (trace === 0) return { variance, isotropy: 0 };
  // also where an infinite value makes a mean of which nothing is finite
  if (!Number.isFinite(trace)) return { variance: Number.NaN, isotropy: Number.NaN };
  for (const row of scatter) for (let i = 0; i < row.length; i++) row[i] /= trace;
  return { variance, isotropy: Math.min(1, effectiveRank(eigenvalues(scatter)) / axes) };
}

function readEmbeddings(embeddings: unknown): Flat {
  if (isFloatArray(embeddings)) {
    throw new ShapeError(`${WHAT}: got ${show(embeddings)} of unknown shape, expected engine.tensor(data, shape)`);
  }
  if (!isTensor(embeddings) && !isArray(embeddings)) {
    throw new ArgumentError(`${WHAT}: got ${show(embeddings)}, expected a Tensor or nested arrays of numbers`);
  }
  const { shape, values } = isTensor(embeddings)
    ? { shape: embeddings.shape, values: embeddings.liveView().slice() }
    : readNested(embeddings, WHAT);
  const rows = shape.length === 1 ? [1, ...shape] : shape;
  if (rows.length !== 2 || values.length === 0) {
    throw new ShapeError(`${WHAT}: got ${showShape(shape)}, expected [N, d] or [d], neither of them 0`);
  }
  return { shape: rows, values };
}

/**
 * The embeddings without their mean: as they are, or as one vector for each axis where these are shorter. Their covariance and the
 * products of the embeddings with each other (Gram's matrix) have the same eigenvalues but for zeros.
 */
function centred(values: Float32Array, count: number, axes: number): Float64Array[] {
  const sums = new Float64Array(axes);
  for (let at = 0; at < values.length; at++) sums[at % axes] += values[at];
  const [vectors, length, next, step] = axes <= count ? [count, axes, axes, 1] : [axes, count, 1, axes];
  return Array.from({ length: vectors }, (_, vector) =>
    new Float64Array(length).map((_, i) => {
      const at = vector * next + i * step;
      return values[at] - sums[at % axes] / count;
    }),
  );
}

/** Σ v vᵀ. The lower triangle counts, as everywhere below. */
function scatterOf(vectors: readonly Float64Array[]): Float64Array[] {
  const scatter = Array.from(vectors[0], () => new Float64Array(vectors[0].length));
  for (const v of vectors) for (let i = 0; i < v.length; i++) addScaled(scatter[i], v, v[i], i + 1);
  return scatter;
}

/** The first `count` values. */
function addScaled(row: Float64Array, v: Float64Array, scale: number, count: number): void {
  for (let i = 0; i < count; i++) row[i] += scale * v[i];
}

/** exp(- Σ p log p); what rounding left below 0 is 0. */
const effectiveRank = (shares: Float64Array): number =>
  exp(shares.reduce((entropy, share) => (share > 0 ? entropy - share * log(share) : entropy), 0));

/** Far more than a value takes: two or three are usual. */
const MOST_STEPS = 60;

/**
 * The eigenvalues of a symmetric matrix, which is overwritten: Householder's reflections make it tridiagonal, QL steps diagonal (EISPACK's
 * tred1 and tql1). Jacobi's rotations would be shorter and, from some hundred axes on, ten times slower.
 */
function eigenvalues(a: Float64Array[]): Float64Array {
  const d = new Float64Array(a.length);
  // e[i] stands beside d[i] and d[i + 1]
  const e = new Float64Array(a.length);
  for (let last = a.length - 1; last > 0; last--) e[last - 1] = reflect(a, last);
  for (let i = 0; i < a.length; i++) d[i] = a[i][i];
  for (let first = 0; first < a.length; first++) {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const end = blockEnd(d, e, first);
      if (end === first) break;
      stepQL(d, e, first, end);
    }
  }
  return d;
}

/**
 * Reflects the rows and columns before `last` so that of the last row only one value beside the diagonal remains, and returns it:
 * a ← H a H with H = I - 2 v vᵀ / vᵀv, which is a - v wᵀ - w vᵀ.
 */
function reflect(a: Float64Array[], last: number): number {
  const v = a[last].slice(0, last);
  const length = Math.sqrt(dot(v, v));
  if (length === 0) return 0;
  const remaining = v[last - 1] > 0 ? -length : length;
  v[last - 1] -= remaining;
  const half = dot(v, v) / 2;
  const w = new Float64Array(last);
  for (let i = 0; i < last; i++) {
    const row = a[i];
    for (let j = 0; j < i; j++) {
      w[i] += row[j] * v[j];
      w[j] += row[j] * v[i];
    }
    w[i] += row[i] * v[i];
  }
  const along = dot(v, w) / (2 * half);
  for (let i = 0; i < last; i++) w[i] = (w[i] - along * v[i]) / half;
  for (let i = 0; i < last; i++) {
    const row = a[i];
    for (let j = 0; j <= i; j++) row[j] -= v[i] * w[j] + w[i] * v[j];
  }
  return remaining;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Where the block that begins at `first` ends: at a value beside the diagonal that is nothing to those on it. */
function blockEnd(d: Float64Array, e: Float64Array, first: number): number {
  let end = first;
  while (end < d.length - 1 && Math.abs(e[end]) > Number.EPSILON * (Math.abs(d[end]) + Math.abs(d[end + 1]))) end++;
  return end;
}

/** A step on the block first..end, with Wilkinson's shift, rotation by rotation. */
function stepQL(d: Float64Array, e: Float64Array, first: number, end: number): void {
  const slope = (d[first + 1] - d[first]) / (2 * e[first]);
  const root = Math.sqrt(slope * slope + 1);
  let g = d[end] - d[first] + e[first] / (slope + (slope < 0 ? -root : root));
  let sine = 1;
  let cosine = 1;
  let shift = 0;
  for (let i = end - 1; i >= first; i--) {
    const f = sine * e[i];
    const b = cosine * e[i];
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= shift;
      e[end] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1] - shift;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    shift = sine * t;
    d[i + 1] = g + shift;
    g = cosine * t - b;
  }
  d[first] -= shift;
  e[first] = g;
  e[end] = 0;
}
