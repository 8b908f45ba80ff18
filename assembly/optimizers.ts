// Parameter updates: one pass over parameter, gradient and state. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW, RMSprop), in
// its order: ((1 - β2) g) g holds gradients up to 1e20, whose squares float32 does not.

import { multiplyAdd, storePair } from "./lanes";
import { fill } from "./reductions";
import { constant, constantLanes, overStrips, setConstant, STRIP } from "./vector-loop";

/**
 * g' = g + weightDecay · p;  buffer = bufferDecay · buffer + gradientScale · g';
 * p -= lr · (nesterov ? g' + momentum · buffer : buffer), or lr · g' where buffer is 0. bufferDecay 0: the buffer is not read.
 */
export function sgd(
  n: i32,
  p: usize,
  g: usize,
  buffer: usize,
  lr: f32,
  weightDecay: f32,
  momentum: f32,
  bufferDecay: f32,
  gradientScale: f32,
  nesterov: bool,
): void {
  // 0 · -0 + s is s, whatever s is
  if (buffer && bufferDecay == 0) fill(n, buffer, -0.0);
  setConstant<f32>(0, -lr);
  setConstant<f32>(1, weightDecay);
  setConstant<f32>(2, momentum);
  setConstant<f32>(3, bufferDecay);
  setConstant<f32>(4, gradientScale);
  setConstant<i32>(5, nesterov);
  overStrips(sgdStrips, n, 2, p, buffer, g, 0, 0);
}

/** The two common cases have loops of their own, without decisions inside. */
function sgdStrips(bytes: usize, p: usize, buffer: usize, g: usize, _d: usize, _e: usize): void {
  const rate = constantLanes(0);
  const decay = constantLanes(1);
  const pull = constantLanes(2);
  const kept = constantLanes(3);
  const fresh = constantLanes(4);
  const decays = constant<f32>(1) != 0;
  const nesterov = constant<bool>(5);
  const end = p + bytes;
  if (!buffer && !decays) {
    for (; p < end; p += STRIP, g += STRIP) {
      sgdPair(p, g, 0, rate, false, decay, false, kept, fresh, false, pull);
      sgdPair(p + 32, g + 32, 0, rate, false, decay, false, kept, fresh, false, pull);
    }
  } else if (!decays && !nesterov) {
    for (; p < end; p += STRIP, g += STRIP, buffer += STRIP) {
      sgdPair(p, g, buffer, rate, false, decay, true, kept, fresh, false, pull);
      sgdPair(p + 32, g + 32, buffer + 32, rate, false, decay, true, kept, fresh, false, pull);
    }
  } else {
    const remembers = buffer != 0;
    for (; p < end; p += 32, g += 32, buffer += 32) {
      sgdPair(p, g, buffer, rate, decays, decay, remembers, kept, fresh, nesterov, pull);
    }
  }
}


@inline
function sgdPair(
  p: usize,
  g: usize,
  buffer: usize,
  rate: v128,
  decays: bool,
  decay: v128,
  remembers: bool,
  kept: v128,
  fresh: v128,
  nesterov: bool,
  pull: v128,
): void {
  const p0 = v128.load(p);
  const p1 = v128.load(p, 16);
  let s0 = v128.load(g);
  let s1 = v128.load(g, 16);
  if (decays) {
    s0 = multiplyAdd(decay, p0, s0);
    s1 = multiplyAdd(decay, p1, s1);
  }
  if (remembers) {
    const b0 = multiplyAdd(kept, v128.load(buffer), f32x4.mul(fresh, s0));
    const b1 = multiplyAdd(kept, v128.load(buffer, 16), f32x4.mul(fresh, s1));
    storePair(buffer, b0, b1);
    if (nesterov) {
      s0 = multiplyAdd(pull, b0, s0);
      s1 = multiplyAdd(pull, b1, s1);
    } else {
      s0 = b0;
      s1 = b1;
    }
  }
  storePair(p, multiplyAdd(rate, s0, p0), multiplyAdd(rate, s1, p1));
}

/**
 * p' = keep · p (AdamW's decay, 1 for Adam);  g' = g + weightDecay · p;  m += (1 - β1)(g' - m);  v = β2 v + ((1 - β2) g') g';
 * v̂ = v, or the running maximum kept at vMax;  p = p' - stepSize · m / (sqrt(v̂) · inverseRootCorrection2 + eps).
 */
export function adam(
  n: i32,
  p: usize,
  g: usize,
  m: usize,
  v: usize,
  vMax: usize,
  stepSize: f32,
  oneMinusBeta1: f32,
  beta2: f32,
  oneMinusBeta2: f32,
  inverseRootCorrection2: f32,
  eps: f32,
  weightDecay: f32,
  keep: f32,
): void {
  setConstant<f32>(0, -stepSize);
  setConstant<f32>(1, oneMinusBeta1);
  setConstant<f32>(2, beta2);
  setConstant<f32>(3, oneMinusBeta2);
  setConstant<f32>(4, inverseRootCorrection2);
  setConstant<f32>(5, eps);
  setConstant<f32>(6, weightDecay);
  setConstant<f32>(7, keep);
  overStrips(adamStrips, n, 4, p, m, v, vMax, g);
}

function adamStrips(bytes: usize, p: usize, m: usize, v: usize, vMax: usize, g: usize): void {
  const rate = constantLanes(0);
  const c1 = constantLanes(1);
  const b2 = constantLanes(2);
  const c2 = constantLanes(3);
  const correction = constantLanes(4);
  const e = constantLanes(5);
  const decay = constantLanes(6);
  const kept = constantLanes(7);
  const decays = constant<f32>(6) != 0;
  const end = p + bytes;
  for (; p < end; p += 32, g += 32, m += 32, v += 32) {
    const p0 = v128.load(p);
    const p1 = v128.load(p, 16);
    let s0 = v128.load(g);
    let s1 = v128.load(g, 16);
    let m0 = v128.load(m);
    let m1 = v128.load(m, 16);
    let v0 = v128.load(v);
    let v1 = v128.load(v, 16);
    if (decays) {
      s0 = multiplyAdd(decay, p0, s0);
      s1 = multiplyAdd(decay, p1, s1);
    }
    m0 = multiplyAdd(c1, f32x4.sub(s0, m0), m0);
    m1 = multiplyAdd(c1, f32x4.sub(s1, m1), m1);
    v0 = multiplyAdd(f32x4.mul(c2, s0), s0, f32x4.mul(b2, v0));
    v1 = multiplyAdd(f32x4.mul(c2, s1), s1, f32x4.mul(b2, v1));
    storePair(m, m0, m1);
    storePair(v, v0, v1);
    if (vMax) {
      // max gives NaN where either is, as torch.maximum does
      v0 = f32x4.max(v128.load(vMax), v0);
      v1 = f32x4.max(v128.load(vMax, 16), v1);
      storePair(vMax, v0, v1);
      vMax += 32;
    }
    const root0 = multiplyAdd(f32x4.sqrt(v0), correction, e);
    const root1 = multiplyAdd(f32x4.sqrt(v1), correction, e);
    const step0 = f32x4.div(f32x4.mul(rate, m0), root0);
    const step1 = f32x4.div(f32x4.mul(rate, m1), root1);
    storePair(p, f32x4.add(f32x4.mul(kept, p0), step0), f32x4.add(f32x4.mul(kept, p1), step1));
  }
}

/**
 * g' = g + weightDecay · p;  v = alpha · v + ((1 - alpha) · g') · g';
 * centered: a = alpha · a + (1 - alpha) · g' and v̂ = v - a², else v̂ = v;
 * d = g' / (sqrt(v̂) + eps);  with momentum b = momentum · b + d and p -= lr · b, else p -= lr · d.
 * `average` (a) and `buffer` (b) are 0 where they are not wanted.
 */
export function rmsprop(
  n: i32,
  p: usize,
  g: usize,
  v: usize,
  average: usize,
  buffer: usize,
  lr: f32,
  alpha: f32,
  oneMinusAlpha: f32,
  eps: f32,
  weightDecay: f32,
  momentum: f32,
): void {
  setConstant<f32>(0, -lr);
  setConstant<f32>(1, alpha);
  setConstant<f32>(2, oneMinusAlpha);
  setConstant<f32>(3, eps);
  setConstant<f32>(4, weightDecay);
  setConstant<f32>(5, momentum);
  overStrips(rmspropStrips, n, 4, p, v, average, buffer, g);
}

function rmspropStrips(bytes: usize, p: usize, v: usize, average: usize, buffer: usize, g: usize): void {
  const rate = constantLanes(0);
  const a = constantLanes(1);
  const c = constantLanes(2);
  const e = constantLanes(3);
  const decay = constantLanes(4);
  const pull = constantLanes(5);
  const decays = constant<f32>(4) != 0;
  const end = p + bytes;
  for (; p < end; p += 32, g += 32, v += 32) {
    const p0 = v128.load(p);
    const p1 = v128.load(p, 16);
    let s0 = v128.load(g);
    let s1 = v128.load(g, 16);
    let v0 = v128.load(v);
    let v1 = v128.load(v, 16);
    if (decays) {
      s0 = multiplyAdd(decay, p0, s0);
      s1 = multiplyAdd(decay, p1, s1);
    }
    v0 = multiplyAdd(f32x4.mul(c, s0), s0, f32x4.mul(a, v0));
    v1 = multiplyAdd(f32x4.mul(c, s1), s1, f32x4.mul(a, v1));
    storePair(v, v0, v1);
    if (average) {
      const mean0 = multiplyAdd(c, s0, f32x4.mul(a, v128.load(average)));
      const mean1 = multiplyAdd(c, s1, f32x4.mul(a, v128.load(average, 16)));
      storePair(average, mean0, mean1);
      v0 = f32x4.sub(v0, f32x4.mul(mean0, mean0));
      v1 = f32x4.sub(v1, f32x4.mul(mean1, mean1));
      average += 32;
    }
    s0 = f32x4.div(s0, f32x4.add(f32x4.sqrt(v0), e));
    s1 = f32x4.div(s1, f32x4.add(f32x4.sqrt(v1), e));
    if (buffer) {
      s0 = multiplyAdd(pull, v128.load(buffer), s0);
      s1 = multiplyAdd(pull, v128.load(buffer, 16), s1);
      storePair(buffer, s0, s1);
      buffer += 32;
    }
    storePair(p, multiplyAdd(rate, s0, p0), multiplyAdd(rate, s1, p1));
  }
}
