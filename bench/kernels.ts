import type { Sizes } from "../src/kernels/description.js";
import { BATCHES, CLASSES, DENSE, HIDDEN, productFlop } from "./network.js";
import { type Called, kernelRow } from "./placement.js";
import type { Row } from "./row.js";

/** The messages of a dense layer of n inputs and k outputs, as the layer calls them. */
const messages = (n: number, k: number, batch: number): { message: string; sizes: Sizes; weights: number }[] => [
  { message: "forward", sizes: [false, true, batch, k, n, n, n, k], weights: B },
  { message: "dX", sizes: [false, false, batch, n, k, k, n, n], weights: B },
  { message: "dW", sizes: [true, false, k, n, batch, k, n, n], weights: C },
];

/** Where the operands of `gemm` are among its arguments. */
const [B, C] = [7, 9];

const denseRows = (n: number, k: number, batch: number): Row[] =>
  messages(n, k, batch).map(({ message, sizes }) =>
    kernelRow(
      `product ${message} ${n}-${k} batch ${batch}`,
      { flop: productFlop(batch, k, n) },
      { kernel: "gemm", sizes, withOptional: message === "forward" },
    ),
  );

/** Bound by reading W, or by writing dW, as well: hot and cold. */
const largeRows = (n: number, k: number, batch: number): Row[] =>
  ["", " cold"].flatMap((cold) =>
    messages(n, k, batch).map(({ message, sizes, weights }) =>
      kernelRow(
        `product ${message} ${n}-${k}${cold} batch ${batch}`,
        { flop: productFlop(batch, k, n) },
        {
          kernel: "gemm",
          sizes,
          withOptional: message === "forward",
          isCold: cold !== "",
          moved: { argument: weights, floats: n * k, isWritten: weights === C },
        },
      ),
    ),
  );

function squareRow(size: number): Row {
  const sizes = [false, false, size, size, size, size, size, size];
  return kernelRow(`product square ${size}`, { flop: productFlop(size, size, size) }, { kernel: "gemm", sizes });
}

/** What runs between the products, at the hidden layers' and the logits' width. */
function elementwiseRows(batch: number): Row[] {
  const size = batch * HIDDEN;
  const pass = (name: string, called: Called): Row =>
    kernelRow(`${name} ${HIDDEN} batch ${batch}`, { elements: size }, called);
  const sizes = [batch, HIDDEN, 1];
  return [
    pass("prelu", { kernel: "prelu", sizes }),
    pass("preluBackward", { kernel: "preluBackward", sizes }),
    pass("preluBackward+sums", { kernel: "preluBackward", sizes, withOptional: true }),
    pass("channelSums", { kernel: "channelSums", sizes }),
    pass("relu", { kernel: "relu", sizes: [size] }),
    pass("elu", { kernel: "elu", sizes: [size], values: [1] }),
    pass("eluBackward", { kernel: "eluBackward", sizes: [size], values: [1] }),
    kernelRow(
      `softmaxCrossEntropy ${CLASSES} batch ${batch}`,
      { elements: batch * CLASSES },
      { kernel: "softmaxCrossEntropy", sizes: [batch, CLASSES], values: [1 / batch, 0] },
    ),
  ];
}

/** Over a parameter of n numbers, at a learning rate of 0: a parameter that runs away would end in infinities. */
function updateRows(n: number): Row[] {
  const update = (name: string, called: Omit<Called, "sizes">): Row =>
    kernelRow(`${name} ${n}`, { elements: n }, { ...called, sizes: [n] });
  return [
    update("sgd", { kernel: "sgd", values: [0, 0, 0, 0, 1] }),
    update("sgd+momentum", { kernel: "sgd", values: [0, 0, 0.9, 0.9, 1], withOptional: true }),
    update("adam", { kernel: "adam", values: [0, 1 - 0.9, 0.999, 1 - 0.999, 1, 1e-8, 0, 1], variances: 3 }),
    update("rmsprop", { kernel: "rmsprop", values: [0, 0.99, 1 - 0.99, 1e-8, 0, 0], variances: 2 }),
    update("addScaled", { kernel: "addScaled", values: [1e-9] }),
  ];
}

/** Layers whose weights come from memory, at the batches of a service that learns on the job: bound by writing dW, and by reading W. */
const LARGE = [
  [1024, 1024],
  [4096, 4096],
  [8192, 512],
] as const;
const SMALL_BATCHES = [1, 8, 16, 32];

const SQUARES = [64, 128, 256, 512, 1024];
/** The largest weight of the network, and a bias. */
const PARAMETERS = [DENSE[0][0] * DENSE[0][1], HIDDEN];
/** As many as stay in the second-level cache. */
const CACHED = 16384;

export const kernelRows: Row[] = [
  ...DENSE.flatMap(([n, k]) => BATCHES.flatMap((batch) => denseRows(n, k, batch))),
  ...LARGE.flatMap(([n, k]) => SMALL_BATCHES.flatMap((batch) => largeRows(n, k, batch))),
  ...SQUARES.map(squareRow),
  ...BATCHES.flatMap(elementwiseRows),
  ...[...PARAMETERS, CACHED].flatMap(updateRows),
];
