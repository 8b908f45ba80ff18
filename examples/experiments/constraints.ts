import * as lg from "lanegrad";
import { CLASSES, type Images, loadImages, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { mean } from "./shared/statistics.js";
import { compared, figure, percent } from "./shared/tables.js";

const about = `A slope is kept in bounds by training β with a = exp(β) or a = β², or by the penalty λ/2 · a². Weight decay λ on β alone, with the learning
rate η and no gradient of a loss, gives β ← (1 - η λ) β. So after t steps, with q = (1 - η λ)^t:

- a = exp(β): a = a₀^q, which goes to 1;
- a = β²: a = q² a₀, which goes to 0;
- a = β: a = q a₀, which goes to 0, and so does the penalty's a, whose gradient is λ a;
- slopes in a group of parameters without decay stay at a₀.

A loss adds its gradient: then the slopes settle where the two are in balance.`;

type Settings = { steps: number; images: number; epochs: number; width: number; seed: number };

interface Kind {
  name: string;
  constraint?: lg.SlopeConstraint;
  /** On β. */
  decay?: number;
  penalty?: number;
  /** On the weights. */
  weightDecay?: number;
}

const START = 0.25;
const RATE = 0.05;
const DECAY = 0.05;

const DRIFTS: readonly (Kind & { target: number; predicted: (q: number) => number })[] = [
  { name: "a = exp(β), decay of β", constraint: "exp", decay: DECAY, target: 1, predicted: (q) => START ** q },
  { name: "a = β², decay of β", constraint: "square", decay: DECAY, target: 0, predicted: (q) => q ** 2 * START },
  { name: "a = β, decay of β", decay: DECAY, target: 0, predicted: (q) => q * START },
  { name: "a = β, penalty", penalty: DECAY, target: 0, predicted: (q) => q * START },
  { name: "a = β, group without decay", target: START, predicted: () => START },
];

export interface Drift {
  name: string;
  target: number;
  /** The slope after 0, 1, ... steps. */
  measured: number[];
  predicted: number[];
}

/** A network that learns, with decay on β or without. */
interface Training {
  name: string;
  /** The mean slope at the start and after each epoch. */
  slopes: number[];
  accuracy: number;
}

interface Pair {
  target: number;
  free: Training;
  held: Training;
}

export interface Measured {
  drifts: Drift[];
  pairs: Pair[];
}

async function measure(settings: Settings): Promise<Measured> {
  const drifts = DRIFTS.map((drift) => measureDrift(drift, settings.steps));
  const data = loadImages(settings.images);
  const pairs = [];
  for (const { target, free, held } of PAIRS) {
    pairs.push({ target, free: await train(free, data, settings), held: await train(held, data, settings) });
  }
  return { drifts, pairs };
}

/** Steps whose gradient from behind is 0: decay and penalty are all that moves the slope. */
function measureDrift({ predicted, decay = 0, target, ...kind }: (typeof DRIFTS)[number], steps: number): Drift {
  using engine = lg.createEngine({ kernels: KERNELS });
  const layer = new lg.PReLU({ init: START, constraint: kind.constraint, penalty: kind.penalty, engine });
  const optimizer = new lg.SGD([{ params: layer.parameters(), weightDecay: decay }], { lr: RATE });
  const measured = [layer.slopes()[0]];
  for (let step = 0; step < steps; step++) {
    optimizer.zeroGrad();
    layer.forward([[-1]]);
    layer.backwardParams([[0]]);
    optimizer.step();
    measured.push(layer.slopes()[0]);
  }
  const shrinking = measured.map((_, step) => predicted((1 - RATE * DECAY) ** step));
  return { name: kind.name, target, measured, predicted: shrinking };
}

const TRAINING_DECAY = 0.01;

/** What is pulled to a target, and the same without the pull. */
const PAIRS: readonly { target: number; free: Kind; held: Kind }[] = [
  {
    target: 1,
    free: { name: "a = exp(β)", constraint: "exp" },
    held: { name: "a = exp(β), decay of β", constraint: "exp", decay: TRAINING_DECAY },
  },
  {
    target: 0,
    free: { name: "a = β²", constraint: "square" },
    held: { name: "a = β², decay of β", constraint: "square", decay: TRAINING_DECAY },
  },
  {
    target: 0,
    free: { name: "a = β" },
    held: { name: "a = β, penalty", penalty: TRAINING_DECAY },
  },
  {
    target: 0,
    free: { name: "a = β, decay of weights alone", weightDecay: TRAINING_DECAY },
    held: { name: "a = β, decay of all parameters", weightDecay: TRAINING_DECAY, decay: TRAINING_DECAY },
  },
];

const BATCH = 64;
const MOMENTUM = 0.9;

async function train(
  { name, constraint, penalty, decay = 0, weightDecay = 0 }: Kind,
  { train, test }: { train: Images; test: Images },
  { width, epochs, seed }: Settings,
): Promise<Training> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const linears = [PIXELS, width, width].map((inputs, i) => new lg.Linear(inputs, i < 2 ? width : CLASSES, { engine }));
  const prelus = [0, 1].map(() => new lg.PReLU({ numParameters: width, init: START, constraint, penalty, engine }));
  const net = new lg.Sequential(linears[0], prelus[0], linears[1], prelus[1], linears[2]);
  const optimizer = new lg.SGD(
    [
      { params: linears.flatMap((layer) => layer.parameters()), weightDecay },
      { params: prelus.flatMap((layer) => layer.parameters()), weightDecay: decay },
    ],
    { lr: RATE, momentum: MOMENTUM },
  );
  const meanSlope = () => mean(lg.slopeStats(net).map((row) => row.mean));
  const slopes = [meanSlope()];
  await lg.fit(net, {
    train,
    epochs,
    batchSize: BATCH,
    optimizer,
    onEpoch: () => {
      slopes.push(meanSlope());
    },
  });
  return { name, slopes, accuracy: lg.evaluate(net, test).accuracy };
}

function report({ drifts, pairs }: Measured): Report {
  const last = <Item>(items: readonly Item[]): Item => items[items.length - 1];
  const [exponential, square, , penalty] = drifts;
  const [exponentialPair, squarePair, penaltyPair, groupPair] = pairs;
  const steps = exponential.measured.length - 1;
  const fits = ({ measured, predicted }: Drift): boolean => Math.abs(last(measured) / last(predicted) - 1) < 1e-3;
  const isNearer = ({ target, free, held }: Pair): boolean =>
    Math.abs(last(held.slopes) - target) < Math.abs(last(free.slopes) - target);
  const seenBoth = (drift: Drift, { free, held }: Pair): string =>
    `${figure(last(drift.measured))} after ${steps} steps without a loss; on images the mean slope ends at ${figure(last(held.slopes))} instead of ${figure(last(free.slopes))}`;
  const trainings = pairs.flatMap(({ free, held }) => [free, held]);
  return {
    claims: [
      {
        says: "With a = exp(β), weight decay on β pulls a to 1.",
        holds: fits(exponential) && isNearer(exponentialPair),
        seen: seenBoth(exponential, exponentialPair),
      },
      {
        says: "With a = β², weight decay on β pulls a to 0.",
        holds: fits(square) && isNearer(squarePair),
        seen: `${seenBoth(square, squarePair)}; near 0 it stays there, since the gradient of β is 2 β times that of a`,
      },
      {
        says: "The penalty λ/2 a² pulls a to 0.",
        holds: fits(penalty) && isNearer(penaltyPair),
        seen: seenBoth(penalty, penaltyPair),
      },
      {
        says: "Slopes in a parameter group of their own are left alone by the decay of weights.",
        holds: last(drifts).measured.every((slope) => slope === START) && isNearer(groupPair),
        seen: `without a loss they stay at ${figure(last(last(drifts).measured))}; on images their mean ends at ${figure(last(groupPair.free.slopes))}, with decay at ${figure(last(groupPair.held.slopes))}`,
      },
    ],
    tables: [
      {
        title: `The slope after ${steps} steps of SGD without a gradient of a loss, from ${START}, η = ${RATE}, λ = ${DECAY}`,
        columns: ["slope", "measured", "predicted", "ratio", "goes to"],
        rows: drifts.map(({ name, measured, predicted, target }) => [
          name,
          ...compared(last(measured), last(predicted)),
          target,
        ]),
      },
      {
        title: `Training on images, SGD with η = ${RATE}, momentum ${MOMENTUM}, λ = ${TRAINING_DECAY}`,
        columns: ["slope", "mean slope in the end", "accuracy"],
        rows: trainings.map(({ name, slopes, accuracy }) => [name, last(slopes), percent(accuracy)]),
      },
    ],
    charts: [
      {
        name: "constraints-drift",
        title: "A slope under decay alone: measured (dots) and predicted (dashes)",
        x: { label: "steps" },
        y: { label: "slope a" },
        // the penalty's is the one before it
        series: drifts
          .filter((drift) => drift !== penalty)
          .flatMap(({ name, measured, predicted }) => [
            { name, as: "dashes" as const, points: thinned(predicted, steps / 100) },
            { name, as: "dots" as const, points: thinned(measured, steps / 20) },
          ]),
      },
      {
        name: "constraints-training",
        title: "Mean slope by epoch, without decay and with it",
        x: { label: "epoch" },
        y: { label: "mean slope" },
        series: pairs.slice(0, 3).flatMap(({ free, held }) =>
          [free, held].map(({ slopes }, i) => ({
            name: free.name + (i === 0 ? "" : ", held"),
            as: "line" as const,
            points: slopes.map((slope, epoch) => [epoch, slope] as const),
          })),
        ),
      },
    ],
  };
}

/** Every so many-th of values at 0, 1, 2, ... */
const thinned = (values: readonly number[], step: number): (readonly [number, number])[] =>
  values.map((value, at) => [at, value] as const).filter(([at]) => at % Math.max(1, Math.round(step)) === 0);

export const constraints: Experiment<Settings, Measured> = {
  name: "constraints",
  title: "Constraints on slopes",
  about,
  settings: {
    steps: { default: 2000, about: "steps without a loss" },
    images: { default: 3000, about: "training images" },
    epochs: { default: 8, about: "passes over them" },
    width: { default: 128, about: "units of each of the two hidden layers" },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, constraints);
