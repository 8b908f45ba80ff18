import { input, integers, type KernelDescription, oneOf, output, row, scalar, size } from "./vocabulary.js";

export const softmaxCrossEntropy: KernelDescription = {
  layout: "classes",
  formula: `
Softmax cross-entropy of logits[rows, classes] with int32 \`labels\`[rows], label smoothing s (PyTorch's):
  target t = (1 - s) · onehot + s / classes;      grad = (softmax(logits) - t) · scale
Returns the unscaled sum of the rows' losses, -Σ t · log softmax(logits). Labels are in range (the caller checks).`,
  arguments: {
    rows: size,
    classes: size,
    logits: input(["rows", "classes"]),
    labels: integers(["rows"], "classes"),
    grad: output(["rows", "classes"]),
    scale: scalar,
    smoothing: oneOf(0, 0.1),
  },
  returns: "number",
};

export const squaredError: KernelDescription = {
  layout: "elements",
  formula: "Σ (y - target)², unscaled; grad = 2 · (y - target) · scale.",
  arguments: { n: size, y: input(row), target: input(row), grad: output(row), scale: scalar },
  returns: "number",
};

export const binaryCrossEntropy: KernelDescription = {
  layout: "elements",
  formula: `
Σ (z < 0 ? -target : 1 - target) · z + log(1 + exp(-|z|)), unscaled, in which nothing cancels for targets in 0..1; NaN where z is
-Infinity (PyTorch's). grad = (sigmoid(z) - target) · scale.`,
  arguments: { n: size, z: input(row), target: input(row), grad: output(row), scale: scalar },
  returns: "number",
};
