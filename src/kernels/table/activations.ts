import {
  flag,
  input,
  type KernelDescription,
  output,
  perChannel,
  row,
  scalar,
  size,
  volume,
  volumeSizes,
} from "./vocabulary.js";

export const prelu: KernelDescription = {
  layout: "channels",
  formula: `
PReLU, y = x > 0 ? x : a · x, over x[rows, channels, inner] with one slope for each channel (a NaN takes the slope's side).
One slope for everything: rows = channels = 1, inner = size.`,
  arguments: { ...volumeSizes, x: input(volume), slope: input(perChannel), y: output(volume, { mayBe: "x" }) },
  split: ["rows", "channels", "inner"],
};

export const preluBackward: KernelDescription = {
  layout: "channels",
  formula: `
PReLU's derivatives in one pass over x, dy [rows, channels, inner]:
  dx = x > 0 ? dy : a · dy;      dslope[c] (+)= Σ (x > 0 ? 0 : dy · x);      dbias[c] (+)= Σ dx
\`dbias\` is that of a layer in front with a bias for each channel. \`accumulate...\` false overwrites that sum, with dbias then as
channelSums has it from dx.`,
  arguments: {
    ...volumeSizes,
    x: input(volume),
    dy: input(volume),
    slope: input(perChannel),
    dx: output(volume, { mayBe: "dy" }),
    dslope: output(perChannel, { optional: true, accumulate: "accumulateSlope" }),
    accumulateSlope: flag,
    dbias: output(perChannel, { optional: true, accumulate: "accumulateBias" }),
    accumulateBias: flag,
  },
  shares: true,
};

export const relu: KernelDescription = {
  layout: "elements",
  formula: "ReLU: y = x < 0 ? 0 : x, so that NaN and -0 stay.",
  arguments: { n: size, x: input(row), y: output(row, { mayBe: "x" }) },
  split: ["n"],
  bits: true,
};

export const reluBackward: KernelDescription = {
  layout: "elements",
  formula: "dx = x <= 0 ? 0 : dy",
  arguments: { n: size, x: input(row), dy: input(row), dx: output(row, { mayBe: "dy" }) },
  split: ["n"],
  bits: true,
};

export const elu: KernelDescription = {
  layout: "elements",
  formula: "ELU: y = x > 0 ? x : alpha · expm1(x), with expm1's relative accuracy near 0.",
  arguments: { n: size, x: input(row), alpha: scalar, y: output(row, { mayBe: "x" }) },
  split: ["n"],
};

export const eluBackward: KernelDescription = {
  layout: "elements",
  formula: "dx = x > 0 ? dy : dy · alpha · exp(x)",
  arguments: { n: size, x: input(row), dy: input(row), alpha: scalar, dx: output(row, { mayBe: "dy" }) },
  split: ["n"],
};

export const exponential: KernelDescription = {
  layout: "elements",
  formula: "y = exp(x)",
  arguments: { n: size, x: input(row), y: output(row, { mayBe: "x" }) },
  split: ["n"],
};
