import { BATCHES, CLASSES, DENSE, HIDDEN, productFlop } from "./network.js";
import { kernelRow } from "./placement.js";
import type { Row } from "./row.js";

/** The three messages of a dense layer of n inputs and k outputs, as the layer calls them. */
function denseRows(n: number, k: number, batch: number): Row[] {
  const work = { flop: productFlop(batch, k, n) };
  const shape = `${n}-${k} batch ${batch}`;
  return [
    kernelRow(`product forward ${shape}`, work, (buffers) => {
      const [x, w, y, bias] = [batch * n, k * n, batch * k, k].map((length) => buffers.floats(length));
      return (ops) => ops.gemm(false, true, batch, k, n, x, n, w, n, y, k, bias, false);
    }),
    kernelRow(`product dX ${shape}`, work, (buffers) => {
      const [dy, w, dx] = [batch * k, k * n, batch * n].map((length) => buffers.floats(length));
      return (ops) => ops.gemm(false, false, batch, n, k, dy, k, w, n, dx, n, 0, false);
    }),
    kernelRow(`product dW ${shape}`, work, (buffers) => {
      const [dy, x, dw] = [batch * k, batch * n, k * n].map((length) => buffers.floats(length));
      return (ops) => ops.gemm(true, false, k, n, batch, dy, k, x, n, dw, n, 0, false);
    }),
  ];
}

function squareRow(size: number): Row {
  return kernelRow(`product square ${size}`, { flop: productFlop(size, size, size) }, (buffers) => {
    const [a, b, c] = [1, 2, 3].map(() => buffers.floats(size * size));
    return (ops) => ops.gemm(false, false, size, size, size, a, size, b, size, c, size, 0, false);
  });
}

/** What runs between the products, at the hidden layers' and the logits' width. */
function elementwiseRows(batch: number): Row[] {
  const width = HIDDEN;
  const size = batch * width;
  const shape = `${width} batch ${batch}`;
  const backward = (name: string, withSums: boolean) =>
    kernelRow(`${name} ${shape}`, { elements: size }, (buffers) => {
      const [x, dy, dx] = [1, 2, 3].map(() => buffers.floats(size));
      const [slope, dslope, dbias] = [1, 2, 3].map(() => buffers.floats(width));
      const [slopeSum, biasSum] = withSums ? [dslope, dbias] : [0, 0];
      return (ops) => ops.preluBackward(batch, width, 1, x, dy, slope, dx, slopeSum, false, biasSum, false);
    });
  return [
    kernelRow(`prelu ${shape}`, { elements: size }, (buffers) => {
      const [x, y, slope] = [size, size, width].map((length) => buffers.floats(length));
      return (ops) => ops.prelu(batch, width, 1, x, slope, y);
    }),
    backward("preluBackward", false),
    backward("preluBackward+sums", true),
    kernelRow(`channelSums ${shape}`, { elements: size }, (buffers) => {
      const [x, y] = [size, width].map((length) => buffers.floats(length));
      return (ops) => ops.channelSums(batch, width, 1, x, y, false);
    }),
    kernelRow(`relu ${shape}`, { elements: size }, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(size));
      return (ops) => ops.relu(size, x, y);
    }),
    kernelRow(`elu ${shape}`, { elements: size }, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(size));
      return (ops) => ops.elu(size, x, 1, y);
    }),
    kernelRow(`eluBackward ${shape}`, { elements: size }, (buffers) => {
      const [x, dy, dx] = [1, 2, 3].map(() => buffers.floats(size));
      return (ops) => ops.eluBackward(size, x, dy, 1, dx);
    }),
    kernelRow(`softmaxCrossEntropy ${CLASSES} batch ${batch}`, { elements: batch * CLASSES }, (buffers) => {
      const [logits, grad] = [1, 2].map(() => buffers.floats(batch * CLASSES));
      const labels = buffers.labels(batch);
      return (ops) => {
        ops.softmaxCrossEntropy(batch, CLASSES, logits, labels, grad, 1 / batch, 0);
      };
    }),
  ];
}

/** Over a parameter of n numbers, at a learning rate of 0: a parameter that runs away would end in infinities. */
function updateRows(n: number): Row[] {
  const work = { elements: n };
  return [
    kernelRow(`sgd ${n}`, work, (buffers) => {
      const [p, g] = [1, 2].map(() => buffers.floats(n));
      return (ops) => ops.sgd(n, p, g, 0, 0, 0, 0, 0, 1, false);
    }),
    kernelRow(`sgd+momentum ${n}`, work, (buffers) => {
      const [p, g, buffer] = [1, 2, 3].map(() => buffers.floats(n));
      return (ops) => ops.sgd(n, p, g, buffer, 0, 0, 0.9, 0.9, 1, false);
    }),
    kernelRow(`adam ${n}`, work, (buffers) => {
      const [p, g, m] = [1, 2, 3].map(() => buffers.floats(n));
      const v = buffers.floats(n, 0, 1);
      return (ops) => ops.adam(n, p, g, m, v, 0, 0, 1 - 0.9, 0.999, 1 - 0.999, 1, 1e-8, 0, 1);
    }),
    kernelRow(`rmsprop ${n}`, work, (buffers) => {
      const [p, g] = [1, 2].map(() => buffers.floats(n));
      const v = buffers.floats(n, 0, 1);
      return (ops) => ops.rmsprop(n, p, g, v, 0, 0, 0, 0.99, 1 - 0.99, 1e-8, 0, 0);
    }),
    kernelRow(`addScaled ${n}`, work, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(n));
      return (ops) => ops.addScaled(n, x, y, 1e-9);
    }),
  ];
}

const SQUARES = [64, 128, 256, 512, 1024];
/** The largest weight of the network, and a bias. */
const PARAMETERS = [DENSE[0][0] * DENSE[0][1], HIDDEN];
/** As many as stay in the second-level cache. */
const CACHED = 16384;

export const kernelRows: Row[] = [
  ...DENSE.flatMap(([n, k]) => BATCHES.flatMap((batch) => denseRows(n, k, batch))),
  ...SQUARES.map(squareRow),
  ...BATCHES.flatMap(elementwiseRows),
  ...[...PARAMETERS, CACHED].flatMap(updateRows),
];
