import {
  flag,
  input,
  type KernelDescription,
  output,
  perChannel,
  row,
  scalar,
  size,
  updated,
  volume,
  volumeSizes,
} from "./vocabulary.js";

export const channelSums: KernelDescription = {
  layout: "channels",
  formula: `
Bias gradient: y[c] (+)= Σ over r and i of x[r, c, i], x[rows, channels, inner]. Nothing to sum gives zeros. inner = 1: the sums of
columns. However many there are, float32 adds up at most 64 in a row: from there on sums are carried in double.`,
  arguments: {
    ...volumeSizes,
    x: input(volume),
    y: output(perChannel, { accumulate: "accumulate" }),
    accumulate: flag,
  },
  shares: true,
};

export const fill: KernelDescription = {
  layout: "elements",
  formula: "x[i] = value",
  arguments: { n: size, x: output(row), value: scalar },
  split: ["n"],
};

export const scale: KernelDescription = {
  layout: "elements",
  formula: "x[i] = factor · x[i]",
  arguments: { n: size, x: updated(row), factor: scalar },
  split: ["n"],
};

export const addProduct: KernelDescription = {
  layout: "elements",
  formula: "z[i] (+)= factor · x[i] · y[i]",
  arguments: {
    n: size,
    factor: scalar,
    x: input(row),
    y: input(row, { mayBe: "x" }),
    z: output(row, { mayBe: "x", accumulate: "accumulate" }),
    accumulate: flag,
  },
  split: ["n"],
};

export const sumOfSquares: KernelDescription = {
  layout: "elements",
  formula: "Σ x[i]², in double.",
  arguments: { n: size, x: input(row) },
  returns: "number",
};

export const addScaled: KernelDescription = {
  layout: "elements",
  formula: "y[i] += scale · x[i]",
  arguments: { n: size, x: input(row), y: updated(row, { mayBe: "x" }), scale: scalar },
  split: ["n"],
};
