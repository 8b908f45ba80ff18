import { checkBoolean, checkOptions, checkSeed, checkSize, isArray, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Signal } from "../host-types.js";
import type { Layer, Parameter } from "../layers/layer.js";
import { crossEntropy } from "../losses.js";
import { isTensor, type Tensor } from "../tensor.js";
import { checkLoss, type Loss } from "./modes.js";
import type { Dataset } from "./samples.js";
import { type TargetKind, targetKind } from "./targets.js";

/** What `fit` asks of an optimizer. */
export interface Stepper {
  step(): void;
  readonly lr?: number;
}

export interface BatchInfo {
  /** Both count from 1. */
  epoch: number;
  batch: number;
  /** Batches in an epoch. */
  batches: number;
  /** Samples in this batch. */
  size: number;
  /** The batch's loss before its step. */
  loss: number;
}

export interface EpochRecord {
  /** Counts from 1. */
  epoch: number;
  /** Mean over the epoch's samples, each batch's before its step. */
  loss: number;
  testLoss?: number;
  /** On the test data, as `evaluate` has it: where there are labels, or with bceWithLogits; 0..1. */
  accuracy?: number;
  /** The optimizer's learning rate at the end of the epoch, where it has one. */
  lr?: number;
  /** Training time, without the test. */
  seconds: number;
}

export interface FitOptions {
  train: Dataset;
  test?: Dataset;
  epochs: number;
  batchSize: number;
  optimizer: Stepper;
  loss?: Loss;
  /**
   * What y is, whatever its values: "labels" (default where the loss is crossEntropy) are integers, one a sample or as many as the net has
   * rows of output for it; the loss gets an Int32Array. "values" (default for other losses, a function of your own included) are numbers,
   * read as x is: a Tensor [N, ...]; without axes of their own they take those of the outputs, where they are as many.
   */
  targets?: TargetKind;
  /** Another order in every epoch. */
  shuffle?: boolean;
  /** Of the order; a draw from the engine's generator unless given. */
  seed?: number;
  /** Whether to go on where a batch's loss is NaN or infinite. */
  allowNonFinite?: boolean;
  /** Waited for. `false` ends the training there: the history is that of the epochs before. */
  onBatch?: (info: BatchInfo) => unknown;
  /** Waited for. `false` ends the training. */
  onEpoch?: (record: EpochRecord) => unknown;
  /** Rejects with its reason after the current batch. */
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

/** Options with their defaults, checked. The data are not looked at yet. */
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

/** Throws an ArgumentError for an optimizer of ours that would not change the net. */
export function checkOptimizer(optimizer: Stepper, net: Layer, parameters: readonly Parameter[]): void {
  const stepped = reading("fit: optimizer", () => {
    const { groups } = optimizer as { groups?: readonly { params: readonly { value: Tensor }[] }[] };
    return isArray(groups) ? groups.flatMap(({ params }) => params.map(({ value }) => value)) : undefined;
  });
  if (stepped === undefined) return;
  const own = new Set(parameters.map(({ value }) => value.storage));
  if (!stepped.some((value) => isTensor(value) && own.has(value.storage))) {
    throw new ArgumentError(
      `fit: optimizer: got ${show(optimizer)} without a parameter of ${net.describe()}, expected one over net.parameters()`,
    );
  }
}
