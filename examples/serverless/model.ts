import * as lg from "lanegrad";

/** Images of 28x28 in ten classes, as in data/fashion-mnist-subset; change them to your own. */
const FEATURES = 784;
const UNITS = 32;
const CLASSES = 10;
const LEARNING_RATE = 0.1;
/** One odd example must not undo what many have taught. */
const LARGEST_GRADIENT = 1;

/** Numbers that overflow: a prediction, or the weights behind a step, would be infinite or NaN. */
export class DivergedError extends Error {}

export interface Prediction {
  /** The most likely class. */
  label: number;
  /** Of each class, to four digits. */
  probabilities: number[];
}

/**
 * A classifier that remembers nothing between two calls: weights come in as bytes, and go out as bytes, in one synchronous turn. So
 * requests that overlap can share its one net, whosever weights they bring.
 */
export class Model {
  /** What every new model starts from. */
  readonly initial: Uint8Array;
  readonly #net: lg.Sequential;
  readonly #parameters: lg.Parameter[];
  readonly #optimizer: lg.SGD;

  constructor() {
    // the same bits on every runtime
    const engine = lg.createEngine({ kernels: "simd" });
    this.#net = new lg.Sequential(
      new lg.LinearPReLU(FEATURES, UNITS, { engine }),
      new lg.Linear(UNITS, CLASSES, { engine }),
    );
    this.#parameters = this.#net.parameters();
    // no momentum: the weights are all there is to keep
    this.#optimizer = new lg.SGD(this.#parameters, { lr: LEARNING_RATE });
    this.initial = lg.save(this.#net);
  }

  /** Throws lanegrad's ShapeError or ArgumentError where `x` is not an array of FEATURES numbers, and DivergedError. */
  predict(weights: Uint8Array, x: number[]): Prediction {
    lg.load(this.#net, weights);
    const probabilities = lg.softmax(lg.predict(this.#net, [x]));
    if (!probabilities.every(Number.isFinite)) throw new DivergedError("the numbers are too large to predict from");
    return { label: lg.argmax(probabilities), probabilities: Array.from(probabilities, (p) => Number(p.toFixed(4))) };
  }

  /**
   * One step of gradient descent: the weights behind it, and the loss before it. Throws as `predict`, and an ArgumentError for a label
   * that is no class.
   */
  learn(weights: Uint8Array, x: number[], label: number): { weights: Uint8Array; loss: number } {
    lg.load(this.#net, weights);
    this.#net.zeroGrad();
    const { loss, grad } = lg.crossEntropy(this.#net.forward([x]), [label]);
    this.#net.backwardParams(grad);
    lg.clipGradNorm(this.#parameters, LARGEST_GRADIENT);
    this.#optimizer.step();
    if (!this.#parameters.every(({ value }) => value.data.every(Number.isFinite))) {
      throw new DivergedError("the numbers are too large to learn from");
    }
    return { weights: lg.save(this.#net), loss };
  }
}
