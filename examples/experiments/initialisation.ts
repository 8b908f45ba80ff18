import * as lg from "lanegrad";
import { normal } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { mean, meanSquare } from "./shared/statistics.js";
import { compared, figure } from "./shared/tables.js";

const about = `Take layers of n inputs and n units, y' = f(W y), with weights drawn from N(0, v). Given y, the s = W y are independent draws of
N(0, v |y|²), and f keeps half of them and multiplies the other half by a: E f(s)² = (1 + a²)/2 · v |y|². So each layer multiplies the
mean square of the activations by n v (1 + a²)/2. The gradient goes back by δ ← Wᵀ (δ ⊙ f'(s)), with the same factor.

With He's rule for ReLU, v = 2 / n, both grow by 1 + a² a layer, (1 + a²)^L in all. With v = 2 / (n (1 + a²)) they stay.

How far a draw is from that: the mean square of n values f(s)² has the relative variance c / n, c = 6 (1 + a⁴) / (1 + a²)² - 1. Layers
are independent, so the logarithm of the growth through L layers has the mean L ln g - L c / 2n and the variance L c / n.`;

type Settings = { depth: number; width: number; draws: number; seed: number };

const SLOPES = [0, 0.25, 0.5, 1];
const RULES = ["He", "PReLU"] as const;
const VARIANCES = { He: "2 / n", PReLU: "2 / (n (1 + a²))" };
/** Inputs of each draw of the weights. */
const SAMPLES = 8;

export interface Growth {
  rule: (typeof RULES)[number];
  slope: number;
  /** ln of the mean square behind each layer, relative to the input's; the gradient's before each, from the last to the first. */
  activations: number[];
  gradients: number[];
}

export interface Measured extends Settings {
  growths: Growth[];
}

function measure(settings: Settings): Measured {
  const growths = RULES.flatMap((rule) => SLOPES.map((slope) => measureGrowth(rule, slope, settings)));
  return { ...settings, growths };
}

function measureGrowth(rule: Growth["rule"], slope: number, { depth, width, draws, seed }: Settings): Growth {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const layers = Array.from(
    { length: depth },
    () => new lg.LinearPReLU(width, width, { bias: false, init: slope, engine }),
  );
  const runs = Array.from({ length: draws }, () => {
    for (const { weight } of layers) {
      lg.init.kaimingNormal_(weight.value, { a: rule === "He" ? 0 : slope });
    }
    return runOnce(engine, layers, width);
  });
  const average = (key: "activations" | "gradients") =>
    layers.map((_, layer) => mean(runs.map((run) => run[key][layer])));
  return { rule, slope, activations: average("activations"), gradients: average("gradients") };
}

/** A random batch forward, a random gradient back. */
function runOnce(engine: lg.Engine, layers: readonly lg.LinearPReLU[], width: number) {
  const [x, dy] = [normal(engine, [SAMPLES, width]), normal(engine, [SAMPLES, width])];
  let y = x;
  const activations = layers.map((layer) => {
    y = layer.forward(y);
    return logGrowth(y, x);
  });
  let delta = dy;
  const gradients = layers.toReversed().map((layer) => {
    delta = layer.backwardInput(delta);
    return logGrowth(delta, dy);
  });
  for (const tensor of [x, dy]) tensor.dispose();
  return { activations, gradients };
}

/** The mean over samples of ln(mean square of a sample / that of where it comes from). */
function logGrowth(to: lg.Tensor, from: lg.Tensor): number {
  const [samples, width] = to.shape;
  const square = ({ data }: lg.Tensor, row: number) => meanSquare(data.subarray(row * width, (row + 1) * width));
  return mean(Array.from({ length: samples }, (_, row) => Math.log(square(to, row) / square(from, row))));
}

/** By how much a layer multiplies mean squares. */
export const factor = ({ rule, slope }: Growth): number => (rule === "He" ? 1 + slope ** 2 : 1);

/** Of ln(growth): what finite width takes off its mean, and the standard deviation of the mean over the draws. */
export function deviation({ slope }: Growth, { depth, width, draws }: Settings): { bias: number; std: number } {
  const c = (6 * (1 + slope ** 4)) / (1 + slope ** 2) ** 2 - 1;
  return { bias: (-depth * c) / (2 * width), std: Math.sqrt((depth * c) / (width * draws)) };
}

/** How many standard deviations ln(growth) is from its mean. */
export function distance(growth: Growth, key: "activations" | "gradients", measured: Settings): number {
  const { bias, std } = deviation(growth, measured);
  const { depth } = measured;
  return (growth[key][depth - 1] - depth * Math.log(factor(growth)) - bias) / std;
}

const DIRECTIONS = ["activations", "gradients"] as const;

/** More than this many standard deviations from the mean come by chance once in thousands of runs. */
export const BOUND = 4;

function report(measured: Measured): Report {
  const { depth, width, growths } = measured;
  const distances = growths.flatMap((growth) => DIRECTIONS.map((key) => distance(growth, key, measured)));
  const grown = (key: (typeof DIRECTIONS)[number], rule: Growth["rule"]): string =>
    growths
      .filter((growth) => growth.rule === rule)
      .map((growth) => `${figure(Math.exp(growth[key][depth - 1]))} (a = ${growth.slope})`)
      .join(", ");
  const fits = (rule: Growth["rule"]): boolean =>
    growths.every((growth, i) => growth.rule !== rule || Math.abs(distances[2 * i]) < BOUND);
  const backFits = growths.every((_, i) => Math.abs(distances[2 * i + 1]) < BOUND);
  return {
    claims: [
      {
        says: "He's variance 2/n makes activations grow by 1 + a² a layer.",
        holds: fits("He"),
        seen: `through ${depth} layers by ${grown("activations", "He")}`,
      },
      {
        says: "Var(W) = 2 / (n (1 + a²)) keeps the activations.",
        holds: fits("PReLU"),
        seen: `${depth} layers multiply them by ${grown("activations", "PReLU")}, which is as near to 1 as layers of ${width} units come`,
      },
      {
        says: "Gradients on their way back grow or stay as activations do.",
        holds: backFits,
        seen: `by ${grown("gradients", "He")} with He's rule, by ${grown("gradients", "PReLU")} with the other`,
      },
    ],
    tables: [
      {
        title: `Mean squares behind ${depth} layers of ${width} units, relative to what went in: geometric means of ${measured.draws} draws`,
        columns: [
          "Var(W)",
          "slope a",
          "of",
          "measured",
          "predicted",
          "ratio",
          "ratio expected at this width",
          "standard deviations off",
        ],
        rows: growths.flatMap((growth) =>
          DIRECTIONS.map((key) => {
            const { bias, std } = deviation(growth, measured);
            return [
              VARIANCES[growth.rule],
              String(growth.slope),
              key,
              ...compared(Math.exp(growth[key][depth - 1]), factor(growth) ** depth),
              `${Math.exp(bias).toFixed(2)}, ${Math.exp(bias - std).toFixed(2)} to ${Math.exp(bias + std).toFixed(2)}`,
              distance(growth, key, measured).toFixed(1),
            ];
          }),
        ),
      },
    ],
    charts: RULES.map((rule, i) => ({
      name: `initialisation-${i === 0 ? "he" : "prelu"}`,
      title: `Mean squares by layers that they went through, Var(W) = ${VARIANCES[rule]}: measured (dots) and predicted (dashes)`,
      x: { label: "layers" },
      y: { label: "mean square", log: true, ...(i === 0 ? {} : { domain: [0.1, 10] as [number, number] }) },
      series: growths
        .filter((growth) => growth.rule === rule)
        .flatMap((growth) =>
          DIRECTIONS.flatMap((panel) => {
            const name = `a = ${growth.slope}`;
            const points = growth[panel].map((value, layer) => [layer + 1, Math.exp(value)] as const);
            return [
              { name, panel, as: "dashes" as const, points: points.map(([x]) => [x, factor(growth) ** x] as const) },
              { name, panel, as: "dots" as const, points: points.filter((_, layer) => layer % 3 === 0) },
            ];
          }),
        ),
    })),
  };
}

export const initialisation: Experiment<Settings, Measured> = {
  name: "initialisation",
  title: "Initialisation",
  about,
  settings: {
    depth: { default: 50, about: "layers" },
    width: { default: 256, about: "inputs and units of each layer" },
    draws: { default: 16, about: "draws of all weights" },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, initialisation);
