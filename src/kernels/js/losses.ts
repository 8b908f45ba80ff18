import { exp, log, log1p } from "../../deterministic-math.js";
import { Scratch } from "./scratch.js";

const exponentials = new Scratch();

/**
 * grad = (softmax(logits) - t) · scale with t = (1 - smoothing) · onehot(label) + smoothing / classes, over logits[rows, classes];
 * returns -Σ t · log softmax(logits), unscaled.
 *
 * Everything is relative to the row's maximum and in double, where the difference of any two floats is finite. A NaN in the row, a
 * maximum of +Infinity or nothing but -Infinity turns the row's sum into NaN, and with it its loss and gradients.
 */
export function softmaxCrossEntropy(
  f32: Float32Array,
  i32: Int32Array,
  rows: number,
  classes: number,
  logits: number,
  labels: number,
  grad: number,
  scale: number,
  smoothing: number,
): number {
  const e = exponentials.take(classes);
  const others = smoothing / classes;
  let loss = 0;
  for (let i = 0; i < rows; i++, logits += classes, grad += classes) {
    const label = i32[labels + i];
    let max = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < classes; j++) if (f32[logits + j] > max) max = f32[logits + j];

    let sum = 0;
    let shifted = 0;
    for (let j = 0; j < classes; j++) {
      const difference = f32[logits + j] - max;
      e[j] = exp(difference);
      sum += e[j];
      shifted += difference;
    }

    // Without smoothing the other classes have no part in the loss: 0 times a logit of -Infinity would be NaN.
    const ofLabel = f32[logits + label] - max;
    loss += log(sum) - (smoothing === 0 ? ofLabel : (1 - smoothing) * ofLabel + others * shifted);

    const inverse = 1 / sum;
    for (let j = 0; j < classes; j++) {
      const target = j === label ? 1 - smoothing + others : others;
      f32[grad + j] = (e[j] * inverse - target) * scale;
    }
  }
  return loss;
}

/** Returns Σ (y - target)²; grad = 2 · (y - target) · scale. */
export function squaredError(
  f32: Float32Array,
  n: number,
  y: number,
  target: number,
  grad: number,
  scale: number,
): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const distance = f32[y + i] - f32[target + i];
    sum += distance * distance;
    f32[grad + i] = 2 * distance * scale;
  }
  return sum;
}

/**
 * Returns Σ (z < 0 ? -target : 1 - target) · z + log(1 + exp(-|z|)), NaN at -Infinity as PyTorch's; grad = (sigmoid(z) - target) · scale.
 */
export function binaryCrossEntropy(
  f32: Float32Array,
  n: number,
  z: number,
  target: number,
  grad: number,
  scale: number,
): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const logit = f32[z + i];
    const wanted = f32[target + i];
    const e = exp(-Math.abs(logit));
    const weight = (logit < 0 ? 0 : 1) - wanted;
    // 0, but NaN at -Infinity
    const nothing = logit < 0 ? logit - logit : 0;
    sum += weight * logit + nothing + log1p(e);
    f32[grad + i] = ((logit >= 0 ? 1 : e) / (1 + e) - wanted) * scale;
  }
  return sum;
}
