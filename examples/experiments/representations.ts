import * as lg from "lanegrad";
import { type Images, imageTensor, inBatches, loadImages, PIXELS, uniform } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { mean, std, variance } from "./shared/statistics.js";
import { between, figure, withSpread } from "./shared/tables.js";

const about = `Two augmentations of each image (shifted, mirrored, brighter or darker) go through an encoder and a projection head, and their embeddings
are pulled together: the loss is the mean of (z₁ - z₂)². A constant embedding has a loss of 0, so nothing keeps the embeddings from
collapsing to a point. A variance term (as VICReg's) does: the mean over axes of max(0, 1 - standard deviation over the batch).

embeddingStats tells the two kinds of collapse: to a point (the variance goes to 0), and to few directions (the isotropy goes to 1 / d). Of the
theory there is no formula here: what the activation of the head does to them is measured.`;

type Settings = { images: number; epochs: number; seeds: number; width: number; axes: number; seed: number };

const ACTIVATIONS = ["ReLU", "PReLU", "ELU"] as const;
const BATCH = 64;

export interface Run {
  activation: (typeof ACTIVATIONS)[number];
  hasVarianceTerm: boolean;
  /** Of images that are not trained on: at the start and after each epoch. */
  stats: lg.EmbeddingStats[];
}

interface Measured {
  axes: number;
  runs: Run[];
}

function measure(settings: Settings): Measured {
  const { seeds, seed, axes } = settings;
  const data = loadImages(settings.images);
  const runs = [false, true].flatMap((hasVarianceTerm) =>
    ACTIVATIONS.flatMap((activation) =>
      Array.from({ length: seeds }, (_, i) => ({
        activation,
        hasVarianceTerm,
        stats: train(activation, hasVarianceTerm, data, { ...settings, seed: seed + i }),
      })),
    ),
  );
  return { axes, runs };
}

function train(
  activation: Run["activation"],
  hasVarianceTerm: boolean,
  { train, test }: { train: Images; test: Images },
  { epochs, width, axes, seed }: Settings,
): lg.EmbeddingStats[] {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const act = () => {
    if (activation === "PReLU") return new lg.PReLU({ numParameters: width, engine });
    return activation === "ELU" ? new lg.ELU({ engine }) : new lg.ReLU({ engine });
  };
  const net = new lg.Sequential({
    encoder: new lg.Sequential(new lg.Linear(PIXELS, width, { engine }), new lg.ReLU({ engine })),
    head: new lg.Sequential(
      new lg.Linear(width, width, { engine }),
      act(),
      new lg.Linear(width, width, { engine }),
      act(),
      new lg.Linear(width, axes, { engine }),
    ),
  });
  const optimizer = new lg.Adam(net.parameters(), { lr: 1e-3 });
  const x = imageTensor(engine, test);
  const pairs = engine.zeros([2 * BATCH, PIXELS]);
  const grad = engine.zeros([2 * BATCH, axes]);
  const stats = [lg.embeddingStats(net.forward(x))];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const images of inBatches(train, BATCH)) {
      augment(images, pairs);
      net.zeroGrad();
      pullTogether(net.forward(pairs), grad, hasVarianceTerm);
      net.backwardParams(grad);
      optimizer.step();
    }
    stats.push(lg.embeddingStats(net.forward(x)));
  }
  return stats;
}

const SIDE = 28;
const MOST_SHIFT = 3;

/** Each image twice: sample i in the rows i and BATCH + i. */
function augment({ x }: Images, pairs: lg.Tensor): void {
  using draws = uniform(pairs.engine, [2 * BATCH, 4]);
  const u = draws.data;
  const { data } = pairs;
  for (let row = 0; row < 2 * BATCH; row++) {
    const image = x.subarray((row % BATCH) * PIXELS, ((row % BATCH) + 1) * PIXELS);
    augmentOne(image, data.subarray(row * PIXELS, (row + 1) * PIXELS), u.subarray(4 * row, 4 * row + 4));
  }
}

function augmentOne(image: Uint8Array, target: Float32Array, [right, down, side, light]: Float32Array): void {
  const [shiftX, shiftY] = [right, down].map((u) => Math.round(MOST_SHIFT * u));
  const brightness = (1 + 0.4 * light) / 255;
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const column = x + shiftX;
      const line = y + shiftY;
      const isInside = column >= 0 && column < SIDE && line >= 0 && line < SIDE;
      const from = line * SIDE + (side < 0 ? SIDE - 1 - column : column);
      target[y * SIDE + x] = isInside ? brightness * image[from] : 0;
    }
  }
}

/** The gradient of the loss with respect to the embeddings z, axis by axis. */
function pullTogether(z: lg.Tensor, grad: lg.Tensor, hasVarianceTerm: boolean): void {
  const axes = z.shape[1];
  const [values, slopes] = [z.data, grad.data];
  for (let i = 0; i < BATCH * axes; i++) {
    const j = BATCH * axes + i;
    const distance = values[i] - values[j];
    slopes[i] = (2 * distance) / (BATCH * axes);
    slopes[j] = -slopes[i];
  }
  if (!hasVarianceTerm) return;
  for (const start of [0, BATCH * axes])
    for (let axis = 0; axis < axes; axis++) spread(values, slopes, start + axis, axes);
}

/** Adds the gradient of max(0, 1 - std) over one axis of one half of the batch. */
function spread(values: Float32Array, slopes: Float32Array, start: number, axes: number): void {
  const column = Float64Array.from({ length: BATCH }, (_, row) => values[start + row * axes]);
  const center = mean(column);
  const deviation = Math.sqrt(variance(column) + 1e-4);
  if (deviation >= 1) return;
  for (let row = 0; row < BATCH; row++) {
    slopes[start + row * axes] -= (column[row] - center) / (deviation * (BATCH - 1) * axes);
  }
}

const LOSSES = [false, true].map((hasVarianceTerm) => ({
  hasVarianceTerm,
  name: `${hasVarianceTerm ? "with" : "without"} the variance term`,
}));

const last = ({ stats }: Run): lg.EmbeddingStats => stats[stats.length - 1];

/** Whether every run of one activation is above all runs of another. */
function isApart(runs: readonly Run[], value: (run: Run) => number): boolean {
  const ranges = ACTIVATIONS.map((activation) => {
    const values = runs.filter((run) => run.activation === activation).map(value);
    return { least: Math.min(...values), most: Math.max(...values) };
  });
  return ranges.some(({ least }) => ranges.some(({ most }) => most < least));
}

function report({ axes, runs }: Measured): Report {
  const [free, held] = LOSSES.map((loss) => runs.filter((run) => run.hasVarianceTerm === loss.hasVarianceTerm));
  const of = (kind: readonly Run[], activation: Run["activation"]) =>
    kind.filter((run) => run.activation === activation);
  const range = (kind: readonly Run[], key: keyof lg.EmbeddingStats): string =>
    between(kind.map((run) => last(run)[key]));
  const ranges = (kind: readonly Run[], key: keyof lg.EmbeddingStats): string =>
    ACTIVATIONS.map((activation) => `${range(of(kind, activation), key)} with ${activation}`).join(", ");
  return {
    claims: [
      {
        says: "Embeddings that are only pulled together collapse to a point, whatever the activation.",
        holds: free.every((run) => last(run).variance < run.stats[0].variance / 100),
        seen: `the variance begins at ${figure(mean(free.map(({ stats }) => stats[0].variance)))} on average and ends at ${range(free, "variance")}`,
      },
      {
        says: "A variance term keeps embeddings from collapsing to a point.",
        holds: held.every((run) => last(run).variance > 0.1),
        seen: `the variance ends at ${range(held, "variance")}`,
      },
      {
        says: "The variance does not show every collapse: it takes isotropy, too, to judge embeddings.",
        holds: held.every((run) => last(run).isotropy < run.stats[0].isotropy / 2),
        seen: `with the variance term, while the variance grows, the isotropy begins at ${figure(mean(held.map(({ stats }) => stats[0].isotropy)))} on average and ends at ${range(held, "isotropy")}; ${figure(1 / axes)} is a line in ${axes} dimensions`,
      },
      {
        says: "The activation of the projection head bears on the collapse to a point: on the variance without the term.",
        holds: isApart(free, (run) => last(run).variance),
        seen: ranges(free, "variance"),
      },
      {
        says: "The activation of the projection head bears on the collapse to few directions: on the isotropy with the term.",
        holds: isApart(held, (run) => last(run).isotropy),
        seen: ranges(held, "isotropy"),
      },
    ],
    tables: [
      {
        title: "Embeddings of images that were not trained on: means over runs and their standard deviations",
        columns: ["head", "loss", "variance at the start", "in the end", "isotropy at the start", "in the end"],
        rows: LOSSES.flatMap(({ name }, i) =>
          ACTIVATIONS.map((activation) => {
            const own = of([free, held][i], activation);
            const cell = (key: keyof lg.EmbeddingStats, at: (run: Run) => lg.EmbeddingStats): string => {
              const values = own.map((run) => at(run)[key]);
              return withSpread(mean(values), std(values));
            };
            const first = ({ stats }: Run) => stats[0];
            return [
              activation,
              name,
              cell("variance", first),
              cell("variance", last),
              cell("isotropy", first),
              cell("isotropy", last),
            ];
          }),
        ),
      },
    ],
    charts: (["variance", "isotropy"] as const).map((key) => ({
      name: `representations-${key}`,
      title: `The ${key} of the embeddings by epoch, each line a run`,
      x: { label: "epoch" },
      y: { label: key, log: key === "variance" },
      series: runs.map(({ activation, hasVarianceTerm, stats }) => ({
        name: activation,
        panel: hasVarianceTerm ? "with a variance term" : "without a variance term",
        as: "line" as const,
        points: stats.map((stat, epoch) => [epoch, stat[key]] as const),
      })),
    })),
  };
}

export const representations: Experiment<Settings, Measured> = {
  name: "representations",
  title: "Representations",
  about,
  settings: {
    images: { default: 1024, about: "training images", least: BATCH },
    epochs: { default: 15, about: "passes over them" },
    seeds: { default: 3, about: "runs of each kind", least: 2 },
    width: { default: 64, about: "units of the encoder and of each of the head's two hidden layers" },
    axes: { default: 16, about: "axes of the embeddings" },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, representations);
