import { checkOptions, checkSize } from "../checks.js";
import { checkOutput, type Layer } from "../layers/layer.js";
import { bceWithLogits, crossEntropy } from "../losses.js";
import { largestAt } from "../readout.js";
import type { Tensor } from "../tensor.js";
import { Batches } from "./batches.js";
import { checkLoss, checkLossResult, checkNet, inEvalMode, type Loss } from "./modes.js";
import type { Dataset } from "./samples.js";
import { type TargetKind, targetKind } from "./targets.js";
import type { Steps } from "./turns.js";

export interface EvaluateOptions {
  batchSize?: number;
  loss?: Loss;
  /** As for `fit`. */
  targets?: TargetKind;
}

export interface Evaluation {
  loss: number;
  /**
   * In 0..1: the share of labels at which the outputs are largest; with bceWithLogits, of values on the target's side of 0.5. NaN for
   * other targets.
   */
  accuracy: number;
}

const OPTIONS = ["batchSize", "loss", "targets"] as const;
export const TEST_BATCH = 256;

/**
 * Mean loss and accuracy over batches, one step a batch: `fit` gives the event loop turns in between. Each step is in eval mode by
 * itself. `batches` is not disposed.
 */
export function* evaluationSteps(
  net: Layer,
  batches: Batches,
  batchSize: number,
  loss: Loss,
  what: string,
): Steps<Evaluation> {
  const { count } = batches;
  let lossSum = 0;
  let correct = 0;
  let judged = 0;
  for (let start = 0; start < count; start += batchSize) {
    inEvalMode(net, () => {
      const size = Math.min(batchSize, count - start);
      const batch = batches.take({ order: undefined, start, size });
      const output = checkOutput(net.forward(batch.x), net);
      const target = batches.targetsFor(output, batch);
      lossSum += checkLossResult(loss(output, target), output, what).loss * size;
      correct += countCorrect(output, target, loss);
      judged += target instanceof Int32Array ? target.length : target.size;
    });
    yield;
  }
  return { loss: lossSum / count, accuracy: correct / judged };
}

/** How many labels, or sides of 0.5, the outputs have right; NaN where there is neither. */
function countCorrect(output: Tensor, target: Int32Array | Tensor, loss: Loss): number {
  const { data } = output;
  if (target instanceof Int32Array) return countLabels(data, target);
  return loss === bceWithLogits ? countSides(data, target.data) : Number.NaN;
}

/** How many rows have their first largest value at their label; as in PyTorch NaN is the largest of all. */
function countLabels(data: Float32Array, labels: Int32Array): number {
  const classes = data.length / labels.length;
  if (!Number.isInteger(classes)) return Number.NaN;
  let correct = 0;
  for (let i = 0; i < labels.length; i++) if (largestAt(data, i * classes, classes) === labels[i]) correct++;
  return correct;
}

/** How many logits say what their targets do: above 0.5 or not. NaN says neither. */
function countSides(logits: Float32Array, targets: Float32Array): number {
  let correct = 0;
  for (let i = 0; i < logits.length; i++) if (targets[i] > 0.5 ? logits[i] > 0 : logits[i] <= 0) correct++;
  return correct;
}

/**
 * Mean loss (each batch weighted by its size) and accuracy of a net over a data set, in eval mode; the mode is restored.
 * Throws ShapeError for no samples and for shapes that do not fit, ArgumentError for labels out of range and other wrong values.
 */
export function evaluate(net: Layer, data: Dataset, options?: EvaluateOptions): Evaluation {
  checkNet(net, "evaluate");
  const { batchSize = TEST_BATCH, loss = crossEntropy, targets } = checkOptions(options, OPTIONS, "evaluate");
  checkSize(batchSize, "evaluate: batchSize");
  checkLoss(loss, "evaluate");
  const kind = targetKind(targets, loss, "evaluate");
  net.assertUsable();
  const batches = new Batches(net, data, kind, loss, "evaluate");
  try {
    inEvalMode(net, () => batches.checkShapes(net, Math.min(batchSize, batches.count)));
    const steps = evaluationSteps(net, batches, batchSize, loss, "evaluate");
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  } finally {
    batches.dispose();
  }
}
