import { multiply, multiplyTransposedA, multiplyTransposedB } from "./product.js";

/**
 * The register-blocked pure-JavaScript training step that the figures in the README are compared with: 784-256-256-10 with a PReLU
 * slope for each unit, softmax cross-entropy, SGD or Adam, as a good engineer would write it without a library.
 *
 * It is the measure, so its algorithm must not be tuned, neither up nor down: not its loops, its blocks, its number types, nor its
 * layout (weights are [in, out] here), nor its learning rates (0.01 for SGD, 0.001 for Adam). The twin is ours to improve; this is not.
 */
export interface OpponentData {
  batch: number;
  x: Float32Array;
  labels: Int32Array;
  /** weight [in, out], bias and, but for the last layer, slopes, layer after layer */
  parameters: [
    weight1: Float32Array,
    bias1: Float32Array,
    slopes1: Float32Array,
    weight2: Float32Array,
    bias2: Float32Array,
    slopes2: Float32Array,
    weight3: Float32Array,
    bias3: Float32Array,
  ];
}

export type OptimizerName = "sgd" | "adam";

const floats = (length: number): Float32Array => new Float32Array(length);

/** A function that does one training step, changing the parameters given, and returns the loss before it. */
export function createOpponentStep(optimizer: OptimizerName, data: OpponentData): () => number {
  const { batch: B, x, labels, parameters: P } = data;
  const a1 = P[2];
  const a2 = P[5];
  const G = P.map(({ length }) => floats(length));
  const M = P.map(({ length }) => floats(length));
  const V = P.map(({ length }) => floats(length));
  const h1 = floats(B * 256);
  const p1 = floats(B * 256);
  const h2 = floats(B * 256);
  const p2 = floats(B * 256);
  const z = floats(B * 10);
  const dz = floats(B * 10);
  const d2 = floats(B * 256);
  const d1 = floats(B * 256);
  let t = 0;

  return () => {
    t++;
    multiply(B, 256, 784, x, P[0], h1);
    biasPrelu(B, 256, h1, P[1], a1, p1);
    multiply(B, 256, 256, h1, P[3], h2);
    biasPrelu(B, 256, h2, P[4], a2, p2);
    multiply(B, 10, 256, h2, P[6], z);
    for (let i = 0; i < B; i++) for (let j = 0; j < 10; j++) z[i * 10 + j] += P[7][j];

    const loss = softmaxCrossEntropy(B, z, labels, dz);

    multiplyTransposedA(256, 10, B, h2, dz, G[6]);
    columnSums(B, 10, dz, G[7]);
    multiplyTransposedB(B, 256, 10, dz, P[6], d2);
    preluBackward(B, 256, p2, d2, a2, G[5]);

    multiplyTransposedA(256, 256, B, h1, d2, G[3]);
    columnSums(B, 256, d2, G[4]);
    multiplyTransposedB(B, 256, 256, d2, P[3], d1);
    preluBackward(B, 256, p1, d1, a1, G[2]);

    multiplyTransposedA(784, 256, B, x, d1, G[0]);
    columnSums(B, 256, d1, G[1]);

    update(optimizer, t, P, G, M, V);
    return loss;
  };
}

function biasPrelu(B: number, n: number, y: Float32Array, b: Float32Array, a: Float32Array, pre: Float32Array): void {
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < n; j++) {
      const q = i * n + j;
      const v = y[q] + b[j];
      pre[q] = v;
      y[q] = v > 0 ? v : a[j] * v;
    }
  }
}

/** dy becomes dL/d(pre-activation); da the slopes' gradient. */
function preluBackward(
  B: number,
  n: number,
  pre: Float32Array,
  dy: Float32Array,
  a: Float32Array,
  da: Float32Array,
): void {
  da.fill(0);
  for (let i = 0; i < B; i++) {
    for (let j = 0; j < n; j++) {
      const q = i * n + j;
      const v = pre[q];
      if (!(v > 0)) {
        da[j] += dy[q] * v;
        dy[q] *= a[j];
      }
    }
  }
}

function columnSums(B: number, n: number, dy: Float32Array, db: Float32Array): void {
  db.fill(0);
  for (let i = 0; i < B; i++) for (let j = 0; j < n; j++) db[j] += dy[i * n + j];
}

/** The mean loss of ten classes; dz becomes its gradient. */
function softmaxCrossEntropy(B: number, z: Float32Array, y: Int32Array, dz: Float32Array): number {
  let loss = 0;
  for (let i = 0; i < B; i++) {
    let mx = -Infinity;
    for (let j = 0; j < 10; j++) if (z[i * 10 + j] > mx) mx = z[i * 10 + j];
    let s = 0;
    for (let j = 0; j < 10; j++) s += Math.exp(z[i * 10 + j] - mx);
    const ls = Math.log(s) + mx;
    loss += ls - z[i * 10 + y[i]];
    for (let j = 0; j < 10; j++) dz[i * 10 + j] = (Math.exp(z[i * 10 + j] - ls) - (j === y[i] ? 1 : 0)) / B;
  }
  return loss / B;
}

function update(
  optimizer: OptimizerName,
  t: number,
  P: Float32Array[],
  G: Float32Array[],
  M: Float32Array[],
  V: Float32Array[],
): void {
  // Constants, because that is what they were: V8 makes a loop of this one that is slower than with a variable.
  const lr = optimizer === "sgd" ? 0.01 : 0.001;
  for (let q = 0; q < P.length; q++) {
    const p = P[q];
    const g = G[q];
    if (optimizer === "sgd") {
      for (let i = 0; i < p.length; i++) p[i] -= lr * g[i];
    } else {
      const m = M[q];
      const v = V[q];
      const b1 = 1 - 0.9 ** t;
      const b2 = 1 - 0.999 ** t;
      const al = (lr * Math.sqrt(b2)) / b1;
      const eps = 1e-8 * Math.sqrt(b2);
      for (let i = 0; i < p.length; i++) {
        const gi = g[i];
        const mi = 0.9 * m[i] + 0.1 * gi;
        const vi = 0.999 * v[i] + 0.001 * gi * gi;
        m[i] = mi;
        v[i] = vi;
        p[i] -= (al * mi) / (Math.sqrt(vi) + eps);
      }
    }
  }
}
