import * as lg from "lanegrad";
import { CLASSES, type Images, imageTensor, loadImages, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { between, compared, figure, percent } from "./shared/tables.js";

const about = `PReLU is positively homogeneous: f(s x) = s f(x) for s > 0. So W → s W (and b → s b) with g → g / s behind it leaves g · f(W x + b). ELU is
not: exp(s x) - 1 is not s (exp(x) - 1), so the output changes.

What does change with PReLU is the gradient: dL/dW becomes dL/dW / s and dL/dg becomes s dL/dg. Their ratio grows by s², so a step of SGD
leads elsewhere.`;

type Settings = { images: number; epochs: number; width: number; seed: number };

const FACTORS = [0.01, 0.1, 0.3, 1, 3, 10, 100];
const ACTIVATIONS = ["PReLU", "ELU"] as const;

export interface Scaled {
  factor: number;
  /** The largest change of an output, relative to the largest output. */
  change: number;
  accuracy: number;
  /** By how much |dL/dg| / |dL/dW| has grown. */
  gradientRatio: number;
}

interface Curve {
  activation: (typeof ACTIVATIONS)[number];
  scaled: Scaled[];
}

interface Measured {
  curves: Curve[];
}

async function measure(settings: Settings): Promise<Measured> {
  const data = loadImages(settings.images);
  const curves: Curve[] = [];
  for (const activation of ACTIVATIONS) curves.push(await measureCurve(activation, data, settings));
  return { curves };
}

const BATCH = 64;

/** Trains W, f and g, then scales them. */
async function measureCurve(
  activation: Curve["activation"],
  { train, test }: { train: Images; test: Images },
  { width, epochs, seed }: Settings,
): Promise<Curve> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const first = new lg.Linear(PIXELS, width, { engine });
  const second = new lg.Linear(width, CLASSES, { engine });
  const between = activation === "PReLU" ? new lg.PReLU({ numParameters: width, engine }) : new lg.ELU({ engine });
  const net = new lg.Sequential(first, between, second);
  await lg.fit(net, { train, epochs, batchSize: BATCH, optimizer: new lg.Adam(net.parameters()) });

  const [W, b, g] = [first.weight, first.bias!, second.weight].map(({ value }) => ({
    value,
    trained: value.data.slice(),
  }));
  const x = imageTensor(engine, test);
  const run = () => {
    net.zeroGrad();
    const logits = net.forward(x);
    const output = logits.data.slice();
    net.backwardParams(lg.crossEntropy(logits, test.y).grad);
    const ratio = norm(second.weight.grad.data) / norm(first.weight.grad.data);
    return { output, ratio };
  };
  const before = run();
  const scaled = FACTORS.map((factor) => {
    for (const { value, trained } of [W, b]) value.data.set(trained.map((weight) => factor * weight));
    g.value.data.set(g.trained.map((weight) => weight / factor));
    const { output, ratio } = run();
    const change = largest(output.map((value, i) => value - before.output[i])) / largest(before.output);
    return { factor, change, accuracy: lg.evaluate(net, test).accuracy, gradientRatio: ratio / before.ratio };
  });
  return { activation, scaled };
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Rounding of float32, summed over the inputs of a unit. */
export const ROUNDING = 1e-5;

function report({ curves }: Measured): Report {
  const [prelu, elu] = curves.map(({ scaled }) => scaled.filter(({ factor }) => factor !== 1));
  const most = (scaled: Scaled[]): number => Math.max(...scaled.map(({ change }) => change));
  const accuracies = (scaled: Scaled[]): string =>
    `the accuracy is ${between(
      scaled.map(({ accuracy }) => accuracy),
      percent,
    )}`;
  return {
    claims: [
      {
        says: "W → sW, g → g/s leaves g·φ(Wx) with PReLU.",
        holds: most(prelu) < ROUNDING,
        seen: `outputs change by at most ${figure(most(prelu))} of the largest one, which is rounding; ${accuracies(prelu)}`,
      },
      {
        says: "W → sW, g → g/s changes the output with ELU.",
        holds: elu.every(({ change }) => change > 100 * ROUNDING),
        seen: `outputs change by up to ${figure(most(elu))} of the largest one; ${accuracies(elu)}`,
      },
    ],
    tables: [
      {
        title: "A trained network with W and b multiplied by s and g divided by it",
        columns: ["f", "s", "largest change of an output", "accuracy", "growth of |dL/dg| / |dL/dW|", "s²", "ratio"],
        rows: curves.flatMap(({ activation, scaled }) =>
          scaled.map(({ factor, change, accuracy, gradientRatio }) => [
            activation,
            String(factor),
            change,
            percent(accuracy),
            ...compared(gradientRatio, factor ** 2),
          ]),
        ),
      },
    ],
    charts: [
      {
        name: "symmetry",
        title: "The largest change of an output, relative to the largest output, after W → s W, g → g / s",
        x: { label: "s", log: true },
        y: { label: "change", log: true },
        series: curves.map(({ activation, scaled }) => ({
          name: activation,
          as: "line",
          points: scaled.map(({ factor, change }) => [factor, change] as const),
        })),
      },
    ],
  };
}

export const symmetry: Experiment<Settings, Measured> = {
  name: "symmetry",
  title: "Scale symmetry",
  about,
  settings: {
    images: { default: 3000, about: "training images" },
    epochs: { default: 3, about: "passes over them" },
    width: { default: 64, about: "hidden units" },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, symmetry);
