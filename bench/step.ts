import * as lg from "../src/index.js";
import { type Engines, onEach } from "./engines.js";
import {
  BATCHES,
  CLASSES,
  CONVOLUTIONS,
  DENSE,
  HIDDEN,
  IMAGE,
  IMAGE_BATCH,
  IMAGE_HIDDEN,
  imageStepFlop,
  stepFlop,
} from "./network.js";
import { numbersFrom, uniform } from "./numbers.js";
import { createOpponentStep, type OpponentData } from "./opponent/step.js";
import type { Contenders, Row, Scope } from "./row.js";
import {
  createProblem,
  createTraining,
  INITIAL_SLOPE,
  type Problem,
  type Step,
  type Training,
  trainingOf,
} from "./training.js";

/** The step is what the README quotes: it gets more rounds than a kernel. */
const MEASURING_MS = 5000;
const CHECK_STEPS = 3;
const CHECK_TOLERANCE = 1e-4;

/** The whole training step: forward, loss, parameter messages, update. */
const denseRows: Row[] = (["sgd", "adam"] as const).flatMap((optimizer) =>
  BATCHES.map((batch) => ({
    name: `step ${optimizer} batch ${batch}`,
    work: { flop: stepFlop(batch) },
    milliseconds: MEASURING_MS,
    prepare(engines, scope) {
      const problem = createProblem(batch);
      const opponent = createOpponentStep(optimizer, opponentData(problem));
      return race(engines, (engine) => createTraining(optimizer, problem, engine, scope), { opponent });
    },
  })),
);

const imageRow: Row = {
  name: `step cnn sgd batch ${IMAGE_BATCH}`,
  work: { flop: imageStepFlop() },
  milliseconds: 3 * MEASURING_MS,
  prepare: (engines, scope) => race(engines, (engine) => createImageTraining(engine, scope)),
};

/** The same training on every engine, and a check that it is the same. */
function race(
  engines: Engines,
  createOn: (engine: lg.Engine) => Training,
  others: { opponent?: Step } = {},
): Contenders {
  const trainings: Training[] = [];
  const steps = onEach(engines, (engine) => {
    const training = createOn(engine);
    trainings.push(training);
    return training.step;
  });
  const contenders = { ...steps, ...others };
  assertSameLosses(contenders);
  for (const training of trainings) training.freeze();
  return contenders;
}

export const stepRows: Row[] = [...denseRows, imageRow];

/** The image network from one seed: initial weights and dropout's masks are the same on every engine. */
export function createImageTraining(engine: lg.Engine, scope: Scope): Training {
  const block = ([from, to]: readonly [number, number]): lg.Layer[] => [
    new lg.Conv2d(from, to, 3, { padding: 1, engine }),
    new lg.PReLU({ numParameters: to, engine }),
    new lg.BatchNorm2d(to, { engine }),
    new lg.MaxPool2d(2, { engine }),
  ];
  const { channels, size } = IMAGE;
  const net = scope.own(
    new lg.Sequential(
      ...CONVOLUTIONS.flatMap(block),
      new lg.Flatten({ engine }),
      new lg.Linear(CONVOLUTIONS[1][1] * (size / 4) ** 2, IMAGE_HIDDEN, { engine }),
      new lg.PReLU({ numParameters: IMAGE_HIDDEN, engine }),
      new lg.Dropout(0.5, { engine }),
      new lg.Linear(IMAGE_HIDDEN, CLASSES, { engine }),
    ),
  );
  net.parameters().forEach(({ name, value }, i) => {
    if (name.endsWith("weight") && value.shape.length > 1) lg.init.kaimingNormal_(value, { seed: i });
  });
  const images = uniform(IMAGE_BATCH * channels * size * size, -1, 1, 5);
  const x = scope.own(engine.tensor(images, [IMAGE_BATCH, channels, size, size]));
  const next = numbersFrom(78);
  const labels = Int32Array.from({ length: IMAGE_BATCH }, () => Math.floor(next() * CLASSES));
  return trainingOf(net, x, labels, new lg.SGD(net.parameters(), { lr: 1e-3 }));
}

function opponentData({ batch, x, labels, weights, biases }: Problem): OpponentData {
  const [w1, w2, w3] = DENSE.map(([inputs, outputs], i) => transposed(weights[i], inputs, outputs));
  const [b1, b2, b3] = biases.map((bias) => bias.slice());
  const slopes = () => new Float32Array(HIDDEN).fill(INITIAL_SLOPE);
  return { batch, x, labels, parameters: [w1, b1, slopes(), w2, b2, slopes(), w3, b3] };
}

/** [rows, columns] of a matrix that is stored as [columns, rows] */
function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  return matrix.map((_, i) => matrix[(i % columns) * rows + Math.floor(i / columns)]);
}

/** Throws unless a few real steps have the same losses: times of different training could not be compared. */
function assertSameLosses(steps: Record<string, Step>): void {
  for (let i = 0; i < CHECK_STEPS; i++) {
    const losses = Object.entries(steps).map(([name, step]) => ({ name, loss: step() }));
    const [first] = losses;
    for (const { name, loss } of losses) {
      if (!(Math.abs(loss - first.loss) <= CHECK_TOLERANCE * Math.abs(first.loss))) {
        throw new Error(`step ${i}: the loss of ${name} is ${loss}, that of ${first.name} ${first.loss}`);
      }
    }
  }
}
