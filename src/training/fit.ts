import { checkBoolean, checkOptions, checkSeed, checkSize, show } from "../checks.js";
import { ArgumentError, ShapeError, StateError } from "../errors.js";
import type { Signal } from "../host.js";
import type { Layer } from "../layers/layer.js";
import { crossEntropy } from "../losses.js";
import { Generator } from "../random.js";
import { type Evaluation, evaluationSteps } from "./evaluate.js";
import { checkLoss, checkLossResult, checkNet, type Loss, rememberModes } from "./modes.js";
import { Batches, type Dataset, inOrder, netEngine } from "./samples.js";

/** What `fit` asks of an optimizer. */
export interface Stepper {
  step(): void;
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
  /** On the test data, where it has labels; 0..1. */
  accuracy?: number;
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
  /** Another order in every epoch. */
  shuffle?: boolean;
  /** Of the order; a draw from the engine's generator unless given. */
  seed?: number;
  onBatch?: (info: BatchInfo) => void | Promise<void>;
  onEpoch?: (record: EpochRecord) => void | Promise<void>;
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
  "shuffle",
  "seed",
  "onBatch",
  "onEpoch",
  "signal",
] as const;
/** The event loop gets a turn when this much time has gone by since the last one. */
const TURN_MILLISECONDS = 8;
const TEST_BATCH = 256;

const training = new WeakSet<Layer>();

/**
 * Trains a net: for every batch zeroGrad, forward, loss, parameter message, step. The last short batch is kept. Between batches
 * the event loop gets a turn at least every 10 ms (one batch may take longer). The net is left in the mode it was in.
 *
 * Resolves to a record for each epoch. Rejects with ArgumentError or ShapeError for wrong options or data before anything is
 * trained, StateError where the net is being fitted already, and the signal's reason.
 */
export async function fit(net: Layer, options: FitOptions): Promise<EpochRecord[]> {
  checkNet(net, "fit");
  const settings = checkOptions<FitOptions>(options, OPTIONS, "fit") as FitOptions;
  const {
    test,
    epochs,
    batchSize,
    optimizer,
    loss = crossEntropy,
    shuffle = true,
    onBatch,
    onEpoch,
    signal,
  } = settings;
  checkSize(epochs, "fit: epochs");
  checkSize(batchSize, "fit: batchSize");
  checkBoolean(shuffle, "fit: shuffle");
  checkLoss(loss, "fit");
  checkCallback(onBatch, "onBatch");
  checkCallback(onEpoch, "onEpoch");
  if (typeof optimizer?.step !== "function") {
    throw new ArgumentError(`fit: optimizer: got ${show(optimizer)}, expected an optimizer`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ArgumentError(`fit: signal: got ${show(signal)}, expected an AbortSignal`);
  }
  const seed = settings.seed === undefined ? undefined : checkSeed(settings.seed, "fit: seed");
  const train = new Batches(net, settings.train, loss, "fit: train");
  const testBatches = test === undefined ? undefined : new Batches(net, test, loss, "fit: test");
  if (training.has(net)) throw new StateError(`fit: ${net.describe()} is being fitted already`);
  signal?.throwIfAborted();

  checkShapes(net, train, testBatches, batchSize, loss);

  training.add(net);
  const restoreMode = rememberModes(net);
  const generator = new Generator(seed ?? netEngine(net, settings.train.x).generator.nextSeed());
  const order = inOrder(train.count);
  const batches = Math.ceil(train.count / batchSize);
  const history: EpochRecord[] = [];
  const takeTurn = turnTaker();
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      if (shuffle) generator.shuffle(order);
      const begin = performance.now();
      let lossSum = 0;
      for (let batch = 1; batch <= batches; batch++) {
        const { x, y, size } = train.take(order, (batch - 1) * batchSize, batchSize);
        net.train();
        net.zeroGrad();
        const output = net.forward(x);
        if (history.length === 0 && batch === 1) {
          const classes = output.size / size;
          for (const data of [train, testBatches]) data?.checkTargets(classes, loss);
        }
        const result = checkLossResult(loss(output, y), "fit");
        net.backwardParams(result.grad);
        optimizer.step();
        lossSum += result.loss * size;
        await onBatch?.({ epoch, batch, batches, size, loss: result.loss });
        await takeTurn();
        signal?.throwIfAborted();
      }
      const seconds = (performance.now() - begin) / 1000;
      const record: EpochRecord = { epoch, loss: lossSum / train.count, seconds };
      if (testBatches !== undefined) {
        const { loss: testLoss, accuracy } = await evaluateInTurns(net, testBatches, loss, takeTurn);
        record.testLoss = testLoss;
        if (testBatches.hasLabels) record.accuracy = accuracy;
      }
      history.push(record);
      await onEpoch?.(record);
      signal?.throwIfAborted();
    }
    return history;
  } finally {
    training.delete(net);
    restoreMode();
    train.dispose();
    testBatches?.dispose();
  }
}

/** Whether the net takes every batch there will be, and its outputs every target, as far as that can be told. */
function checkShapes(net: Layer, train: Batches, test: Batches | undefined, batchSize: number, loss: Loss): void {
  const restoreMode = rememberModes(net);
  try {
    net.train();
    const outputs = train.checkShape(net, Math.min(batchSize, train.count));
    const rest = train.count % batchSize;
    // too short for batch statistics, it may be
    if (rest > 0) {
      namingTheLastBatch(rest, train.count, () => train.checkShape(net, rest));
    }
    net.eval();
    test?.checkShape(net, Math.min(TEST_BATCH, test.count));
    if (outputs !== undefined) for (const data of [train, test]) data?.checkTargets(outputs, loss);
  } finally {
    restoreMode();
  }
}

function namingTheLastBatch(size: number, count: number, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(`fit: the last batch has ${size} of ${count} samples: ${error.message}`);
  }
}

function checkCallback(callback: unknown, name: string): void {
  if (callback !== undefined && typeof callback !== "function") {
    throw new ArgumentError(`fit: ${name}: got ${show(callback)}, expected a function`);
  }
}

async function evaluateInTurns(
  net: Layer,
  batches: Batches,
  loss: Loss,
  takeTurn: () => Promise<void> | undefined,
): Promise<Evaluation> {
  const steps = evaluationSteps(net, batches, TEST_BATCH, loss);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await takeTurn();
  }
}

/** A function that gives the event loop a turn whenever the last one is long enough ago. */
function turnTaker(): () => Promise<void> | undefined {
  let lastTurn = performance.now();
  return () => {
    if (performance.now() - lastTurn < TURN_MILLISECONDS) return undefined;
    return eventLoopTurn().then(() => {
      lastTurn = performance.now();
    });
  };
}

/** One turn of the event loop, timers and I/O included, as cheaply as the runtime allows. */
function eventLoopTurn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
