// Parameter updates: one pass over parameter, gradient and state. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW, RMSprop), in its
// order: ((1 - β2) g) g holds gradients up to 1e20, whose squares float32 does not.

import { multiplyAdd } from "./lanes";
import { fill } from "./reductions";
import { inTurns, TURN } from "./vector-loop";

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
  store<f32>(CONSTANTS, -lr);
  store<f32>(CONSTANTS, weightDecay, 4);
  store<f32>(CONSTANTS, momentum, 8);
  store<f32>(CONSTANTS, bufferDecay, 12);
  store<f32>(CONSTANTS, gradientScale, 16);
  store<i32>(CONSTANTS, nesterov, 20);
  inTurns(sgdTurns, n, 2, p, buffer, g, 0, 0);
}

/** What the loops take as they begin, in the order of the parameters. */
const CONSTANTS: usize = memory.data(32, 16);

/** The two ways that are common have loops of their own, in which nothing is decided. */
function sgdTurns(bytes: usize, p: usize, buffer: usize, g: usize, _d: usize, _e: usize): void {
  const rate = v128.load32_splat(CONSTANTS);
  const decay = v128.load32_splat(CONSTANTS, 4);
  const pull = v128.load32_splat(CONSTANTS, 8);
  const kept = v128.load32_splat(CONSTANTS, 12);
  const fresh = v128.load32_splat(CONSTANTS, 16);
  const decays = load<f32>(CONSTANTS, 4) != 0;
  const nesterov = load<bool>(CONSTANTS, 20);
  const end = p + bytes;
  if (!buffer && !decays) {
    for (; p < end; p += TURN, g += TURN) {
      sgdPair(p, g, 0, rate, false, decay, false, kept, fresh, false, pull);
      sgdPair(p + 32, g + 32, 0, rate, false, decay, false, kept, fresh, false, pull);
    }
  } else if (!decays && !nesterov) {
    for (; p < end; p += TURN, g += TURN, buffer += TURN) {
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
    v128.store(buffer, b1, 16);
    v128.store(buffer, b0);
    if (nesterov) {
      s0 = multiplyAdd(pull, b0, s0);
      s1 = multiplyAdd(pull, b1, s1);
    } else {
      s0 = b0;
      s1 = b1;
    }
  }
  v128.store(p, multiplyAdd(rate, s1, p1), 16);
  v128.store(p, multiplyAdd(rate, s0, p0));
}

/**
 * p' = keep · p (AdamW's decay, 1 for Adam);  g' = g + weightDecay · p;  m += (1 - β1)(g' - m);  v = β2 v + ((1 - β2) g') g';  v̂ = v, or the running maximum kept at vMax;
 * p = p' - stepSize · m / (sqrt(v̂) · inverseRootCorrection2 + eps).
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
  store<f32>(CONSTANTS, -stepSize);
  store<f32>(CONSTANTS, oneMinusBeta1, 4);
  store<f32>(CONSTANTS, beta2, 8);
  store<f32>(CONSTANTS, oneMinusBeta2, 12);
  store<f32>(CONSTANTS, inverseRootCorrection2, 16);
  store<f32>(CONSTANTS, eps, 20);
  store<f32>(CONSTANTS, weightDecay, 24);
  store<f32>(CONSTANTS, keep, 28);
  inTurns(adamTurns, n, 4, p, m, v, vMax, g);
}

function adamTurns(bytes: usize, p: usize, m: usize, v: usize, vMax: usize, g: usize): void {
  const rate = v128.load32_splat(CONSTANTS);
  const c1 = v128.load32_splat(CONSTANTS, 4);
  const b2 = v128.load32_splat(CONSTANTS, 8);
  const c2 = v128.load32_splat(CONSTANTS, 12);
  const correction = v128.load32_splat(CONSTANTS, 16);
  const e = v128.load32_splat(CONSTANTS, 20);
  const decay = v128.load32_splat(CONSTANTS, 24);
  const kept = v128.load32_splat(CONSTANTS, 28);
  const decays = load<f32>(CONSTANTS, 24) != 0;
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
    v128.store(m, m1, 16);
    v128.store(m, m0);
    v128.store(v, v1, 16);
    v128.store(v, v0);
    if (vMax) {
      // max gives NaN where either is, as torch.maximum does
      v0 = f32x4.max(v128.load(vMax), v0);
      v1 = f32x4.max(v128.load(vMax, 16), v1);
      v128.store(vMax, v1, 16);
      v128.store(vMax, v0);
      vMax += 32;
    }
    const root0 = multiplyAdd(f32x4.sqrt(v0), correction, e);
    const root1 = multiplyAdd(f32x4.sqrt(v1), correction, e);
    const step0 = f32x4.div(f32x4.mul(rate, m0), root0);
    const step1 = f32x4.div(f32x4.mul(rate, m1), root1);
    v128.store(p, f32x4.add(f32x4.mul(kept, p1), step1), 16);
    v128.store(p, f32x4.add(f32x4.mul(kept, p0), step0));
  }
}

/**
 * g' = g + weightDecay · p;  v = alpha · v + ((1 - alpha) · g') · g';  centered: a = alpha · a + (1 - alpha) · g' and v̂ = v - a², else v̂ = v;
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
  store<f32>(CONSTANTS, -lr);
  store<f32>(CONSTANTS, alpha, 4);
  store<f32>(CONSTANTS, oneMinusAlpha, 8);
  store<f32>(CONSTANTS, eps, 12);
  store<f32>(CONSTANTS, weightDecay, 16);
  store<f32>(CONSTANTS, momentum, 20);
  inTurns(rmspropTurns, n, 4, p, v, average, buffer, g);
}

function rmspropTurns(bytes: usize, p: usize, v: usize, average: usize, buffer: usize, g: usize): void {
  const rate = v128.load32_splat(CONSTANTS);
  const a = v128.load32_splat(CONSTANTS, 4);
  const c = v128.load32_splat(CONSTANTS, 8);
  const e = v128.load32_splat(CONSTANTS, 12);
  const decay = v128.load32_splat(CONSTANTS, 16);
  const pull = v128.load32_splat(CONSTANTS, 20);
  const decays = load<f32>(CONSTANTS, 16) != 0;
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
    v128.store(v, v1, 16);
    v128.store(v, v0);
    if (average) {
      const mean0 = multiplyAdd(c, s0, f32x4.mul(a, v128.load(average)));
      const mean1 = multiplyAdd(c, s1, f32x4.mul(a, v128.load(average, 16)));
      v128.store(average, mean1, 16);
      v128.store(average, mean0);
      v0 = f32x4.sub(v0, f32x4.mul(mean0, mean0));
      v1 = f32x4.sub(v1, f32x4.mul(mean1, mean1));
      average += 32;
    }
    s0 = f32x4.div(s0, f32x4.add(f32x4.sqrt(v0), e));
    s1 = f32x4.div(s1, f32x4.add(f32x4.sqrt(v1), e));
    if (buffer) {
      s0 = multiplyAdd(pull, v128.load(buffer), s0);
      s1 = multiplyAdd(pull, v128.load(buffer, 16), s1);
      v128.store(buffer, s1, 16);
      v128.store(buffer, s0);
      buffer += 32;
    }
    v128.store(p, multiplyAdd(rate, s1, p1), 16);
    v128.store(p, multiplyAdd(rate, s0, p0));
  }
}
