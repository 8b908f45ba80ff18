import * as lg from "lanegrad";
import { CLASSES, type Images, loadImages, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { histogram, mean, std } from "./shared/statistics.js";
import { between, withSpread } from "./shared/tables.js";

const about = `The same network, data, orders and seeds with ReLU, LeakyReLU (slope 0.01), PReLU with one slope a layer, PReLU with one a unit, and ELU.
Slopes start at 0.25 and are trained with the weights, by Adam. Linear(784, 256) has 784 · 256 + 256 = 200,960 parameters; 256 slopes add 256 /
200,960 = 0.13 %.`;

type Settings = { images: number; epochs: number; seeds: number; width: number; seed: number };

const ACTIVATIONS = ["ReLU", "LeakyReLU", "PReLU, shared", "PReLU, a unit", "ELU"] as const;
type Activation = (typeof ACTIVATIONS)[number];

const BATCH = 64;
const START = 0.25;

interface Outcome {
  accuracies: number[];
  /** In training: of the first epoch, and of the last. */
  firstLosses: number[];
  losses: number[];
  parameters: number;
  slopes: number;
}

export interface Measured {
  outcomes: (Outcome & { activation: Activation })[];
  /** Of the first seed: the statistics of each layer, and all slopes of it. */
  learned: { activation: Activation; stats: lg.SlopeStats; slopes: Float32Array }[];
  /** Linear(784, 256) with a PReLU of 256 slopes: its parameters without slopes, and the slopes. */
  overhead: { weights: number; slopes: number };
}

async function measure(settings: Settings): Promise<Measured> {
  const data = loadImages(settings.images);
  const outcomes = [];
  const learned = [];
  for (const activation of ACTIVATIONS) {
    const outcome: Outcome = { accuracies: [], firstLosses: [], losses: [], parameters: 0, slopes: 0 };
    for (let i = 0; i < settings.seeds; i++) {
      const run = await train(activation, data, { ...settings, seed: settings.seed + i });
      outcome.accuracies.push(run.accuracy);
      outcome.firstLosses.push(run.firstLoss);
      outcome.losses.push(run.loss);
      outcome.parameters = run.parameters;
      outcome.slopes = run.slopes;
      if (i === 0) learned.push(...run.learned.map((layer) => ({ activation, ...layer })));
    }
    outcomes.push({ activation, ...outcome });
  }
  return { outcomes, learned, overhead: measureOverhead() };
}

async function train(
  activation: Activation,
  { train, test }: { train: Images; test: Images },
  { width, epochs, seed }: Settings,
) {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const net = new lg.Sequential({
    hidden1: new lg.Linear(PIXELS, width, { engine }),
    activation1: create(activation, width, engine),
    hidden2: new lg.Linear(width, width, { engine }),
    activation2: create(activation, width, engine),
    output: new lg.Linear(width, CLASSES, { engine }),
  });
  const history = await lg.fit(net, { train, epochs, batchSize: BATCH, optimizer: new lg.Adam(net.parameters()) });
  const layers = net.layers.filter((layer) => layer instanceof lg.PReLU);
  const learned = lg.slopeStats(net).map((stats, i) => ({ stats, slopes: layers[i].slopes() }));
  const { parameters, slopes } = lg.summary(net);
  const [firstLoss, loss] = [history[0], history[history.length - 1]].map((record) => record.loss);
  return { accuracy: lg.evaluate(net, test).accuracy, firstLoss, loss, parameters, slopes, learned };
}

function create(activation: Activation, units: number, engine: lg.Engine): lg.Layer {
  switch (activation) {
    case "ReLU":
      return new lg.ReLU({ engine });
    case "LeakyReLU":
      return new lg.LeakyReLU({ engine });
    case "PReLU, shared":
      return new lg.PReLU({ init: START, engine });
    case "PReLU, a unit":
      return new lg.PReLU({ numParameters: units, init: START, engine });
    case "ELU":
      return new lg.ELU({ engine });
  }
}

function measureOverhead(): Measured["overhead"] {
  using engine = lg.createEngine({ kernels: KERNELS });
  const { parameters, slopes } = lg.summary(new lg.LinearPReLU(784, 256, { engine }));
  return { weights: parameters - slopes, slopes };
}

function report({ outcomes, learned, overhead }: Measured): Report {
  const [relu, leaky, shared, units] = outcomes;
  const best = Math.max(mean(relu.accuracies), mean(leaky.accuracies));
  const spread = std(relu.accuracies);
  const accuracy = ({ accuracies }: Outcome) =>
    withSpread(100 * mean(accuracies), std(accuracies) * 100, (v) => v.toFixed(1));
  const loss = (losses: number[]) => withSpread(mean(losses), std(losses), (value) => value.toFixed(3));
  const moved = learned.filter(({ stats }) => Math.abs(stats.mean - START) > 0.01 || stats.std > 0.01);
  const isBelow = (key: "firstLosses" | "losses"): boolean =>
    [shared, units].every((outcome) => mean(outcome[key]) < Math.min(mean(relu[key]), mean(leaky[key])));
  const listed = (text: (outcome: Outcome) => string): string =>
    [relu, leaky, shared, units].map((outcome) => `${text(outcome)} with ${outcome.activation}`).join(", ");
  const share = overhead.slopes / overhead.weights;
  return {
    claims: [
      {
        says: "Linear(784, 256) has 200,960 weights and biases; 256 slopes add 0.13 %.",
        holds: overhead.weights === 200_960 && (100 * share).toFixed(2) === "0.13",
        seen: `${overhead.weights} and ${overhead.slopes}, ${(100 * share).toFixed(3)} %`,
      },
      {
        says: "Slopes are learned: they leave 0.25.",
        holds: moved.length === learned.length,
        seen: learned
          .map(({ activation, stats }) => `${stats.name} of ${activation}: ${between([stats.min, stats.max])}`)
          .join("; "),
      },
      {
        says: "With learned slopes a network learns faster than with ReLU's 0 or LeakyReLU's 0.01, in the first epoch.",
        holds: isBelow("firstLosses"),
        seen: `its mean training loss is ${listed(({ firstLosses }) => loss(firstLosses))}`,
      },
      {
        says: "With learned slopes it still fits better after the last epoch.",
        holds: isBelow("losses"),
        seen: `the training loss ends at ${listed(({ losses }) => loss(losses))}`,
      },
      {
        says: "Learned slopes make test accuracy better by more than its spread over seeds.",
        holds: [shared, units].every(({ accuracies }) => mean(accuracies) > best + spread),
        seen: listed((outcome) => `${accuracy(outcome)} %`),
      },
    ],
    tables: [
      {
        title: `Means over ${relu.accuracies.length} seeds and their standard deviations`,
        columns: [
          "activation",
          "test accuracy, %",
          "training loss, first epoch",
          "last epoch",
          "parameters",
          "of these slopes",
          "share",
        ],
        rows: outcomes.map((outcome) => [
          outcome.activation,
          accuracy(outcome),
          loss(outcome.firstLosses),
          loss(outcome.losses),
          outcome.parameters,
          outcome.slopes,
          `${((100 * outcome.slopes) / outcome.parameters).toFixed(4)} %`,
        ]),
      },
      {
        title: "Learned slopes, first seed",
        columns: ["activation", "layer", "slopes", "mean", "std", "min", "max"],
        rows: learned.map(({ activation, stats: { name, count, mean, std, min, max } }) => [
          activation,
          name,
          count,
          mean,
          count > 1 ? std : "–",
          min,
          max,
        ]),
      },
    ],
    charts: [
      {
        name: "slopes-histogram",
        title: "Learned slopes of each layer, one a unit, first seed",
        x: { label: "slope a" },
        y: { label: "units" },
        series: learned
          .filter(({ stats }) => stats.count > 1)
          .map(({ stats, slopes }) => ({
            name: "units",
            panel: stats.name,
            as: "bars",
            points: histogram(slopes, BINS_FROM, BINS),
          })),
      },
      {
        name: "slopes-accuracy",
        title: "Test accuracy of each seed",
        x: { label: "accuracy, %" },
        y: { label: "", names: [...ACTIVATIONS] },
        series: [
          {
            name: "a seed",
            as: "dots",
            points: outcomes.flatMap(({ accuracies }, row) => accuracies.map((value) => [100 * value, row] as const)),
          },
        ],
      },
    ],
  };
}

const BINS_FROM = [0, 0.8] as const;
const BINS = 40;

export const slopes: Experiment<Settings, Measured> = {
  name: "slopes",
  title: "Learned slopes",
  about,
  settings: {
    images: { default: 6000, about: "training images" },
    epochs: { default: 6, about: "passes over them" },
    seeds: { default: 5, about: "runs of each activation", least: 2 },
    width: { default: 128, about: "units of each of the two hidden layers", least: 2 },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, slopes);
