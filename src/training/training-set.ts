import { ShapeError } from "../errors.js";
import type { Layer } from "../layers/layer.js";
import type { RandomGenerator } from "../random.js";
import { Batches } from "./batches.js";
import { putInOrder, shuffle } from "./order.js";
import { VALUES_A_SLICE } from "./rows.js";
import { readDataset, readTrainingData } from "./samples.js";
import type { Settings } from "./settings.js";
import type { Steps } from "./turns.js";
import { TrainingLoss } from "./weights.js";

/** What is trained and tested on, and the loss in training. */
export class TrainingSet {
  readonly train: Batches;
  readonly test: Batches | undefined;
  readonly loss: TrainingLoss;
  readonly #isSplit: boolean;

  /** Throws ShapeError, ArgumentError, StateError or EngineError. */
  constructor(net: Layer, settings: Settings) {
    const { targets, loss, test } = settings;
    const { sampleWeights, ...samples } = readTrainingData(settings.train, "fit: train");
    this.train = new Batches(net, samples, targets, loss, "fit: train");
    this.#isSplit = typeof test === "number";
    if (typeof test === "number") {
      this.test = new Batches(net, samples, targets, loss, "fit: train");
      this.#holdOut(test);
    } else if (test !== undefined) {
      this.test = new Batches(net, readDataset(test, "fit: test"), targets, loss, "fit: test");
    }
    this.loss = new TrainingLoss(settings, sampleWeights, this.train);
  }

  /** How many samples each part has; which ones is drawn later. */
  #holdOut(fraction: number): void {
    const { total } = this.train;
    if (total < 2) throw new ShapeError(`fit: test: got ${total} sample in train, expected one more to hold out`);
    this.test!.count = Math.min(Math.max(Math.round(total * fraction), 1), total - 1);
    this.train.count = total - this.test!.count;
  }

  /** Checks all values and labels; yields now and then. */
  *check(): Steps {
    yield* this.train.check();
    if (!this.#isSplit && this.test !== undefined) yield* this.test.check();
  }

  /** Draws which samples are held out for the test, if any; yields now and then. Both parts keep the order of the whole. */
  *split(generator: RandomGenerator): Steps {
    if (!this.#isSplit) return;
    const { train, test } = this;
    const drawn = new Uint32Array(train.total);
    yield* putInOrder(drawn);
    yield* shuffle(drawn, generator);
    const isHeldOut = new Uint8Array(train.total);
    for (const index of drawn.subarray(0, test!.count)) isHeldOut[index] = 1;
    train.order = new Uint32Array(train.count);
    test!.order = new Uint32Array(test!.count);
    let [kept, heldOut] = [0, 0];
    for (let index = 0; index < train.total; index++) {
      if (isHeldOut[index] === 1) test!.order[heldOut++] = index;
      else train.order[kept++] = index;
      if (index % VALUES_A_SLICE === 0) yield;
    }
  }

  dispose(): void {
    this.train.dispose();
    this.test?.dispose();
    this.loss.dispose();
  }
}
