import { checkOptions, checkSize } from "../checks.js";
import { checkNet, checkOutput, type Layer } from "../layers/layer.js";
import { inEvalMode } from "../layers/modes.js";
import { bceWithLogits, crossEntropy } from "../losses.js";
import { largestAt } from "../readout.js";
import type { Tensor } from "../tensor.js";
import { Batches } from "./batches.js";
import { checkLoss, checkLossResult, type Loss } from "./loss.js";
import { type Dataset, readDataset } from "./samples.js";
import { type TargetKind, targetKind } from "./targets.js";
import type { Steps } from "./turns.js";

/** How `evaluate` measures. */
export interface EvaluateOptions {
  /** Samples in a batch, >= 1; default 256. The result does not depend on it beyond rounding. */
  batchSize?: number;
  /** Default crossEntropy. */
  loss?: Loss;
  /** What y is; see `fit`. */
  targets?: TargetKind;
}

/** What `evaluate` returns. */
export interface Evaluation {
  /** The mean over the samples, each batch weighted by its size. */
  loss: number;
  /**
   * 0..1. For labels: the share of them at which the output is largest. With bceWithLogits: the share of values for which sigmoid(logit) and
   * target are on the same side of 0.5. NaN for other targets.
   */
  accuracy: number;
}

const OPTIONS = ["batchSize", "loss", "targets"] as const;
export const TEST_BATCH = 256;

/**
 * Mean loss and accuracy, a step for each batch: between them `fit` gives the event loop its turns. The net is in eval mode only
 * during a step. The caller disposes `batches`.
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
      const batch = batches.take({ order: batches.order, start, size });
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

/** How many labels or sides of 0.5 the outputs get right; NaN for other targets. */
function countCorrect(output: Tensor, target: Int32Array | Tensor, loss: Loss): number {
  const { data } = output;
  if (target instanceof Int32Array) return countLabels(data, target);
  return loss === bceWithLogits ? countSides(data, target.data) : Number.NaN;
}

/** How many rows have their largest value at their label. Of equals the first counts; NaN is the largest, as in PyTorch. */
function countLabels(data: Float32Array, labels: Int32Array): number {
  const classes = data.length / labels.length;
  if (!Number.isInteger(classes)) return Number.NaN;
  let correct = 0;
  for (let i = 0; i < labels.length; i++) if (largestAt(data, i * classes, classes) === labels[i]) correct++;
  return correct;
}

/** How many logits are on their target's side: above 0.5, or not. A NaN is on neither. */
function countSides(logits: Float32Array, targets: Float32Array): number {
  let correct = 0;
  for (let i = 0; i < logits.length; i++) if (targets[i] > 0.5 ? logits[i] > 0 : logits[i] <= 0) correct++;
  return correct;
}

/**
 * Mean loss and accuracy of a net over a data set, in eval mode. Afterwards the net is in the mode it was in before.
 *
 * Throws ShapeError for no samples and for shapes that do not fit, ArgumentError for a wrong option, labels out of range and other wrong
 * values, StateError for a net that was disposed, EngineError for data of another engine.
 */
export function evaluate(net: Layer, data: Dataset, options?: EvaluateOptions): Evaluation {
  checkNet(net, "evaluate");
  const { batchSize = TEST_BATCH, loss = crossEntropy, targets } = checkOptions(options, OPTIONS, "evaluate");
  checkSize(batchSize, "evaluate: batchSize");
  checkLoss(loss, "evaluate");
  const kind = targetKind(targets, loss, "evaluate");
  net.assertUsable();
  const batches = new Batches(net, readDataset(data, "evaluate"), kind, loss, "evaluate");
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
