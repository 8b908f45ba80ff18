// Parameter updates: one pass over parameter, gradient and state. The formulas are PyTorch's (torch.optim.SGD, Adam, AdamW, RMSprop).

import { loadUpTo4, multiplyAdd, storeUpTo4 } from "./lanes";

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
  if (!buffer && weightDecay == 0) {
    plainSgd((<usize>n) << 2, p, g, lr);
    return;
  }
  const rate = f32x4.splat(-lr);
  const decay = f32x4.splat(weightDecay);
  const pull = f32x4.splat(momentum);
  const kept = f32x4.splat(bufferDecay);
  const fresh = f32x4.splat(gradientScale);
  const decays = weightDecay != 0;
  const reads = bufferDecay != 0;
  const end = p + ((<usize>n) << 2);
  while (p + 16 <= end) {
    sgdVector(4, p, g, buffer, rate, decays, decay, pull, reads, kept, fresh, nesterov);
    p += 16;
    g += 16;
    if (buffer) buffer += 16;
  }
  if (p < end) sgdVector((end - p) >> 2, p, g, buffer, rate, decays, decay, pull, reads, kept, fresh, nesterov);
}

/** `count` lanes: a literal 4, or the 1 to 3 of the tail. */
@inline
function sgdVector(
  count: usize,
  p: usize,
  g: usize,
  buffer: usize,
  rate: v128,
  decays: bool,
  decay: v128,
  pull: v128,
  reads: bool,
  kept: v128,
  fresh: v128,
  nesterov: bool,
): void {
  const value = loadUpTo4(p, count);
  let step = loadUpTo4(g, count);
  if (decays) step = multiplyAdd(decay, value, step);
  if (buffer) {
    let state = f32x4.mul(fresh, step);
    if (reads) state = multiplyAdd(kept, loadUpTo4(buffer, count), state);
    storeUpTo4(buffer, state, count);
    step = nesterov ? multiplyAdd(pull, state, step) : state;
  }
  storeUpTo4(p, multiplyAdd(rate, step, value), count);
}

function plainSgd(bytes: usize, p: usize, g: usize, lr: f32): void {
  const rate = f32x4.splat(-lr);
  const end = p + bytes;
  const whole = p + (bytes & ~63);
  while (p < whole) {
    const r0 = multiplyAdd(rate, v128.load(g), v128.load(p));
    const r1 = multiplyAdd(rate, v128.load(g, 16), v128.load(p, 16));
    const r2 = multiplyAdd(rate, v128.load(g, 32), v128.load(p, 32));
    const r3 = multiplyAdd(rate, v128.load(g, 48), v128.load(p, 48));
    v128.store(p, r1, 16);
    v128.store(p, r0);
    v128.store(p, r3, 48);
    v128.store(p, r2, 32);
    p += 64;
    g += 64;
  }
  while (p < end) {
    store<f32>(p, load<f32>(p) - lr * load<f32>(g));
    p += 4;
    g += 4;
  }
}

/**
 * p' = keep · p (AdamW's decay, 1 for Adam);  g' = g + weightDecay · p;  m += (1 - β1)(g' - m);  v = β2 v + (1 - β2) g'²;  v̂ = v, or the running maximum kept at vMax;
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
  const rate = f32x4.splat(-stepSize);
  const c1 = f32x4.splat(oneMinusBeta1);
  const b2 = f32x4.splat(beta2);
  const c2 = f32x4.splat(oneMinusBeta2);
  const correction = f32x4.splat(inverseRootCorrection2);
  const e = f32x4.splat(eps);
  const decay = f32x4.splat(weightDecay);
  const kept = f32x4.splat(keep);
  const decays = weightDecay != 0;
  const end = p + ((<usize>n) << 2);
  while (p + 16 <= end) {
    adamVector(4, p, g, m, v, vMax, rate, c1, b2, c2, correction, e, decays, decay, kept);
    p += 16;
    g += 16;
    m += 16;
    v += 16;
    if (vMax) vMax += 16;
  }
  if (p < end) adamVector((end - p) >> 2, p, g, m, v, vMax, rate, c1, b2, c2, correction, e, decays, decay, kept);
}

/** `count` lanes: a literal 4, or the 1 to 3 of the tail. */
@inline
function adamVector(
  count: usize,
  p: usize,
  g: usize,
  m: usize,
  v: usize,
  vMax: usize,
  rate: v128,
  c1: v128,
  b2: v128,
  c2: v128,
  correction: v128,
  e: v128,
  decays: bool,
  decay: v128,
  kept: v128,
): void {
  const value = loadUpTo4(p, count);
  let step = loadUpTo4(g, count);
  const m0 = loadUpTo4(m, count);
  const v0 = loadUpTo4(v, count);
  if (decays) step = multiplyAdd(decay, value, step);
  const first = multiplyAdd(c1, f32x4.sub(step, m0), m0);
  const second = multiplyAdd(c2, f32x4.mul(step, step), f32x4.mul(b2, v0));
  let scale = second;
  if (vMax) {
    // max gives NaN where either is, as torch.maximum does
    scale = f32x4.max(loadUpTo4(vMax, count), second);
    storeUpTo4(vMax, scale, count);
  }
  const root = multiplyAdd(f32x4.sqrt(scale), correction, e);
  const update = f32x4.div(f32x4.mul(rate, first), root);
  storeUpTo4(m, first, count);
  storeUpTo4(v, second, count);
  storeUpTo4(p, f32x4.add(f32x4.mul(kept, value), update), count);
}

/**
 * g' = g + weightDecay · p;  v = alpha · v + (1 - alpha) · g'²;  centered: a = alpha · a + (1 - alpha) · g' and v̂ = v - a², else v̂ = v;
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
  const rate = f32x4.splat(-lr);
  const a = f32x4.splat(alpha);
  const c = f32x4.splat(oneMinusAlpha);
  const e = f32x4.splat(eps);
  const end = p + ((<usize>n) << 2);
  for (; p < end; p += 16) {
    const count = min<usize>((end - p) >> 2, 4);
    const value = loadUpTo4(p, count);
    let step = loadUpTo4(g, count);
    if (weightDecay != 0) step = multiplyAdd(f32x4.splat(weightDecay), value, step);
    const second = multiplyAdd(c, f32x4.mul(step, step), f32x4.mul(a, loadUpTo4(v, count)));
    storeUpTo4(v, second, count);
    let scale = second;
    if (average) {
      const mean = multiplyAdd(c, step, f32x4.mul(a, loadUpTo4(average, count)));
      storeUpTo4(average, mean, count);
      scale = f32x4.sub(second, f32x4.mul(mean, mean));
      average += 16;
    }
    step = f32x4.div(step, f32x4.add(f32x4.sqrt(scale), e));
    if (buffer) {
      step = multiplyAdd(f32x4.splat(momentum), loadUpTo4(buffer, count), step);
      storeUpTo4(buffer, step, count);
      buffer += 16;
    }
    storeUpTo4(p, multiplyAdd(rate, step, value), count);
    g += 16;
    v += 16;
  }
}
