import { checkBoolean, checkOptions, checkSeed, checkSize, isArray, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Signal } from "../host-types.js";
import type { Layer, Parameter } from "../layers/layer.js";
import { crossEntropy } from "../losses.js";
import { isTensor, type Tensor } from "../tensor.js";
import { checkLoss, type Loss } from "./modes.js";
import type { Dataset } from "./samples.js";
import { type TargetKind, targetKind } from "./targets.js";

/** What `fit` needs of an optimizer: one of lanegrad's, or your own. */
export interface Stepper {
  /** Updates the parameters by their gradients. */
  step(): void;
  /** The learning rate, for the record of an epoch. */
  readonly lr?: number;
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
  train: Dataset;
  /** What to test on after each epoch; default: no test. */
  test?: Dataset;
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
  "shuffle",
  "seed",
  "allowNonFinite",
  "onBatch",
  "onEpoch",
  "signal",
] as const;

/** Checked options with their defaults. The data have not been read yet. */
export interface Settings extends FitOptions {
  readonly loss: Loss;
  readonly targets: TargetKind;
  readonly shuffle: boolean;
  readonly allowNonFinite: boolean;
}

export function readSettings(options: FitOptions): Settings {
  if (options === undefined) throw new ArgumentError("fit: got undefined, expected an object of options");
  const given = checkOptions(options, OPTIONS, "fit") as FitOptions;
  const { loss = crossEntropy, shuffle = true, allowNonFinite = false, seed, optimizer, signal } = given;
  checkSize(given.epochs, "fit: epochs");
  checkSize(given.batchSize, "fit: batchSize");
  checkBoolean(shuffle, "fit: shuffle");
  checkBoolean(allowNonFinite, "fit: allowNonFinite");
  if (seed !== undefined) checkSeed(seed, "fit: seed");
  checkLoss(loss, "fit");
  const targets = targetKind(given.targets, loss, "fit");
  checkCallback(given.onBatch, "onBatch");
  checkCallback(given.onEpoch, "onEpoch");
  if (reading("fit: optimizer", () => typeof optimizer?.step) !== "function") {
    throw new ArgumentError(`fit: optimizer: got ${show(optimizer)}, expected an optimizer`);
  }
  if (signal !== undefined && !isSignal(signal)) {
    throw new ArgumentError(`fit: signal: got ${show(signal)}, expected an AbortSignal`);
  }
  return { ...given, loss, targets, shuffle, allowNonFinite };
}

function checkCallback(callback: unknown, name: string): void {
  if (callback !== undefined && typeof callback !== "function") {
    throw new ArgumentError(`fit: ${name}: got ${show(callback)}, expected a function`);
  }
}

/** An AbortSignal of any realm. */
function isSignal(signal: unknown): boolean {
  return reading("fit: signal", () => {
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
