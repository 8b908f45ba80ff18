/**
 * torch.optim.SGD. g' = g + weightDecay · p;  buffer = bufferDecay · buffer + gradientScale · g';
 * p -= lr · (nesterov ? g' + momentum · buffer : buffer), or lr · g' where there is no buffer (0).
 * The buffer is not read when bufferDecay is 0. An element is computed in double and rounded once.
 */
export function sgd(
  f32: Float32Array,
  n: number,
  p: number,
  g: number,
  buffer: number,
  lr: number,
  weightDecay: number,
  momentum: number,
  bufferDecay: number,
  gradientScale: number,
  nesterov: boolean,
): void {
  if (buffer === 0 && weightDecay === 0) {
    // At batch 1 this loop is a quarter of a step: "| 0" spares it the checks for overflow of the indices.
    for (const end = p + n; p < end; p = (p + 1) | 0, g = (g + 1) | 0) f32[p] -= lr * f32[g];
    return;
  }
  for (let i = 0; i < n; i++) {
    const parameter = f32[p + i];
    const gradient = decayed(f32[g + i], parameter, weightDecay);
    let direction = gradient;
    if (buffer !== 0) {
      const kept = bufferDecay === 0 ? 0 : bufferDecay * f32[buffer + i];
      const moved = kept + gradientScale * gradient;
      f32[buffer + i] = moved;
      direction = nesterov ? gradient + momentum * moved : moved;
    }
    f32[p + i] = parameter - lr * direction;
  }
}

/**
 * torch.optim.Adam and AdamW. p' = keep · p;  g' = g + weightDecay · p;  m += (1 - β1)(g' - m);  v = β2 · v + ((1 - β2) · g') · g';
 * p = p' - stepSize · m / (sqrt(v̂) · inverseRootCorrection2 + eps) with v̂ = v, or vMax = max(vMax, v) where it is given (not 0).
 * An element is computed in double; m, v and p are each rounded once.
 */
export function adam(
  f32: Float32Array,
  n: number,
  p: number,
  g: number,
  m: number,
  v: number,
  vMax: number,
  stepSize: number,
  oneMinusBeta1: number,
  beta2: number,
  oneMinusBeta2: number,
  inverseRootCorrection2: number,
  eps: number,
  weightDecay: number,
  keep: number,
): void {
  for (let i = 0; i < n; i++) {
    const parameter = f32[p + i];
    const gradient = decayed(f32[g + i], parameter, weightDecay);
    let first = f32[m + i];
    first += oneMinusBeta1 * (gradient - first);
    f32[m + i] = first;
    let second = beta2 * f32[v + i] + oneMinusBeta2 * gradient * gradient;
    f32[v + i] = second;
    if (vMax !== 0) {
      // Math.max answers NaN when either is NaN, as torch.maximum does.
      second = Math.max(f32[vMax + i], second);
      f32[vMax + i] = second;
    }
    f32[p + i] = keep * parameter - (stepSize * first) / (Math.sqrt(second) * inverseRootCorrection2 + eps);
  }
}

/**
 * torch.optim.RMSprop. g' = g + weightDecay · p;  v = alpha · v + ((1 - alpha) · g') · g';
 * a = alpha · a + (1 - alpha) · g' and v̂ = v - a²
 * where there is an average (not 0), else v̂ = v;  d = g' / (sqrt(v̂) + eps);  b = momentum · b + d where there is a buffer (not 0);
 * p -= lr · (b or d). An element is computed in double; what is stored is rounded once.
 */
export function rmsprop(
  f32: Float32Array,
  n: number,
  p: number,
  g: number,
  v: number,
  average: number,
  buffer: number,
  lr: number,
  alpha: number,
  oneMinusAlpha: number,
  eps: number,
  weightDecay: number,
  momentum: number,
): void {
  for (let i = 0; i < n; i++) {
    const parameter = f32[p + i];
    const gradient = decayed(f32[g + i], parameter, weightDecay);
    let variance = alpha * f32[v + i] + oneMinusAlpha * gradient * gradient;
    f32[v + i] = variance;
    if (average !== 0) {
      const mean = alpha * f32[average + i] + oneMinusAlpha * gradient;
      f32[average + i] = mean;
      variance -= mean * mean;
    }
    let direction = gradient / (Math.sqrt(variance) + eps);
    if (buffer !== 0) {
      direction += momentum * f32[buffer + i];
      f32[buffer + i] = direction;
    }
    f32[p + i] = parameter - lr * direction;
  }
}

/** g + weightDecay · p, without turning an infinite parameter into NaN where there is no decay. */
function decayed(gradient: number, parameter: number, weightDecay: number): number {
  return weightDecay === 0 ? gradient : gradient + weightDecay * parameter;
}
