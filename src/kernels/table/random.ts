import { input, integer, type KernelDescription, key, output, row, scalar, size } from "./vocabulary.js";

// Draws belong to positions, counted from the first element of a call: a call stays whole.

export const uniform: KernelDescription = {
  layout: "elements",
  formula:
    "x[i] uniform on [low, low + span), by key and position (Threefry-2x32): the same draws for every kernel set.",
  arguments: { n: size, x: output(row), key0: key, key1: key, low: scalar, span: scalar },
};

export const normal: KernelDescription = {
  layout: "elements",
  formula: "x[i] normal with mean 0 and standard deviation std, by key and position.",
  arguments: { n: size, x: output(row), key0: key, key1: key, std: scalar },
};

export const dropout: KernelDescription = {
  layout: "elements",
  formula: `
Dropout (torch.nn.Dropout), forward and back: y[i] = x[i] · m[i], m[i] = 0 where the upper 24 bits of the word of element i are
below \`threshold\` (0 .. 2^24), else \`scale\`. Words are those of \`uniform\`, by key and position. A product, so that 0 · NaN and
0 · Infinity are NaN as in PyTorch.`,
  arguments: {
    n: size,
    x: input(row),
    key0: key,
    key1: key,
    threshold: integer(2 ** 24 + 1),
    scale: scalar,
    y: output(row, { mayBe: "x" }),
  },
};
