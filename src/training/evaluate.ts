import { Buffer } from "../buffers.js";
import { checkOptions, checkSize } from "../checks.js";
import type { Floats } from "../host.js";
import type { Layer } from "../layers/layer.js";
import { crossEntropy } from "../losses.js";
import { Tensor } from "../tensor.js";
import { readNested } from "../values.js";
import { checkLoss, checkLossResult, checkNet, inEvalMode, type Loss } from "./modes.js";
import { Batches, type Dataset, gather, inOrder, netEngine, readSamples, type Samples } from "./samples.js";

export interface EvaluateOptions {
  batchSize?: number;
  loss?: Loss;
}

export interface Evaluation {
  loss: number;
  /** Share of samples whose largest output is at their label, 0..1; NaN where the targets are no labels. */
  accuracy: number;
}

const OPTIONS = ["batchSize", "loss"] as const;
const DEFAULT_BATCH = 256;

/**
 * Mean loss and accuracy over batches, one step a batch: `fit` gives the event loop turns in between. Each step is in eval mode by
 * itself. `batches` is not disposed.
 */
export function* evaluationSteps(
  net: Layer,
  batches: Batches,
  batchSize: number,
  loss: Loss,
): Generator<undefined, Evaluation> {
  const order = inOrder(batches.count);
  let lossSum = 0;
  let correct = 0;
  for (let start = 0; start < batches.count; start += batchSize) {
    inEvalMode(net, () => {
      const { x, y, size } = batches.take(order, start, batchSize);
      const output = net.forward(x);
      lossSum += checkLossResult(loss(output, y), "evaluate").loss * size;
      if (y instanceof Int32Array) correct += countCorrect(output, y);
    });
    yield;
  }
  return { loss: lossSum / batches.count, accuracy: batches.hasLabels ? correct / batches.count : Number.NaN };
}

/** How many rows have their first largest value at their label; as in PyTorch NaN is the largest of all. */
function countCorrect(output: Tensor, labels: Int32Array): number {
  const { data } = output;
  const classes = data.length / labels.length;
  let correct = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = data.subarray(i * classes, (i + 1) * classes);
    const nan = row.findIndex(Number.isNaN);
    let best = Math.max(nan, 0);
    if (nan < 0) for (let j = 1; j < classes; j++) if (row[j] > row[best]) best = j;
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
  const { batchSize = DEFAULT_BATCH, loss = crossEntropy } = checkOptions(options, OPTIONS, "evaluate");
  checkSize(batchSize, "evaluate: batchSize");
  checkLoss(loss, "evaluate");
  const batches = new Batches(net, data, loss, "evaluate");
  try {
    const steps = evaluationSteps(net, batches, batchSize, loss);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  } finally {
    batches.dispose();
  }
}

/**
 * The net's outputs for x, one after the other, in eval mode, copied out; the mode is restored. A Tensor [n] or a flat number[] is
 * one sample, and so is an image [C, H, W] for a net that begins with Conv2d or MaxPool2d (and flattens nothing behind it: a net with
 * Flatten takes [1, C, H, W]). A Float32Array or Uint8Array (0..255 becomes 0..1) is as many samples as fit the first Linear layer.
 */
export function predict(net: Layer, x: Samples): Floats {
  checkNet(net, "predict");
  const shape =
    x instanceof Tensor ? x.shape : Array.isArray(x) && x.length > 0 ? readNested(x, "predict").shape : undefined;
  const isSample = shape !== undefined && (net.isSample(shape) ?? shape.length < 2);
  if (isSample) return inEvalMode(net, () => net.forward(x as Tensor).data.slice());
  const rows = readSamples(net, x, undefined, "predict", "engine.tensor(data, shape)");
  const order = inOrder(rows.count);
  const buffer = new Buffer(netEngine(net, x));
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
