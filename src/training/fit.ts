import { reading } from "../checks.js";
import { ShapeError, StateError } from "../errors.js";
import { checkOutput, type Layer, type Parameter } from "../layers/layer.js";
import { RandomGenerator } from "../random.js";
import type { Tensor } from "../tensor.js";
import { rememberState, statisticsOf, undoing } from "../undo.js";
import { Batches } from "./batches.js";
import { claim } from "./claims.js";
import { divergence } from "./divergence.js";
import { evaluationSteps, TEST_BATCH } from "./evaluate.js";
import { checkLossResult, checkNet, layersOf, rememberModes, setMode } from "./modes.js";
import { type Selection, VALUES_A_SLICE } from "./rows.js";
import {
  type BatchInfo,
  checkOptimizer,
  type EpochRecord,
  type FitOptions,
  readSettings,
  type Settings,
} from "./settings.js";
import { now, type Steps, Turns } from "./turns.js";

/**
 * Trains a net: for every batch zeroGrad, forward, loss, parameter message, step. The last, shorter batch is trained on too. Between
 * batches the event loop gets a turn at least every 10 ms; a batch is not interrupted. Afterwards the net is in the mode it was in before.
 *
 * Resolves to a record for each epoch. Rejects with ArgumentError or ShapeError for wrong options or data, mostly before anything is
 * trained; with StateError for a net that was disposed or a part of which is being fitted already; with the signal's reason.
 * A loss that is NaN or infinite ends the training with a StateError, which says where the first such value was; that batch is not trained
 * on. This error, and a signal's reason if it is an object, have the records so far as `history`. A batch that fails before its step
 * changes nothing.
 */
export async function fit(net: Layer, options: FitOptions): Promise<EpochRecord[]> {
  checkNet(net, "fit");
  const settings = readSettings(options);
  const history: EpochRecord[] = [];
  heedSignal(settings, history);
  const layers = layersOf(net);
  const parameters = net.parameters();
  assertUsable(net, parameters);
  checkOptimizer(settings.optimizer, net, parameters);
  const { loss, targets, batchSize } = settings;
  const train = new Batches(net, settings.train, targets, loss, "fit: train");
  const test = settings.test === undefined ? undefined : new Batches(net, settings.test, targets, loss, "fit: test");
  const release = claim(net, layers);
  const restoreModes = rememberModes(layers);
  try {
    checkShapes(net, layers, train, test, batchSize);
    restoreModes();
    return await new Training(net, layers, parameters, settings, train, test, history).run();
  } finally {
    release();
    restoreModes();
    train.dispose();
    test?.dispose();
  }
}

function assertUsable(net: Layer, parameters: readonly Parameter[]): void {
  net.assertUsable();
  for (const { name, value, grad } of parameters) {
    if (value.disposed || grad.disposed) {
      throw new StateError(`fit: ${net.describe()} was disposed: its parameter ${name} is no more`);
    }
  }
}

/** Throws if the net cannot take one of the batches, or the outputs do not fit the targets, as far as the shapes tell. */
function checkShapes(
  net: Layer,
  layers: readonly Layer[],
  train: Batches,
  test: Batches | undefined,
  batchSize: number,
): void {
  setMode(net, layers, true);
  train.checkShapes(net, Math.min(batchSize, train.count));
  const rest = train.count % batchSize;
  // it may be too short for batch statistics
  if (rest > 0) namingTheLastBatch(rest, train.count, () => train.checkShapes(net, rest));
  setMode(net, layers, false);
  test?.checkShapes(net, Math.min(TEST_BATCH, test.count));
}

function namingTheLastBatch(size: number, count: number, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ShapeError(`fit: the last batch has ${size} of ${count} samples: ${error.message}`);
  }
}

/** One fit, from checked settings to its end. */
class Training {
  readonly #statistics: readonly Tensor[];
  readonly #batches: number;
  readonly #turns = new Turns(() => heedSignal(this.settings, this.history));

  constructor(
    readonly net: Layer,
    readonly layers: readonly Layer[],
    readonly parameters: readonly Parameter[],
    readonly settings: Settings,
    readonly train: Batches,
    readonly test: Batches | undefined,
    readonly history: EpochRecord[],
  ) {
    this.#statistics = statisticsOf(net);
    this.#batches = Math.ceil(train.count / settings.batchSize);
  }

  async run(): Promise<EpochRecord[]> {
    const { train, test, settings } = this;
    await this.#turns.run(train.check());
    if (test !== undefined) await this.#turns.run(test.check());
    const generator = new RandomGenerator(settings.seed ?? train.engine.generator.nextSeed());
    const order = settings.shuffle ? new Uint32Array(train.count) : undefined;
    if (order !== undefined) await this.#turns.run(putInOrder(order));
    for (let epoch = 1; epoch <= settings.epochs; epoch++) {
      if (order !== undefined) await this.#turns.run(shuffle(order, generator));
      const record = await this.#epoch(epoch, order);
      if (record === undefined) break;
      this.history.push(record);
      const answer = await settings.onEpoch?.(record);
      heedSignal(settings, this.history);
      if (answer === false) break;
    }
    return this.history;
  }

  /** undefined if `onBatch` ended the training. */
  async #epoch(epoch: number, order: Uint32Array | undefined): Promise<EpochRecord | undefined> {
    const { train, settings } = this;
    const { batchSize, onBatch } = settings;
    const begin = now();
    let lossSum = 0;
    for (let batch = 1; batch <= this.#batches; batch++) {
      const start = (batch - 1) * batchSize;
      const size = Math.min(batchSize, train.count - start);
      const loss = this.#batch({ order, start, size }, epoch, batch);
      lossSum += loss * size;
      const info: BatchInfo = { epoch, batch, batches: this.#batches, size, loss };
      const answer = await onBatch?.(info);
      const turn = this.#turns.take();
      if (turn !== undefined) await turn;
      heedSignal(settings, this.history);
      if (answer === false) return undefined;
    }
    const seconds = (now() - begin) / 1000;
    const record: EpochRecord = { epoch, loss: lossSum / train.count, ...(await this.#evaluation()), seconds };
    const lr = reading("fit: optimizer: lr", () => settings.optimizer.lr);
    if (typeof lr === "number") record.lr = lr;
    return record;
  }

  /** Trains on a batch and returns its loss. What fails before the step changes nothing. */
  #batch(selection: Selection, epoch: number, batch: number): number {
    const { net, train, settings } = this;
    assertUsable(net, this.parameters);
    const data = train.take(selection);
    const undoStatistics = rememberState(this.#statistics);
    const undoZeroGrad = zeroGrad(net, this.parameters);
    const undo = () => {
      undoStatistics();
      undoZeroGrad();
    };
    return undoing(undo, () => {
      setMode(net, this.layers, true);
      const output = checkOutput(net.forward(data.x), net);
      const target = train.targetsFor(output, data);
      const { loss, grad } = checkLossResult(settings.loss(output, target), output, "fit");
      if (!settings.allowNonFinite && !Number.isFinite(loss)) {
        const batches = this.#batches;
        const { parameters } = this;
        throw carrying(divergence({ epoch, batch, batches, loss, selection, data, output, parameters }), this.history);
      }
      net.backwardParams(grad);
      settings.optimizer.step();
      return loss;
    });
  }

  async #evaluation(): Promise<Pick<EpochRecord, "testLoss" | "accuracy">> {
    if (this.test === undefined) return {};
    const steps = evaluationSteps(this.net, this.test, TEST_BATCH, this.settings.loss, "fit: test");
    const { loss, accuracy } = await this.#turns.run(steps);
    return Number.isNaN(accuracy) ? { testLoss: loss } : { testLoss: loss, accuracy };
  }
}

/** Throws the signal's reason if it was aborted. */
function heedSignal({ signal }: Settings, history: EpochRecord[]): void {
  if (signal === undefined) return;
  const { aborted, reason } = reading("fit: signal", () => ({ aborted: signal.aborted, reason: signal.reason }));
  if (aborted) throw carrying(reason, history);
}

/** What is to be thrown, with the records so far if it can take a property. */
function carrying(thrown: unknown, history: EpochRecord[]): unknown {
  try {
    Reflect.defineProperty(thrown as object, "history", { value: history, writable: true, configurable: true });
  } catch {
    // not an object, or a proxy that refuses
  }
  return thrown;
}

/** zeroGrad of a net. The result undoes it for gradients that were not written since: zeroGrad itself only marks them. */
function zeroGrad(net: Layer, parameters: readonly Parameter[]): () => void {
  const before = parameters.map(({ grad }) => grad.flags);
  net.zeroGrad();
  const versions = parameters.map(({ grad }) => grad.version);
  return () => {
    parameters.forEach(({ grad }, i) => {
      if (grad.flags.zeroPending && grad.version === versions[i]) grad.putBack(before[i]);
    });
  };
}

/** 0, 1, 2, ...; yields now and then. */
function* putInOrder(order: Uint32Array): Steps {
  for (let start = 0; start < order.length; start += VALUES_A_SLICE) {
    const end = Math.min(start + VALUES_A_SLICE, order.length);
    for (let i = start; i < end; i++) order[i] = i;
    yield;
  }
}

/** How many places are shuffled between two turns of the event loop. */
const PLACES_A_SLICE = 1 << 13;

/** Shuffles an ordered list; yields now and then. */
function* shuffle(order: Uint32Array, generator: RandomGenerator): Steps {
  for (let from = order.length - 1; from > 0; from -= PLACES_A_SLICE) {
    generator.shuffle(order, from, Math.max(from - PLACES_A_SLICE, 0));
    yield;
  }
}
