// Losses: value and gradient in one pass over the rows.

import { exp, log1pOfUnit, ones } from "./exponential";
import { loadTail, select, storePair, storeTail, sum } from "./lanes";
import { log } from "./logarithm";
import { clearSums, constantLanes, overPaddedStrips, setConstant, StripLoop, sumAt, sumsAddress } from "./vector-loop";

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
    const logTotal = log(<f64>total);
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

/** Bytes of a row whose exponentials float32 lanes add up before the sum is carried in double. */
const ROW_BLOCK: usize = 256 << 2;

/** y = exp(z - highest); returns the sum. */
function exponentials(row: usize, z: usize, highest: f32, y: usize): f32 {
  let total: f64 = 0;
  for (let at: usize = 0; at < row; at += ROW_BLOCK) {
    total += <f64>exponentialsOfBlock(min(ROW_BLOCK, row - at), z + at, highest, y + at);
  }
  return <f32>total;
}

function exponentialsOfBlock(bytes: usize, z: usize, highest: f32, y: usize): f32 {
  const m = f32x4.splat(highest);
  const end = z + bytes;
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

/** Floats that are summed in float32 before the sum is carried in double, so that long sums lose nothing. */
const SUM_FLOATS: i32 = 512;

/** Σ of n losses: the loop adds those of a block to the sums; `padding` fills its last strip. */
function totalLoss(loop: StripLoop, padding: f32, n: i32, y: usize, target: usize, grad: usize): f64 {
  let total: f64 = 0;
  for (let i = 0; i < n; i += SUM_FLOATS) {
    const at = (<usize>i) << 2;
    clearSums();
    overPaddedStrips(loop, min(n - i, SUM_FLOATS), 1, padding, grad + at, y + at, target + at, 0, 0);
    total += sumAt(sumsAddress());
  }
  return total;
}

/** Mean squared error without the mean: returns Σ (y - t)²; grad = 2 · (y - t) · scale. */
export function squaredError(n: i32, y: usize, target: usize, grad: usize, scale: f32): f64 {
  setConstant<f32>(0, 2 * scale);
  return totalLoss(squaredErrorStrips, 0, n, y, target, grad);
}

/** Adds to the sums. */
function squaredErrorStrips(bytes: usize, grad: usize, y: usize, target: usize, _d: usize, _e: usize): void {
  const factor = constantLanes(0);
  const sums = sumsAddress();
  let s0 = v128.load(sums);
  let s1 = v128.load(sums, 16);
  for (const end = y + bytes; y < end; y += 32, target += 32, grad += 32) {
    const d0 = f32x4.sub(v128.load(y), v128.load(target));
    const d1 = f32x4.sub(v128.load(y, 16), v128.load(target, 16));
    s0 = f32x4.add(s0, f32x4.mul(d0, d0));
    s1 = f32x4.add(s1, f32x4.mul(d1, d1));
    storePair(grad, f32x4.mul(d0, factor), f32x4.mul(d1, factor));
  }
  storePair(sums, s0, s1);
}

/** A logit with a loss of 0 for a target of 0. */
const NO_LOSS: f32 = -1000;

/**
 * Binary cross-entropy of sigmoid(z) without the mean: returns Σ (z < 0 ? -t : 1 - t) · z + log(1 + exp(-|z|)), which does not cancel for
 * targets in 0..1; NaN at -Infinity, as PyTorch's. grad = (sigmoid(z) - t) · scale.
 */
export function binaryCrossEntropy(n: i32, z: usize, target: usize, grad: usize, scale: f32): f64 {
  setConstant<f32>(0, scale);
  return totalLoss(crossEntropyStrips, NO_LOSS, n, z, target, grad);
}

/** Adds to the sums. */
function crossEntropyStrips(bytes: usize, grad: usize, z: usize, target: usize, _d: usize, _e: usize): void {
  const factor = constantLanes(0);
  const sums = sumsAddress();
  let s0 = v128.load(sums);
  let s1 = v128.load(sums, 16);
  for (const end = z + bytes; z < end; z += 32, target += 32, grad += 32) {
    const z0 = v128.load(z);
    const z1 = v128.load(z, 16);
    const t0 = v128.load(target);
    const t1 = v128.load(target, 16);
    const e0 = exp(f32x4.neg(f32x4.abs(z0)));
    const e1 = exp(f32x4.neg(f32x4.abs(z1)));
    const n0 = i32x4.shr_s(z0, 31);
    const n1 = i32x4.shr_s(z1, 31);
    s0 = f32x4.add(s0, crossEntropy(z0, n0, t0, e0));
    s1 = f32x4.add(s1, crossEntropy(z1, n1, t1, e1));
    const g0 = f32x4.mul(f32x4.sub(sigmoid(n0, e0), t0), factor);
    const g1 = f32x4.mul(f32x4.sub(sigmoid(n1, e1), t1), factor);
    storePair(grad, g0, g1);
  }
  storePair(sums, s0, s1);
}

/** `isNegative` is the sign of z, e is exp(-|z|). */
@inline
function crossEntropy(z: v128, isNegative: v128, t: v128, e: v128): v128 {
  const weight = f32x4.sub(v128.andnot(ones(), isNegative), t);
  // 0, but NaN at -Infinity
  const nothing = v128.and(f32x4.sub(z, z), isNegative);
  return f32x4.add(f32x4.add(f32x4.mul(weight, z), nothing), log1pOfUnit(e));
}


@inline
function sigmoid(isNegative: v128, e: v128): v128 {
  return f32x4.div(select(isNegative, e, ones()), f32x4.add(ones(), e));
}
