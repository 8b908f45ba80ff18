import * as lg from "../src/index.js";
import { CLASSES, DENSE, HIDDEN, INPUTS } from "./network.js";
import { numbersFrom, uniform } from "./numbers.js";
import type { OptimizerName } from "./opponent/step.js";
import type { Scope } from "./row.js";

/** One training step; returns the loss before it. */
export type Step = () => number;

/** The same images, labels and parameters for every contender; weights are [out, in]. */
export interface Problem {
  readonly batch: number;
  /** [batch, INPUTS] */
  readonly x: Float32Array;
  readonly labels: Int32Array;
  readonly weights: Float32Array[];
  readonly biases: Float32Array[];
}

export const INITIAL_SLOPE = 0.25;
/** The opponent's, and everyone's. */
export const LEARNING_RATES = { sgd: 0.01, adam: 0.001 };

export function createProblem(batch: number): Problem {
  const next = numbersFrom(77);
  return {
    batch,
    x: uniform(batch * INPUTS, 0, 1, 6),
    labels: Int32Array.from({ length: batch }, () => Math.floor(next() * CLASSES)),
    weights: DENSE.map(([inputs, outputs], i) => uniform(outputs * inputs, ...initialRange(inputs), 10 * i + 21)),
    biases: DENSE.map(([inputs, outputs], i) => uniform(outputs, ...initialRange(inputs), 10 * i + 22)),
  };
}

/** PyTorch's default bound for the weights of a dense layer with this many inputs. */
export const initialRange = (inputs: number): [number, number] => [-1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs)];

export interface Training {
  step: Step;
  /**
   * Sets the learning rate to 0, so that every step does the same work. A net that has learnt its one batch by heart has gradients so small
   * that they are denormal numbers, which slow float32 arithmetic down tenfold. The opponent computes in doubles and goes on learning; its
   * time does not change.
   */
  freeze(): void;
}

/** The network with the problem's parameters, and its images as a tensor. */
function createNet(
  { batch, x, weights, biases }: Problem,
  engine: lg.Engine,
  scope: Scope,
): { net: lg.Sequential; x: lg.Tensor } {
  const dense = DENSE.map(([inputs, outputs]) => new lg.Linear(inputs, outputs, { engine }));
  dense.forEach(({ weight, bias }, i) => {
    weight.value.data.set(weights[i]);
    bias!.value.data.set(biases[i]);
  });
  const prelu = () => new lg.PReLU({ numParameters: HIDDEN, init: INITIAL_SLOPE, engine });
  return {
    net: scope.own(new lg.Sequential(dense[0], prelu(), dense[1], prelu(), dense[2])),
    x: scope.own(engine.tensor(x, [batch, INPUTS])),
  };
}

export function createTraining(
  optimizerName: OptimizerName,
  problem: Problem,
  engine: lg.Engine,
  scope: Scope,
): Training {
  const { net, x } = createNet(problem, engine, scope);
  const Optimizer = optimizerName === "sgd" ? lg.SGD : lg.Adam;
  const optimizer = new Optimizer(net.parameters(), { lr: LEARNING_RATES[optimizerName] });
  return trainingOf(net, x, problem.labels, optimizer);
}

export function trainingOf(
  net: lg.Sequential,
  x: lg.Tensor,
  labels: Int32Array,
  optimizer: lg.SGD | lg.Adam,
): Training {
  return {
    step() {
      const { loss, grad } = lg.crossEntropy(net.forward(x), labels);
      optimizer.zeroGrad();
      net.backwardParams(grad);
      optimizer.step();
      return loss;
    },
    freeze() {
      optimizer.lr = 0;
    },
  };
}
