import { Buffer } from "../buffers.js";
import { checkOptions, checkSize, show } from "../checks.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { Layer } from "../layers/layer.js";
import { crossEntropy, type LossResult } from "../losses.js";
import { Tensor } from "../tensor.js";
import { Batches, type Dataset, gather, inOrder, netEngine, readSamples, type Samples } from "./samples.js";

/** A loss over a batch: the mean over its samples, with its gradient. Labels come as an Int32Array, other targets as a tensor. */
// biome-ignore lint/suspicious/noExplicitAny: the targets are whatever the loss takes
export type Loss = (output: Tensor, target: any) => LossResult;

export interface EvaluateOptions {
  batchSize?: number;
  loss?: Loss;
}

export interface Evaluation {
  loss: number;
  /** Share of samples whose largest output is at their label, 0..1; NaN where the targets are no labels. */
  accuracy: number;
}

const DEFAULT_BATCH = 256;

export function checkNet(net: unknown, what: string): asserts net is Layer {
  if (!(net instanceof Layer)) throw new ArgumentError(`${what}: got ${show(net)}, expected a Layer`);
}

export function checkLoss(loss: unknown, what: string): void {
  if (typeof loss !== "function") throw new ArgumentError(`${what}: loss: got ${show(loss)}, expected a function`);
}

/** Notes the mode of every layer; the result puts them back. */
export function rememberModes(net: Layer): () => void {
  const modes: [Layer, boolean][] = [];
  const visit = (layer: Layer): void => {
    modes.push([layer, layer.training]);
    for (const [, child] of layer.children()) visit(child);
  };
  visit(net);
  return () => {
    for (const [layer, training] of modes) layer.training = training;
  };
}

/** Runs `work` in eval mode and gives every layer its own mode back. */
export function inEvalMode<T>(net: Layer, work: () => T): T {
  const restore = rememberModes(net);
  net.eval();
  try {
    return work();
  } finally {
    restore();
  }
}

/** Mean loss and accuracy over batches in eval mode; the mode is restored. `batches` is not disposed. */
export function evaluateBatches(net: Layer, batches: Batches, batchSize: number, loss: Loss): Evaluation {
  const order = inOrder(batches.count);
  let lossSum = 0;
  let correct = 0;
  inEvalMode(net, () => {
    for (let start = 0; start < batches.count; start += batchSize) {
      const { x, y, size } = batches.take(order, start, batchSize);
      const output = net.forward(x);
      lossSum += loss(output, y).loss * size;
      if (y instanceof Int32Array) correct += countCorrect(output, y);
    }
  });
  return { loss: lossSum / batches.count, accuracy: batches.hasLabels ? correct / batches.count : Number.NaN };
}

/** How many rows have their (first) largest value at their label. */
function countCorrect(output: Tensor, labels: Int32Array): number {
  const { data } = output;
  const classes = data.length / labels.length;
  let correct = 0;
  for (let i = 0; i < labels.length; i++) {
    let best = 0;
    for (let j = 1; j < classes; j++) if (data[i * classes + j] > data[i * classes + best]) best = j;
    if (best === labels[i]) correct++;
  }
  return correct;
}

/**
 * Mean loss (each batch weighted by its size) and accuracy of a net over a data set, in eval mode; the mode is restored.
 * Throws ShapeError for no samples and for shapes that do not fit, ArgumentError for labels out of range.
 */
export function evaluate(net: Layer, data: Dataset, options?: EvaluateOptions): Evaluation {
  checkNet(net, "evaluate");
  const { batchSize = DEFAULT_BATCH, loss = crossEntropy } = checkOptions(options, "evaluate");
  checkSize(batchSize, "evaluate: batchSize");
  checkLoss(loss, "evaluate");
  const batches = new Batches(net, data, "evaluate");
  if (batches.count === 0) throw new ShapeError("evaluate: got no samples, expected at least one");
  try {
    return evaluateBatches(net, batches, batchSize, loss);
  } finally {
    batches.dispose();
  }
}

/**
 * The net's outputs for x, one after the other, in eval mode, copied out; the mode is restored. A Tensor [n] or a flat number[] is one
 * sample; a Float32Array or Uint8Array (0..255 becomes 0..1) is as many as fit the first Linear layer.
 */
export function predict(net: Layer, x: Samples): Float32Array {
  checkNet(net, "predict");
  const isSample = x instanceof Tensor ? x.shape.length < 2 : Array.isArray(x) && typeof x[0] === "number";
  if (isSample) return inEvalMode(net, () => net.forward(x as Tensor).data.slice());
  const rows = readSamples(net, x, undefined, "predict");
  const order = inOrder(rows.count);
  const buffer = new Buffer(netEngine(net));
  const parts: Float32Array[] = [];
  try {
    inEvalMode(net, () => {
      for (let start = 0; start < rows.count; start += DEFAULT_BATCH) {
        const batch = gather(rows, order.subarray(start, start + DEFAULT_BATCH), buffer);
        parts.push(net.forward(batch).data.slice());
      }
    });
  } finally {
    buffer.dispose();
  }
  const result = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    result.set(part, position);
    position += part.length;
  }
  return result;
}
