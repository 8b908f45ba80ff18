import { exp, log } from "./deterministic-math.js";

/** How much the labels count. */
export interface LabelWeights {
  /** Of each class. */
  readonly classes: Float64Array | undefined;
  /** Of each row, whatever its label. */
  readonly rows: Float64Array | undefined;
}

export interface WeightedRows {
  /** Row-major, a row for each label. */
  readonly logits: Float32Array;
  readonly labels: Int32Array;
  readonly weights: LabelWeights;
  /** s: targets are (1 - s) · onehot + s / K. */
  readonly smoothing: number;
}

/** Σ of the rows' weights, each times that of its label. */
export function totalWeight(labels: Int32Array, { classes, rows }: LabelWeights): number {
  let total = 0;
  for (let i = 0; i < labels.length; i++) total += (rows?.[i] ?? 1) * (classes === undefined ? 1 : classes[labels[i]]);
  return total;
}

/**
 * Softmax cross-entropy with weights w of the classes and r of the rows: returns Σ r · -Σ w · target · log softmax(logits), and writes
 * its gradient times `scale`. In double precision, with the same bits on every kernel set.
 */
export function weightedCrossEntropy(
  { logits, labels, weights, smoothing }: WeightedRows,
  scale: number,
  grad: Float32Array,
): number {
  const size = logits.length / labels.length;
  const share = smoothing / size;
  const { classes, rows } = weights;
  let all = 0;
  for (let j = 0; j < size; j++) all += classes?.[j] ?? 1;
  const values = new Float64Array(size);
  let loss = 0;
  for (let i = 0; i < labels.length; i++) {
    const start = i * size;
    let highest = logits[start];
    for (let j = 1; j < size; j++) highest = Math.max(highest, logits[start + j]);
    let total = 0;
    for (let j = 0; j < size; j++) {
      values[j] = exp(logits[start + j] - highest);
      total += values[j];
    }
    const on = (1 - smoothing) * (classes?.[labels[i]] ?? 1);
    const logTotal = log(total);
    let rowLoss = on * (logTotal + (highest - logits[start + labels[i]]));
    if (smoothing > 0) {
      for (let j = 0; j < size; j++)
        rowLoss += share * (classes?.[j] ?? 1) * (logTotal + (highest - logits[start + j]));
    }
    const row = rows?.[i] ?? 1;
    loss += row * rowLoss;
    const factor = (on + share * all) / total;
    for (let j = 0; j < size; j++) {
      const target = share * (classes?.[j] ?? 1) + (j === labels[i] ? on : 0);
      grad[start + j] = (values[j] * factor - target) * row * scale;
    }
  }
  return loss;
}
