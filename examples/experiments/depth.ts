import * as lg from "lanegrad";
import { type Images, imageTensor, loadImages, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { compared, percent } from "./shared/tables.js";

const about = `In a chain of L layers of one unit, s = c x and y = f(s), a negative input stays negative where c > 0 and the slope a > 0. Every
layer then multiplies the gradient by f'(s) c = a c: dy/dx = (a c)^L with PReLU, and exactly 0 with ReLU (a = 0), however deep.

A unit of a ReLU network is dead when its s is not above 0 for any training image: its gradient is 0 for all of them, so its weights stay
as they are until the layers below move. With PReLU such a unit still gets the gradient a δ. BatchNorm before the activation keeps the mean
of s at its β, so that some images are above 0.`;

type Settings = { depth: number; images: number; epochs: number; width: number; seed: number };

/** Slopes with weights of the chain. */
const CHAINS: readonly [slope: number, weight: number][] = [
  [0, 1],
  [0.25, 1],
  [0.5, 1],
  [0.9, 1],
  [0.5, 1.9],
  [0.25, 4],
];

const CHAIN_POINTS = 10;

export interface Chain {
  slope: number;
  weight: number;
  /** dy/dx by the number of layers, some of 1 to all. */
  gradients: { layers: number; value: number }[];
}

export interface Training {
  name: Kind;
  units: number;
  /** How many units are at most 0 for every image: at the start, and after each epoch. */
  silent: number[];
  /** How many of them, in the end, have a gradient of exactly 0. */
  dead: number;
  accuracy: number;
}

interface Measured {
  chains: Chain[];
  trainings: Training[];
}

async function measure({ depth, images, epochs, width, seed }: Settings): Promise<Measured> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const chains = CHAINS.map(([slope, weight]) => {
    const depths = Array.from({ length: CHAIN_POINTS }, (_, i) => Math.ceil(((i + 1) * depth) / CHAIN_POINTS));
    const gradients = depths.map((layers) => ({ layers, value: chainGradient(engine, layers, slope, weight) }));
    return { slope, weight, gradients };
  });
  const data = loadImages(images);
  const trainings: Training[] = [];
  for (const kind of KINDS) trainings.push(await train(kind, data, { width, epochs, seed }));
  return { chains, trainings };
}

export const predictedGradient = (slope: number, weight: number, layers: number): number => (slope * weight) ** layers;

function chainGradient(engine: lg.Engine, layers: number, slope: number, weight: number): number {
  const chain = Array.from({ length: layers }, () => {
    const linear = new lg.Linear(1, 1, { bias: false, engine });
    linear.weight.value.fill_(weight);
    return [linear, slope === 0 ? new lg.ReLU({ engine }) : new lg.PReLU({ init: slope, engine })];
  });
  const net = new lg.Sequential(...chain.flat());
  net.forward([[-1]]);
  const [gradient] = net.backwardInput([[1]]).data;
  net.dispose();
  return gradient;
}

const KINDS = ["ReLU", "PReLU", "ReLU with BatchNorm"] as const;
type Kind = (typeof KINDS)[number];

/** High enough for units to die. */
const LEARNING_RATE = 0.1;
const BATCH = 64;

async function train(
  kind: Kind,
  { train, test }: { train: Images; test: Images },
  { width, epochs, seed }: { width: number; epochs: number; seed: number },
): Promise<Training> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const activation = () =>
    kind === "PReLU" ? new lg.PReLU({ numParameters: width, engine }) : new lg.ReLU({ engine });
  const hidden = (inputs: number) => [
    new lg.Linear(inputs, width, { engine }),
    ...(kind === "ReLU with BatchNorm" ? [new lg.BatchNorm1d(width, { engine })] : []),
    activation(),
  ];
  const net = new lg.Sequential(...hidden(PIXELS), ...hidden(width), new lg.Linear(width, 10, { engine }));
  const x = imageTensor(engine, train);
  const silent = [silentUnits(net, x).length];
  await lg.fit(net, {
    train,
    epochs,
    batchSize: BATCH,
    optimizer: new lg.SGD(net.parameters(), { lr: LEARNING_RATE, momentum: 0.9 }),
    onEpoch: () => {
      silent.push(silentUnits(net, x).length);
    },
  });
  const { accuracy } = lg.evaluate(net, test);
  return { name: kind, units: 2 * width, silent, dead: withoutGradient(net, x, train.y), accuracy };
}

interface Unit {
  linear: lg.Linear;
  column: number;
}

/** The units whose activation is at most 0 for every image. */
function silentUnits(net: lg.Sequential, x: lg.Tensor): Unit[] {
  net.eval();
  const units: Unit[] = [];
  let linear: lg.Linear | undefined;
  let y = x;
  for (const layer of net.layers) {
    y = layer.forward(y);
    if (layer instanceof lg.Linear) linear = layer;
    else if (!(layer instanceof lg.BatchNorm1d))
      units.push(...silentColumns(y).map((column) => ({ linear: linear!, column })));
  }
  net.train();
  return units;
}

function silentColumns({ data, shape: [rows, columns] }: lg.Tensor): number[] {
  const isSilent = Array.from({ length: columns }, () => true);
  for (let i = 0; i < rows * columns; i++) if (data[i] > 0) isSilent[i % columns] = false;
  return isSilent.flatMap((silent, column) => (silent ? [column] : []));
}

/** How many silent units have weights whose gradient over all images is exactly 0. */
function withoutGradient(net: lg.Sequential, x: lg.Tensor, labels: Uint8Array): number {
  const silent = silentUnits(net, x);
  net.zeroGrad();
  net.backwardParams(lg.crossEntropy(net.forward(x), labels).grad);
  return silent.filter(({ linear, column }) => {
    const { grad } = linear.weight;
    const inputs = grad.shape[1];
    return grad.data.subarray(column * inputs, (column + 1) * inputs).every((value) => value === 0);
  }).length;
}

function report({ chains, trainings }: Measured): Report {
  const ofAll = ({ gradients }: Chain) => gradients[gradients.length - 1];
  const depth = ofAll(chains[0]).layers;
  const [relu, prelu, normalized] = trainings;
  const last = ({ silent }: Training) => silent[silent.length - 1];
  const seen = (training: Training) => `${last(training)} of ${training.units} with ${training.name}`;
  const ratios = chains.map((chain) =>
    compared(ofAll(chain).value, predictedGradient(chain.slope, chain.weight, depth)),
  );
  return {
    claims: [
      {
        says: "With ReLU the gradient through L layers with a negative input is 0, with PReLU it is (a c)^L.",
        holds: ratios.every(([, , ratio]) => Math.abs(Number(ratio) - 1) < 1e-4),
        seen: `all ratios are within 1e-4 of 1 at ${depth} layers; with ReLU the gradient is exactly ${ofAll(chains[0]).value}`,
      },
      {
        says: "ReLU units die in training.",
        holds: last(relu) > 2 * relu.silent[0] && relu.dead === last(relu),
        seen: `from ${relu.silent[0]} to ${last(relu)} of ${relu.units} units that are 0 for every image; ${relu.dead} of them have a gradient of exactly 0`,
      },
      {
        says: "PReLU units do not die.",
        holds: prelu.dead === 0 && last(prelu) < last(relu) / 2,
        seen: `${last(prelu)} of ${prelu.units} units are negative for every image, and ${prelu.dead} of them are without a gradient`,
      },
      {
        says: "BatchNorm is the other cure.",
        holds: normalized.dead === 0 && last(normalized) < last(relu) / 2,
        seen: `${seen(normalized)}, ${seen(relu)}`,
      },
    ],
    tables: [
      {
        title: `dy/dx of ${depth} layers of one unit at x = -1`,
        columns: ["slope a", "weight c", "measured", "(a c)^L", "ratio"],
        rows: chains.map(({ slope, weight }, i) => [
          slope === 0 ? "0 (ReLU)" : String(slope),
          String(weight),
          ...ratios[i],
        ]),
      },
      {
        title: "Units that are at most 0 for every training image",
        columns: ["network", "at the start", "in the end", "of these without gradient", "units", "accuracy"],
        rows: trainings.map((training) => [
          training.name,
          training.silent[0],
          last(training),
          training.dead,
          training.units,
          percent(training.accuracy),
        ]),
      },
    ],
    charts: [
      {
        name: "depth-gradient",
        title: "The gradient through layers of one unit with a negative input: measured (dots) and (a c)^L (dashes)",
        x: { label: "layers" },
        y: { label: "dy/dx", log: true },
        series: chains
          .filter(({ slope }) => slope > 0)
          .flatMap(({ slope, weight, gradients }) => {
            const name = `a = ${slope}, c = ${weight}`;
            const predicted = Array.from({ length: depth }, (_, i) => i + 1).map(
              (layers) => [layers, predictedGradient(slope, weight, layers)] as const,
            );
            return [
              { name, as: "dashes" as const, points: predicted },
              { name, as: "dots" as const, points: gradients.map(({ layers, value }) => [layers, value] as const) },
            ];
          }),
      },
      {
        name: "depth-dead",
        title: "Units that are at most 0 for every training image, by epoch",
        x: { label: "epoch" },
        y: { label: "units" },
        series: trainings.map(({ name, silent }) => ({
          name,
          as: "line",
          points: silent.map((count, epoch) => [epoch, count] as const),
        })),
      },
    ],
  };
}

export const depth: Experiment<Settings, Measured> = {
  name: "depth",
  title: "Gradient through depth",
  about,
  settings: {
    depth: { default: 50, about: "layers of the chain" },
    images: { default: 3000, about: "training images" },
    epochs: { default: 6, about: "passes over them" },
    width: { default: 256, about: "units of each of the two hidden layers" },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, depth);
