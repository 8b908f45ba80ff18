import * as lg from "lanegrad";
import { InputError } from "../fashion-mnist/errors.js";
import { CLASSES, type Images, imageTensor, inBatches, loadImages, normal, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { mean, standardError } from "./shared/statistics.js";
import { compared, figure, withSpread } from "./shared/tables.js";

const about = `The relative variance of a mini-batch gradient g over B samples is tr Cov(g) / |E g|²: noise over signal. It is 1 / B times that of one
sample.

The model: x from N(0, I) in n dimensions, one unit y = f(w·x) with |w| = 1 and the slope a, and a linear teacher t = u·x with |u| = 1 and
u at right angles to w, as random weights have it. The loss is (y - t)² / 2, so a sample's gradient is G = (f(s) - t) f'(s) x with s = w·x.
Both sides of 0 have half of the samples, f' is 1 on one and a on the other, and with E s² = 1, E s⁴ = 3

- E G = (1 + a²)/2 · w - (1 + a)/2 · u,
- E |G|² = (n + 2)/2 · (1 + a⁴ + 1 + a²).

So a sample's relative variance is 2 (n + 2) (2 + a² + a⁴) / ((1 + a²)² + (1 + a)²) - 1: from 2 n + 3 with ReLU to n + 1 at a = 1. The
mean of f' grows with a faster than that of f'², as no sample is silent.`;

type Settings = {
  batch: number;
  batches: number;
  inputs: number;
  images: number;
  nets: number;
  width: number;
  seed: number;
};

const SLOPES = [0, 0.01, 0.25, 0.5, 1];
/** Parts of the batches, from whose differences the standard error comes. */
const PARTS = 16;

export interface Noise {
  slope: number;
  measured: number;
  standardError: number;
  predicted: number;
}

interface Moments {
  /** tr Cov */
  variance: number;
  /** |mean|² */
  signal: number;
}

/** For each draw of a network, at the start and after an epoch. */
interface OnImages {
  slope: number;
  start: Moments[];
  trained: Moments[];
}

export interface Measured {
  inputs: number;
  width: number;
  model: Noise[];
  networks: OnImages[];
}

async function measure(settings: Settings): Promise<Measured> {
  const { inputs, batch, images, nets, width, seed } = settings;
  if (images < 2 * batch) throw new InputError(`--images: got ${images}, expected at least two batches of ${batch}`);
  const model = SLOPES.map((slope) => ({
    ...measureModel(slope, settings),
    predicted: predictedVariance(slope, inputs) / batch,
  }));
  const networks: OnImages[] = [];
  const { train } = loadImages(images);
  for (const slope of SLOPES) {
    const runs = [];
    for (let net = 0; net < nets; net++) runs.push(await measureNetwork(slope, train, settings, seed + net));
    networks.push({ slope, start: runs.map(({ start }) => start), trained: runs.map(({ trained }) => trained) });
  }
  return { inputs, width, model, networks };
}

/** Of a single sample. */
export function predictedVariance(a: number, inputs: number): number {
  const signal = ((1 + a ** 2) ** 2 + (1 + a) ** 2) / 4;
  return ((inputs + 2) / 2) * ((2 + a ** 2 + a ** 4) / signal) - 1;
}

function measureModel(slope: number, { inputs, batch, batches, seed }: Settings): Omit<Noise, "predicted"> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const unit = new lg.LinearPReLU(inputs, 1, { bias: false, init: slope, engine });
  // w and u are the first two axes
  unit.weight.value.fill_(0).data[0] = 1;
  const samples = normal(engine, [batches * batch, inputs]).data;
  const gradients = Array.from({ length: batches }, (_, i) => {
    const x = samples.subarray(i * batch * inputs, (i + 1) * batch * inputs);
    const target = Float32Array.from({ length: batch }, (_, sample) => x[sample * inputs + 1]);
    unit.zeroGrad();
    // the gradient of mseLoss, the mean of (y - t)², is twice ours: nothing to a relative variance
    unit.backwardParams(lg.mseLoss(unit.forward(x), target).grad);
    return unit.weight.grad.data.slice();
  });
  const parts = Array.from({ length: PARTS }, (_, part) => gradients.filter((_, i) => i % PARTS === part));
  return {
    slope,
    measured: relativeVariance(momentsOf(gradients)),
    standardError: standardError(parts.map((part) => relativeVariance(momentsOf(part)))),
  };
}

/** The noise that is left in the mean is taken off its square. */
function momentsOf(gradients: readonly Float32Array[]): Moments {
  const center = new Float64Array(gradients[0].length);
  for (const gradient of gradients) for (let i = 0; i < center.length; i++) center[i] += gradient[i] / gradients.length;
  let squares = 0;
  for (const gradient of gradients) for (let i = 0; i < center.length; i++) squares += (gradient[i] - center[i]) ** 2;
  const variance = squares / (gradients.length - 1);
  const signal = center.reduce((sum, value) => sum + value * value, 0) - variance / gradients.length;
  return { variance, signal };
}

const relativeVariance = ({ variance, signal }: Moments): number => variance / signal;

/** A network with two hidden layers: the gradients of all its weights, over disjoint batches of the images. */
async function measureNetwork(slope: number, train: Images, { batch, width }: Settings, seed: number) {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const hidden = (inputs: number): lg.Layer[] => {
    const linear = new lg.Linear(inputs, width, { engine });
    lg.init.kaimingNormal_(linear.weight.value, { a: slope });
    lg.init.zeros_(linear.bias!.value);
    return [linear, new lg.LeakyReLU({ negativeSlope: slope, engine })];
  };
  const net = new lg.Sequential(...hidden(PIXELS), ...hidden(width), new lg.Linear(width, CLASSES, { engine }));
  const batches = inBatches(train, batch).map((images) => ({ x: imageTensor(engine, images), labels: images.y }));
  const noise = () => momentsOf(batches.map(({ x, labels }) => gradientOf(net, x, labels)));
  const start = noise();
  await lg.fit(net, { train, epochs: 1, batchSize: batch, optimizer: new lg.SGD(net.parameters(), { lr: 0.05 }) });
  return { start, trained: noise() };
}

/** All gradients of a batch in a row. */
function gradientOf(net: lg.Layer, x: lg.Tensor, labels: Uint8Array): Float32Array {
  net.zeroGrad();
  net.backwardParams(lg.crossEntropy(net.forward(x), labels).grad);
  const parameters = net.parameters();
  const all = new Float32Array(parameters.reduce((size, { grad }) => size + grad.size, 0));
  let at = 0;
  for (const { grad } of parameters) {
    all.set(grad.data, at);
    at += grad.size;
  }
  return all;
}

const STAGES = ["start", "trained"] as const;

type Stage = (typeof STAGES)[number];

/** Relative to ReLU's network of the same seed: the mean over seeds and its standard error. */
function relative(networks: readonly OnImages[], slope: number, stage: Stage, of = relativeVariance) {
  const [relu] = networks;
  const { [stage]: runs } = networks.find((network) => network.slope === slope)!;
  const ratios = runs.map((run, i) => of(run) / of(relu[stage][i]));
  return { mean: mean(ratios), error: standardError(ratios) };
}

function report({ inputs, width, model, networks }: Measured): Report {
  const between = SLOPES.filter((slope) => slope > 0.1 && slope < 1);
  const isLower = (stage: Stage): boolean =>
    between.every((slope) => {
      const { mean, error } = relative(networks, slope, stage);
      return mean + 2 * error < 1;
    });
  const seen = (stage: Stage): string =>
    between
      .map((slope) => {
        const { mean, error } = relative(networks, slope, stage);
        return `${mean.toFixed(2)} ± ${error.toFixed(2)} times ReLU's at a = ${slope}`;
      })
      .join(", ");
  const signals = between
    .map((slope) => {
      const signal = relative(networks, slope, "trained", (moments) => moments.signal).mean;
      const variance = relative(networks, slope, "trained", (moments) => moments.variance).mean;
      return `${signal.toFixed(2)} times ReLU's at a = ${slope} (the variance itself ${variance.toFixed(2)} times)`;
    })
    .join(", ");
  return {
    claims: [
      {
        says: "A slope between 0 and 1 lowers the relative variance of the gradient in the model, as the formula says.",
        holds: model.every(
          ({ measured, predicted, standardError }) => Math.abs(measured - predicted) < 4 * standardError,
        ),
        seen: model
          .map(({ slope, measured, predicted }) => `${figure(measured)} for ${figure(predicted)} at a = ${slope}`)
          .join(", "),
      },
      {
        says: "A slope between 0 and 1 can lower the relative variance of the gradient on images: at the start of training.",
        holds: isLower("start"),
        seen: seen("start"),
      },
      {
        says: "A slope between 0 and 1 lowers it on images after an epoch, too.",
        holds: isLower("trained"),
        seen: `${seen("trained")}. There |mean gradient|², by which the variance is divided, is ${signals}`,
      },
    ],
    tables: [
      {
        title: "The model: relative variance of a mini-batch gradient",
        columns: ["slope a", "measured", "predicted", "ratio", "standard error of the ratio"],
        rows: model.map(({ slope, measured, predicted, standardError }) => [
          String(slope),
          ...compared(measured, predicted),
          standardError / predicted,
        ]),
      },
      {
        title: `Images: 784-${width}-${width}-10, means of ${networks[0].start.length} draws and their standard errors`,
        columns: ["slope a", "at the start", "relative to ReLU", "after an epoch", "relative to ReLU"],
        rows: networks.map((network) => [
          String(network.slope),
          ...STAGES.flatMap((stage) => {
            const variances = network[stage].map(relativeVariance);
            const ratio = relative(networks, network.slope, stage);
            return [
              withSpread(mean(variances), standardError(variances)),
              network.slope === 0 ? "1" : withSpread(ratio.mean, ratio.error, (value) => value.toFixed(2)),
            ];
          }),
        ]),
      },
    ],
    charts: [
      {
        name: "noise",
        title: "Relative variance of the gradient, relative to ReLU's",
        x: { label: "slope a" },
        y: { label: "relative to a = 0" },
        series: [
          {
            name: "model, predicted",
            as: "dashes",
            points: Array.from({ length: 51 }, (_, i) => i / 50).map((slope) => [
              slope,
              predictedVariance(slope, inputs) / predictedVariance(0, inputs),
            ]),
          },
          {
            name: "model, measured",
            as: "dots",
            points: model.map(({ slope, measured }) => [slope, measured / model[0].measured]),
          },
          ...STAGES.map((stage) => ({
            name: stage === "start" ? "images, at the start" : "images, after an epoch",
            as: "line" as const,
            points: SLOPES.map((slope) => [slope, relative(networks, slope, stage).mean] as const),
          })),
        ],
      },
    ],
  };
}

export const noise: Experiment<Settings, Measured> = {
  name: "noise",
  title: "Gradient noise",
  about,
  settings: {
    batch: { default: 64, about: "samples of a mini-batch" },
    batches: { default: 2000, about: "mini-batches in the model", least: 2 * PARTS },
    inputs: { default: 16, about: "dimensions of the model", least: 2 },
    images: { default: 3200, about: "images" },
    width: { default: 64, about: "units of each of the network's two hidden layers" },
    nets: { default: 5, about: "draws of the network", least: 2 },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, noise);
