import { TensorBuffer } from "../buffers.js";
import { reading, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ShapeError, StateError } from "../errors.js";
import { checkNet, checkOutput, type Layer, type Parameter } from "../layers/layer.js";
import { layersOf, rememberModes, setMode } from "../layers/modes.js";
import { clipGradNorm } from "../optimizers/clip.js";
import type { AnyOptimizer } from "../optimizers/optimizer.js";
import { RandomGenerator } from "../random.js";
import type { Tensor } from "../tensor.js";
import { rememberState, statisticsOf, undoing } from "../undo.js";
import { type Conditions, firstPlace, type Resumable, seedOf, settingsOf, startOf } from "./checkpoint.js";
import { Checkpoints } from "./checkpoints.js";
import { claim } from "./claims.js";
import { divergence } from "./divergence.js";
import { EarlyStopping } from "./early-stopping.js";
import { evaluationSteps, TEST_BATCH } from "./evaluate.js";
import { putInOrder, shuffle } from "./order.js";
import { ScheduledRates } from "./rates.js";
import type { Selection } from "./rows.js";
import {
  type BatchInfo,
  checkOptimizer,
  type EpochRecord,
  type FitOptions,
  readSettings,
  type Settings,
} from "./settings.js";
import { TrainingSet } from "./training-set.js";
import { now, type Steps, Turns } from "./turns.js";

/**
 * Trains a net: for every batch zeroGrad, forward, loss, parameter message, step. The last, shorter batch is trained on too. Between
 * batches the event loop gets a turn at least every 10 ms; a batch is not interrupted. Afterwards the net is in the mode it was in before.
 * With a `checkpoint` it goes on where a training of the same options was interrupted, and ends with the same bits.
 *
 * Resolves to a record for each epoch. Rejects with ArgumentError or ShapeError for wrong options or data, mostly before anything is
 * trained; with StateError for a net that was disposed or a part of which is being fitted already; with the signal's reason.
 * A loss that is NaN or infinite ends the training with a StateError, which says where the first such value was; that batch is not trained
 * on. This error, and a signal's reason if it is an object, have the records so far as `history`. A batch that fails before its step
 * changes nothing. What checkpoints throw is at `CheckpointOptions`.
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
  const data = new TrainingSet(net, settings);
  const release = claim(net, layers);
  const restoreModes = rememberModes(layers);
  let training: Training | undefined;
  try {
    checkShapes(net, layers, data, settings.batchSize);
    restoreModes();
    training = new Training(net, layers, parameters, settings, data, history);
    return await training.run();
  } finally {
    release();
    restoreModes();
    training?.dispose();
    data.dispose();
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
function checkShapes(net: Layer, layers: readonly Layer[], { train, test }: TrainingSet, batchSize: number): void {
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
class Training implements Resumable {
  readonly place = firstPlace();
  readonly batches: number;
  readonly stopping: EarlyStopping | undefined;
  /** The samples in the order of the epoch; undefined unless they are shuffled. */
  order: Uint32Array | undefined;
  seed = 0;
  generator = new RandomGenerator(0);
  initial: Conditions = {};
  readonly #statistics: readonly Tensor[];
  readonly #rates: ScheduledRates | undefined;
  /** A batch's share of the gradient of a step. */
  readonly #share: TensorBuffer;
  /** How much the batches of the current step count together. */
  #stepWeight: number | undefined;
  #checkpoints: Checkpoints | undefined;
  #isShuffling = false;
  #wasAborted = false;
  /** When the epoch began, had it run through. */
  #began = 0;
  readonly #turns = new Turns(() => {
    // an order that is half drawn could not be continued
    if (!this.#isShuffling) this.#heedSignal();
  });

  constructor(
    readonly net: Layer,
    readonly layers: readonly Layer[],
    readonly parameters: readonly Parameter[],
    readonly settings: Settings,
    readonly data: TrainingSet,
    readonly history: EpochRecord[],
  ) {
    const { batchSize, earlyStopping, schedule, optimizer } = settings;
    this.#statistics = statisticsOf(net);
    this.batches = Math.ceil(data.train.count / batchSize);
    this.stopping = earlyStopping && new EarlyStopping(net, earlyStopping);
    this.#rates = schedule && new ScheduledRates(schedule, optimizer);
    this.#share = new TensorBuffer(data.train.engine);
  }

  get engine(): Engine {
    return this.data.train.engine;
  }

  /** With checkpoints it is one of ours. */
  get optimizer(): AnyOptimizer {
    return this.settings.optimizer as AnyOptimizer;
  }

  get hasGradients(): boolean {
    const { batch } = this.place;
    return batch < this.batches && batch % this.settings.accumulate !== 0;
  }

  get conditions(): Conditions {
    const { settings, data, engine } = this;
    const { batchSize, accumulate, shuffle, seed, clipNorm, earlyStopping } = settings;
    const { key0, key1 } = engine.generator.key;
    return {
      "kernel set": engine.kernels,
      batchSize,
      accumulate,
      shuffle,
      seed: seed ?? "drawn",
      "engine's seed": `${key0}, ${key1}`,
      "number of samples": data.train.count,
      "number of test samples": data.test?.count ?? 0,
      "shape of a sample": showShape(data.train.sampleShape),
      clipNorm: clipNorm === undefined ? "none" : String(clipNorm),
      "metric of earlyStopping": earlyStopping?.metric ?? "none",
    };
  }

  get #seconds(): number {
    return (now() - this.#began) / 1000;
  }

  async run(): Promise<EpochRecord[]> {
    const { data, settings } = this;
    await this.#turns.run(data.check());
    this.#checkpoints = settings.checkpoint && new Checkpoints(settings.checkpoint);
    const found = this.#checkpoints?.find();
    this.seed = found === undefined ? (settings.seed ?? this.engine.generator.nextSeed()) : seedOf(found);
    this.generator = new RandomGenerator(this.seed);
    await this.#turns.run(data.split(this.generator));
    if (settings.shuffle) await this.#turns.run(this.#makeOrder());
    if (this.#checkpoints !== undefined) this.initial = settingsOf(this.optimizer);
    if (found !== undefined) this.#checkpoints?.resume(found, this);
    if (!this.#isOver) await this.#train();
    this.stopping?.restore();
    return this.history;
  }

  dispose(): void {
    this.#checkpoints?.close();
    this.#rates?.restore();
    this.#share.dispose();
  }

  *#makeOrder(): Steps {
    const { train } = this.data;
    this.order = train.order?.slice() ?? new Uint32Array(train.count);
    if (train.order === undefined) yield* putInOrder(this.order);
  }

  /** Whether nothing is left to do: of a training that goes on, this is known before its first batch. */
  get #isOver(): boolean {
    const { place, settings, stopping } = this;
    return place.ended === "for good" || place.epoch > settings.epochs || (stopping?.isOver ?? false);
  }

  /** All epochs that are left, and the checkpoint at their end. */
  async #train(): Promise<void> {
    const { place } = this;
    try {
      place.ended = "no";
      while (!this.#isOver) {
        await this.#shuffle();
        const goesOn = (await this.#epoch()) && (await this.#endEpoch());
        if (!goesOn) place.ended = "for good";
        else if (this.#checkpoints?.isDueAfter(place.epoch - 1)) this.#write();
      }
      if (place.ended === "no") place.ended = this.stopping?.isOver ? "for good" : "epochs";
    } catch (error) {
      // between two batches: it can be continued
      if (this.#wasAborted) this.#write();
      throw error;
    }
    this.#write();
  }

  #write(): void {
    try {
      this.#checkpoints?.write(this);
    } catch (error) {
      throw carrying(error, this.history);
    }
  }

  async #shuffle(): Promise<void> {
    const { order, place, generator } = this;
    if (order === undefined || place.isShuffled) return;
    this.#isShuffling = true;
    await this.#turns.run(shuffle(order, generator));
    this.#isShuffling = false;
    place.isShuffled = true;
  }

  /** The batches that are left of an epoch. False if `onBatch` ended the training. */
  async #epoch(): Promise<boolean> {
    const { place, settings, batches } = this;
    const { onBatch } = settings;
    this.#began = now() - place.seconds * 1000;
    while (place.batch < batches) {
      const selection = this.#selection(place.batch);
      const loss = this.#batch(selection);
      const info: BatchInfo = { epoch: place.epoch, batch: place.batch, batches, size: selection.size, loss };
      const answer = await onBatch?.(info);
      if (this.#checkpoints !== undefined) place.seconds = this.#seconds;
      const turn = this.#turns.take();
      if (turn !== undefined) await turn;
      this.#heedSignal();
      if (answer === false) return false;
      if (this.#checkpoints?.isDue) this.#write();
    }
    place.seconds = this.#seconds;
    return true;
  }

  /** The samples of a batch, which counts from 0. */
  #selection(batch: number): Selection {
    const { order, settings, data } = this;
    const { train } = data;
    const start = batch * settings.batchSize;
    return { order: order ?? train.order, start, size: Math.min(settings.batchSize, train.count - start) };
  }

  /**
   * Trains on the next batch, with a step if it is the last one of a step. Returns its loss. What fails before the step changes nothing.
   */
  #batch(selection: Selection): number {
    const { net, parameters, place, settings, data, batches } = this;
    assertUsable(net, parameters);
    const batch = data.train.take(selection);
    const undoStatistics = rememberState(this.#statistics);
    const undoZeroGrad = this.hasGradients ? undefined : zeroGrad(net, parameters);
    const undo = () => {
      undoStatistics();
      undoZeroGrad?.();
    };
    return undoing(undo, () => {
      setMode(net, this.layers, true);
      const output = checkOutput(net.forward(batch.x), net);
      const target = data.train.targetsFor(output, batch);
      const weight = data.loss.weightOf(selection);
      const { loss, grad } = data.loss.compute(output, target, selection, weight);
      if (!settings.allowNonFinite && !Number.isFinite(loss)) {
        const { epoch } = place;
        throw carrying(
          divergence({ epoch, batch: place.batch + 1, batches, loss, selection, data: batch, output, parameters }),
          this.history,
        );
      }
      net.backwardParams(this.#shareOf(grad, weight));
      if ((place.batch + 1) % settings.accumulate === 0 || place.batch + 1 === batches) this.#step();
      place.batch++;
      place.lossSum += loss * weight;
      place.weightSum += weight;
      return loss;
    });
  }

  /** A batch's gradient as a part of that of its step: the mean over all batches of the step. */
  #shareOf(grad: Tensor, weight: number): Tensor {
    const { accumulate } = this.settings;
    if (accumulate === 1) return grad;
    this.#stepWeight ??= this.#weightOfStep();
    const share = weight / this.#stepWeight;
    // of batches that count nothing the gradient is 0 already
    if (share === 1 || this.#stepWeight === 0) return grad;
    const part = this.#share.take(grad.shape);
    part.copyFrom(grad);
    part.engine.ops.scale(part.size, part.modify(), share);
    return part;
  }

  #weightOfStep(): number {
    const { place, settings, batches, data } = this;
    const first = place.batch - (place.batch % settings.accumulate);
    let sum = 0;
    for (let batch = first; batch < Math.min(first + settings.accumulate, batches); batch++) {
      sum += data.loss.weightOf(this.#selection(batch));
    }
    return sum;
  }

  #step(): void {
    const { place, parameters, settings, batches } = this;
    const { accumulate, clipNorm, epochs, optimizer } = settings;
    if (clipNorm !== undefined) clipGradNorm(parameters, clipNorm);
    const stepsAnEpoch = Math.ceil(batches / accumulate);
    const step = (place.epoch - 1) * stepsAnEpoch + Math.floor(place.batch / accumulate);
    this.#rates?.set(step, epochs * stepsAnEpoch);
    optimizer.step();
    this.#stepWeight = undefined;
  }

  /** The test and the record. False if `onEpoch` or early stopping ended the training. */
  async #endEpoch(): Promise<boolean> {
    const { place, settings, stopping, history } = this;
    const { epoch, lossSum, weightSum, seconds } = place;
    const record: EpochRecord = { epoch, loss: lossSum / weightSum, ...(await this.#evaluation()), seconds };
    const lr = reading("fit: optimizer: lr", () => settings.optimizer.lr);
    if (typeof lr === "number") record.lr = lr;
    history.push(record);
    stopping?.note(record);
    Object.assign(place, startOf(epoch + 1));
    const answer = await settings.onEpoch?.(record);
    this.#heedSignal();
    return answer !== false;
  }

  async #evaluation(): Promise<Pick<EpochRecord, "testLoss" | "accuracy">> {
    const { net, settings, data } = this;
    if (data.test === undefined) return {};
    const steps = evaluationSteps(net, data.test, TEST_BATCH, settings.loss, "fit: test");
    const { loss, accuracy } = await this.#turns.run(steps);
    return Number.isNaN(accuracy) ? { testLoss: loss } : { testLoss: loss, accuracy };
  }

  #heedSignal(): void {
    try {
      heedSignal(this.settings, this.history);
    } catch (error) {
      this.#wasAborted = true;
      throw error;
    }
  }
}

/** Throws the signal's reason if it was aborted. */
function heedSignal({ signal }: Settings, history: EpochRecord[]): void {
  if (signal === undefined) return;
  const { aborted, reason } = reading("fit: signal", () => ({ aborted: signal.aborted, reason: signal.reason }));
  if (aborted) throw carrying(reason, history);
}

/** What is to be thrown, with the records so far if it can take a property. */
export function carrying(thrown: unknown, history: EpochRecord[]): unknown {
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
