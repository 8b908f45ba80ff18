// Losses: value and gradient in one pass over the rows.

import { exp, log1pOfUnit } from "./exponential";
import { loadTail, loadUpTo4, select, storeTail, storeUpTo4, sum } from "./lanes";

/**
 * Softmax cross-entropy of logits z[rows, classes] with label smoothing s:
 *   target t = (1 - s) · onehot + s / classes;   grad = (softmax(z) - t) · scale;   returns Σ over rows of -Σ t · log softmax(z)
 *
 * With m = max z: -log softmax(z)_j = log Σ exp(z - m) + (m - z_j). The loss is summed in double, since m - z_j may exceed float32.
 */
export function softmaxCrossEntropy(
  rows: i32,
  classes: i32,
  logits: usize,
  labels: usize,
  grad: usize,
  scale: f32,
  smoothing: f64,
): f64 {
  const row = (<usize>classes) << 2;
  const off = <f32>(<f64>scale * (smoothing / <f64>classes));
  const on = <f32>(<f64>scale * (1 - smoothing));
  let loss: f64 = 0;
  for (; rows > 0; rows--) {
    const highest = rowMaximum(row, logits);
    const total = exponentials(row, logits, highest, grad);
    const logTotal = Math.log(<f64>total);
    const label = (<usize>load<i32>(labels)) << 2;
    let rowLoss = logTotal + (<f64>highest - <f64>load<f32>(logits + label));
    if (smoothing > 0) {
      let distances: f64 = 0;
      for (let x: usize = 0; x < row; x += 4) distances += <f64>highest - <f64>load<f32>(logits + x);
      rowLoss = (1 - smoothing) * rowLoss + smoothing * (logTotal + distances / <f64>classes);
    }
    loss += rowLoss;
    scaleRow(row, grad, scale / total, off);
    store<f32>(grad + label, load<f32>(grad + label) - on);
    logits += row;
    grad += row;
    labels += 4;
  }
  return loss;
}

/** NaN if there is one. */
function rowMaximum(row: usize, z: usize): f32 {
  const end = z + row;
  let highest = load<f32>(z);
  if (row >= 16) {
    let lanes = v128.load(z);
    for (; z + 16 <= end; z += 16) lanes = f32x4.max(lanes, v128.load(z));
    highest = max(
      max(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
      max(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
    );
  }
  for (; z < end; z += 4) highest = max(highest, load<f32>(z));
  return highest;
}

/** y = exp(z - highest); returns the sum. */
function exponentials(row: usize, z: usize, highest: f32, y: usize): f32 {
  const m = f32x4.splat(highest);
  const end = z + row;
  let lanes = f32x4.splat(0);
  for (; z + 16 <= end; z += 16) {
    const e = exp(f32x4.sub(v128.load(z), m));
    lanes = f32x4.add(lanes, e);
    v128.store(y, e);
    y += 16;
  }
  let total = sum(lanes);
  const count = (end - z) >> 2;
  if (count) {
    storeTail(y, exp(f32x4.sub(loadTail(z, count), m)), count);
    for (let x: usize = 0; x < count << 2; x += 4) total += load<f32>(y + x);
  }
  return total;
}

/** y = y · factor - shift */
function scaleRow(row: usize, y: usize, factor: f32, shift: f32): void {
  const end = y + row;
  const f = f32x4.splat(factor);
  const s = f32x4.splat(shift);
  for (; y + 16 <= end; y += 16) v128.store(y, f32x4.sub(f32x4.mul(v128.load(y), f), s));
  for (; y < end; y += 4) store<f32>(y, load<f32>(y) * factor - shift);
}

/** What is summed in float32 before it is added in double: 64 vectors, so that long sums lose nothing. */
const SUM_VECTORS: i32 = 64;

/** Mean squared error without the mean: returns Σ (y - t)²; grad = 2 · (y - t) · scale. */
export function squaredError(n: i32, y: usize, target: usize, grad: usize, scale: f32): f64 {
  const end = y + ((<usize>n) << 2);
  const factor = f32x4.splat(2 * scale);
  let total: f64 = 0;
  while (y < end) {
    let lanes = f32x4.splat(0);
    for (let i = 0; i < SUM_VECTORS && y < end; i++) {
      const count = min<usize>((end - y) >> 2, 4);
      const distance = f32x4.sub(loadUpTo4(y, count), loadUpTo4(target, count));
      lanes = f32x4.add(lanes, f32x4.mul(distance, distance));
      storeUpTo4(grad, f32x4.mul(distance, factor), count);
      y += 16;
      target += 16;
      grad += 16;
    }
    total += sumInDouble(lanes);
  }
  return total;
}

/**
 * Binary cross-entropy of sigmoid(z) without the mean: returns Σ max(z, 0) - z · t + log(1 + exp(-|z|));
 * grad = (sigmoid(z) - t) · scale. Neither overflows, whatever z is.
 */
export function binaryCrossEntropy(n: i32, z: usize, target: usize, grad: usize, scale: f32): f64 {
  const end = z + ((<usize>n) << 2);
  const factor = f32x4.splat(scale);
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  let total: f64 = 0;
  while (z < end) {
    let lanes = zero;
    for (let i = 0; i < SUM_VECTORS && z < end; i++) {
      const count = min<usize>((end - z) >> 2, 4);
      const x = loadUpTo4(z, count);
      const t = loadUpTo4(target, count);
      const e = exp(f32x4.neg(f32x4.abs(x)));
      const isPositive = f32x4.ge(x, zero);
      const distance = f32x4.sub(select(isPositive, x, v128.and(x, f32x4.ne(x, x))), f32x4.mul(x, t));
      // a lane past the end would add log 2
      const value = f32x4.add(distance, log1pOfUnit(e));
      lanes = f32x4.add(lanes, v128.and(value, firstLanes(count)));
      const sigmoid = f32x4.div(select(isPositive, one, e), f32x4.add(one, e));
      storeUpTo4(grad, f32x4.mul(f32x4.sub(sigmoid, t), factor), count);
      z += 16;
      target += 16;
      grad += 16;
    }
    total += sumInDouble(lanes);
  }
  return total;
}

/** All ones in the first `count` lanes. */
@inline
function firstLanes(count: usize): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(<i32>count));
}


@inline
function sumInDouble(lanes: v128): f64 {
  return (
    <f64>f32x4.extract_lane(lanes, 0) +
    <f64>f32x4.extract_lane(lanes, 1) +
    (<f64>f32x4.extract_lane(lanes, 2) + <f64>f32x4.extract_lane(lanes, 3))
  );
}
