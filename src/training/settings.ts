import {
  checkBoolean,
  checkNonNegative,
  checkOneOf,
  checkOptions,
  checkSeed,
  checkSize,
  isArray,
  reading,
  show,
} from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Signal } from "../host-types.js";
import type { Layer, Parameter } from "../layers/layer.js";
import { bceWithLogits, crossEntropy } from "../losses.js";
import { isTensor, type Tensor } from "../tensor.js";
import {
  type CheckpointOptions,
  type CheckpointSettings,
  type FilePath,
  readCheckpointSettings,
} from "./checkpoint-file.js";
import { checkLoss, type Loss } from "./loss.js";
import type { Dataset, TrainingData } from "./samples.js";
import type { Schedule } from "./schedules.js";
import { type TargetKind, targetKind } from "./targets.js";

/** What `fit` needs of an optimizer: one of lanegrad's, or your own. */
export interface Stepper {
  /** Updates the parameters by their gradients. */
  step(): void;
  /** The learning rate, for the record of an epoch, and for a schedule to set. */
  lr?: number;
}

/** When `fit` ends because the test gets no better. */
export interface EarlyStoppingOptions {
  /** After how many epochs in a row without an improvement the training ends, an integer >= 1. */
  patience: number;
  /** By how much more than this the metric must improve to count, finite and >= 0; default 0. */
  minDelta?: number;
  /** What is watched: "testLoss" (default), which is to fall, or "accuracy", which is to rise. */
  metric?: "testLoss" | "accuracy";
  /** Whether the net gets back the parameters and running statistics of its best epoch, however the training ends; default true. */
  restoreBest?: boolean;
}

/** What `onBatch` is told. */
export interface BatchInfo {
  /** From 1. */
  epoch: number;
  /** From 1 in each epoch. */
  batch: number;
  /** How many batches an epoch has. */
  batches: number;
  /** Samples in this batch. */
  size: number;
  /** The batch's loss before its step. */
  loss: number;
}

/** What `fit` notes of an epoch. */
export interface EpochRecord {
  /** From 1. */
  epoch: number;
  /** The mean over the epoch's samples, each batch's loss taken before its step. */
  loss: number;
  /** The mean loss on the test data, if there are any. */
  testLoss?: number;
  /** On the test data, 0..1, for labels or bceWithLogits; see `evaluate`. */
  accuracy?: number;
  /** The optimizer's learning rate at the end of the epoch, if it has one. */
  lr?: number;
  /** Training time, without the test. */
  seconds: number;
}

/** What `fit` trains on, and how. */
export interface FitOptions {
  /** What to train on. */
  train: TrainingData;
  /**
   * What to test on after each epoch; default: no test. A number between 0 and 1 is the share of the training data that is held out for it:
   * at least one sample, drawn by the seed.
   */
  test?: Dataset | number;
  /** How many times to go through the training data, >= 1. */
  epochs: number;
  /** Samples in a batch, >= 1. The last batch of an epoch may be shorter. */
  batchSize: number;
  /** Over parameters of the net; those that it leaves out stay as they are. */
  optimizer: Stepper;
  /** Default crossEntropy. */
  loss?: Loss;
  /**
   * What y is, whatever its values. "labels" (the default with crossEntropy) are integers: one a sample, or as many as the net gives rows of
   * output for a sample. The loss gets them as an Int32Array. "values" (the default with any other loss, your own included) are numbers,
   * read as x is. The loss gets them as a Tensor [N, ...]; in a flat array, in the outputs' shape.
   */
  targets?: TargetKind;
  /**
   * The factor of every group's learning rate at each step; default: none. When the training ends, however it does, the groups have their
   * learning rates back. What is written to `lr` meanwhile lasts until the next step.
   */
  schedule?: Schedule;
  /** The largest norm of all gradients of the net together, >= 0: before each step `clipGradNorm` limits them. Default: none. */
  clipNorm?: number;
  /**
   * How many batches make a step, >= 1; default 1. Their gradients are averaged: the step is that of one larger batch, but for rounding and for
   * what BatchNorm sees. The last step of an epoch may have fewer.
   */
  accumulate?: number;
  /** For crossEntropy: how much each class counts, finite and >= 0, as its option `weight`. Only in the training, not in the test. */
  classWeights?: readonly number[] | Float32Array | Float64Array;
  /**
   * How much each sample of the training data counts, finite and >= 0; here or in `train`. The loss of a batch is Σ weight · loss / Σ weight,
   * so that a weight of 2 is as the sample twice. The loss must be a mean over samples.
   */
  sampleWeights?: TrainingData["sampleWeights"];
  /** Ends the training when the test gets no better; needs `test`. Default: none. */
  earlyStopping?: EarlyStoppingOptions;
  /**
   * A file that keeps the training: if it is there, `fit` goes on where it was written, with the same bits as a training that was never
   * interrupted. See `CheckpointOptions`.
   */
  checkpoint?: FilePath | CheckpointOptions;
  /** Whether every epoch has an order of its own; default true. */
  shuffle?: boolean;
  /** Seed of the order, a safe integer; default: a draw from the engine's generator. */
  seed?: number;
  /** Whether to go on after a loss that is NaN or infinite; default false. */
  allowNonFinite?: boolean;
  /** Called after each batch, and awaited. `false` ends the training; the epoch that it cuts short has no record. */
  onBatch?: (info: BatchInfo) => unknown;
  /** Called after each epoch, and awaited. `false` ends the training. */
  onEpoch?: (record: EpochRecord) => unknown;
  /** An AbortSignal: `fit` rejects with its reason after the current batch. */
  signal?: Signal;
}

const OPTIONS = [
  "train",
  "test",
  "epochs",
  "batchSize",
  "optimizer",
  "loss",
  "targets",
  "schedule",
  "clipNorm",
  "accumulate",
  "classWeights",
  "sampleWeights",
  "earlyStopping",
  "checkpoint",
  "shuffle",
  "seed",
  "allowNonFinite",
  "onBatch",
  "onEpoch",
  "signal",
] as const;

/** Checked options with their defaults. The data have not been read yet. */
export interface Settings extends Omit<FitOptions, "earlyStopping" | "checkpoint"> {
  readonly loss: Loss;
  readonly targets: TargetKind;
  readonly accumulate: number;
  readonly shuffle: boolean;
  readonly allowNonFinite: boolean;
  readonly earlyStopping: Required<EarlyStoppingOptions> | undefined;
  readonly checkpoint: CheckpointSettings | undefined;
}

export function readSettings(options: FitOptions): Settings {
  if (options === undefined) throw new ArgumentError("fit: got undefined, expected an object of options");
  const given = checkOptions(options, OPTIONS, "fit") as FitOptions;
  const {
    loss = crossEntropy,
    shuffle = true,
    allowNonFinite = false,
    accumulate = 1,
    seed,
    optimizer,
    signal,
  } = given;
  checkSize(given.epochs, "fit: epochs");
  checkSize(given.batchSize, "fit: batchSize");
  checkSize(accumulate, "fit: accumulate");
  checkBoolean(shuffle, "fit: shuffle");
  checkBoolean(allowNonFinite, "fit: allowNonFinite");
  if (seed !== undefined) checkSeed(seed, "fit: seed");
  checkLoss(loss, "fit");
  const targets = targetKind(given.targets, loss, "fit");
  checkCallback(given.onBatch, "onBatch");
  checkCallback(given.onEpoch, "onEpoch");
  checkCallback(given.schedule, "schedule");
  const { clipNorm } = given;
  if (clipNorm !== undefined && !(typeof clipNorm === "number" && clipNorm >= 0)) {
    throw new ArgumentError(`fit: clipNorm: got ${show(clipNorm)}, expected a number >= 0`);
  }
  if (typeof given.test === "number" && !(given.test > 0 && given.test < 1)) {
    throw new ArgumentError(`fit: test: got ${given.test}, expected { x, y } or a fraction between 0 and 1`);
  }
  if (reading("fit: optimizer", () => typeof optimizer?.step) !== "function") {
    throw new ArgumentError(`fit: optimizer: got ${show(optimizer)}, expected an optimizer`);
  }
  if (signal !== undefined && !isSignal(signal)) {
    throw new ArgumentError(`fit: signal: got ${show(signal)}, expected an AbortSignal`);
  }
  if (given.classWeights !== undefined && !(loss === crossEntropy && targets === "labels")) {
    throw new ArgumentError(
      "fit: classWeights: the loss is not crossEntropy of labels; a loss of your own weighs by itself",
    );
  }
  const earlyStopping = readEarlyStopping(given, loss, targets);
  const checkpoint = readCheckpointSettings(given.checkpoint, optimizer);
  return { ...given, loss, targets, accumulate, shuffle, allowNonFinite, earlyStopping, checkpoint };
}

function readEarlyStopping(
  { earlyStopping, test }: FitOptions,
  loss: Loss,
  targets: TargetKind,
): Required<EarlyStoppingOptions> | undefined {
  if (earlyStopping === undefined) return undefined;
  const what = "fit: earlyStopping";
  const given = checkOptions(earlyStopping, ["patience", "minDelta", "metric", "restoreBest"], what);
  const { patience, minDelta = 0, metric = "testLoss", restoreBest = true } = given;
  checkSize(patience, `${what}: patience`);
  checkNonNegative(minDelta, `${what}: minDelta`);
  checkOneOf(metric, ["testLoss", "accuracy"], `${what}: metric`);
  checkBoolean(restoreBest, `${what}: restoreBest`);
  if (test === undefined)
    throw new ArgumentError(`${what}: there is no test to watch: give { x, y } or a fraction as test`);
  if (metric === "accuracy" && !(targets === "labels" || loss === bceWithLogits)) {
    throw new ArgumentError(`${what}: metric: got "accuracy", which these targets do not have, expected "testLoss"`);
  }
  return { patience: patience!, minDelta, metric, restoreBest };
}

export function checkCallback(callback: unknown, name: string, what = "fit"): void {
  if (callback !== undefined && typeof callback !== "function") {
    throw new ArgumentError(`${what}: ${name}: got ${show(callback)}, expected a function`);
  }
}

/** An AbortSignal of any realm. */
export function isSignal(signal: unknown, what = "fit"): boolean {
  return reading(`${what}: signal`, () => {
    const { aborted, addEventListener } = Object(signal);
    return typeof aborted === "boolean" && typeof addEventListener === "function";
  });
}

/** Throws an ArgumentError for one of our optimizers that has no parameter of the net. */
export function checkOptimizer(optimizer: Stepper, net: Layer, parameters: readonly Parameter[]): void {
  const stepped = reading("fit: optimizer", () => {
    const { groups } = optimizer as { groups?: readonly { params: readonly { value: Tensor }[] }[] };
    return isArray(groups) ? groups.flatMap(({ params }) => params.map(({ value }) => value)) : undefined;
  });
  if (stepped === undefined) return;
  const own = new Set(parameters.map(({ value }) => value.memory));
  if (!stepped.some((value) => isTensor(value) && own.has(value.memory))) {
    throw new ArgumentError(
      `fit: optimizer: got ${show(optimizer)} without a parameter of ${net.describe()}, expected one over net.parameters()`,
    );
  }
}
