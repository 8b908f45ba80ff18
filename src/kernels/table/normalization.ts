import {
  flag,
  input,
  type KernelDescription,
  oneOf,
  output,
  perChannel,
  scalar,
  updated,
  volume,
  volumeSizes,
} from "./vocabulary.js";

const eps = oneOf(1e-5, 0.1);

export const batchNorm: KernelDescription = {
  layout: "statistics",
  formula: `
Batch normalisation in training (torch.nn.BatchNorm*) over x[rows, channels, inner], count = rows · inner >= 2 values a channel:
  mean and biased variance of each channel, as from sums in double;  y = (x - mean) / sqrt(variance + eps) · weight[c] + bias[c]
\`statistics\`[2, channels] gets the means, then the 1 / sqrt(variance + eps), which is 0 where variance + eps is 0 (PyTorch's: y is the
bias then). runningMean and runningVariance become (1 - momentum) · running + momentum · (mean, variance · count / (count - 1)).`,
  arguments: {
    ...volumeSizes,
    x: input(volume),
    weight: input(perChannel),
    bias: input(perChannel),
    eps,
    momentum: scalar,
    runningMean: updated(perChannel),
    runningVariance: updated(perChannel),
    statistics: output([2, "channels"]),
    y: output(volume, { mayBe: "x" }),
  },
  shares: true,
};

export const normalize: KernelDescription = {
  layout: "channels",
  formula: `
Batch normalisation in eval mode: y = (x - mean[c]) · scale + bias[c], scale = weight[c] / sqrt(variance[c] + eps); where that is infinite
x · scale + (bias[c] - mean[c] · scale), PyTorch's order.`,
  arguments: {
    ...volumeSizes,
    x: input(volume),
    weight: input(perChannel),
    bias: input(perChannel),
    eps,
    mean: input(perChannel),
    variance: input(perChannel),
    y: output(volume, { mayBe: "x" }),
  },
  split: ["rows", "channels", "inner"],
};

export const batchNormBackward: KernelDescription = {
  layout: "statistics",
  formula: `
The messages back through \`batchNorm\`, with x̂ = (x - mean) · inverse from its \`statistics\`:
  dbias[c] (+)= Σ dy;   dweight[c] (+)= Σ dy · x̂;   dx = weight · inverse · (dy - Σ dy / count - x̂ · Σ (dy · x̂) / count)`,
  arguments: {
    ...volumeSizes,
    x: input(volume),
    dy: input(volume),
    weight: input(perChannel),
    statistics: input([2, "channels"]),
    dx: output(volume, { mayBe: "dy", optional: true }),
    dweight: output(perChannel, { optional: true, accumulate: "accumulateWeight" }),
    accumulateWeight: flag,
    dbias: output(perChannel, { with: "dweight", accumulate: "accumulateBias" }),
    accumulateBias: flag,
  },
  shares: true,
};
