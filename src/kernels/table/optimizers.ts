import { flag, input, type KernelDescription, row, scalar, size, updated } from "./vocabulary.js";

export const sgd: KernelDescription = {
  layout: "elements",
  formula: `
SGD (torch.optim.SGD): g' = g + weightDecay · p (g where weightDecay is 0);  buffer = bufferDecay · buffer + gradientScale · g';
direction = nesterov ? g' + momentum · buffer : buffer (g' where there is no buffer);  p -= lr · direction.
The first step passes momentum 0 and gradientScale 1 in place of (momentum, 1 - dampening) as \`bufferDecay\` and \`gradientScale\`; it
does not read the buffer then.`,
  arguments: {
    n: size,
    p: updated(row),
    g: input(row),
    buffer: updated(row, { optional: true }),
    lr: scalar,
    weightDecay: scalar,
    momentum: scalar,
    bufferDecay: scalar,
    gradientScale: scalar,
    nesterov: flag,
  },
  split: ["n"],
};

export const adam: KernelDescription = {
  layout: "elements",
  formula: `
Adam and AdamW (torch.optim): p' = keep · p (1 - lr · decay for AdamW, 1 for Adam);  g' = g + weightDecay · p (g where it is 0);
m += (1 - β1)(g' - m);  v = β2 v + ((1 - β2) g') g';
p = p' - stepSize · m / (sqrt(v̂) · inverseRootCorrection2 + eps), v̂ = v, or the running maximum of v where \`vMax\` is given
(amsgrad). stepSize = lr / (1 - β1^t), inverseRootCorrection2 = 1 / sqrt(1 - β2^t).`,
  arguments: {
    n: size,
    p: updated(row),
    g: input(row),
    m: updated(row),
    v: updated(row),
    vMax: updated(row, { optional: true }),
    stepSize: scalar,
    oneMinusBeta1: scalar,
    beta2: scalar,
    oneMinusBeta2: scalar,
    inverseRootCorrection2: scalar,
    eps: scalar,
    weightDecay: scalar,
    keep: scalar,
  },
  split: ["n"],
};

export const rmsprop: KernelDescription = {
  layout: "elements",
  formula: `
RMSprop (torch.optim.RMSprop): g' = g + weightDecay · p (g where it is 0);  v = alpha · v + ((1 - alpha) · g') · g';
with \`average\` (centered) a = alpha · a + (1 - alpha) · g' and v̂ = v - a², else v̂ = v;  d = g' / (sqrt(v̂) + eps);
with \`buffer\` b = momentum · b + d and p -= lr · b, else p -= lr · d.`,
  arguments: {
    n: size,
    p: updated(row),
    g: input(row),
    v: updated(row),
    average: updated(row, { optional: true }),
    buffer: updated(row, { optional: true }),
    lr: scalar,
    alpha: scalar,
    oneMinusAlpha: scalar,
    eps: scalar,
    weightDecay: scalar,
    momentum: scalar,
  },
  split: ["n"],
};
