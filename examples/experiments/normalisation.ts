import * as lg from "lanegrad";
import { CLASSES, type Images, imageTensor, loadImages, normal, PIXELS } from "./shared/data.js";
import { type Experiment, KERNELS, type Report, runIfMain, SEED } from "./shared/experiment.js";
import { correlation, mean, standardError } from "./shared/statistics.js";
import { compared, percent } from "./shared/tables.js";

const about = `Let s be drawn from N(0, 1) and y = s for s > 0, a s elsewhere. The moments of half a normal distribution give

- mean m = (1 - a) / √(2π),
- variance v = (1 + a²)/2 - m²,
- third moment E y³ = (1 - a³) √(2/π), so the skewness is (E y³ - 3 m v - m³) / v^1.5.

BatchNorm behind the PReLU makes mean 0 and variance 1 of it by γ y + β with γ = 1 / √v and β = -m / √v: functions of the slope, as
the skewness is. At a = 1 they are 1 and 0, and the more a differs from 1 the more BatchNorm has to shift.`;

type Settings = { samples: number; images: number; epochs: number; width: number; seed: number };

const SLOPES = [-0.5, 0, 0.01, 0.25, 0.5, 0.75, 1, 1.5];
const QUANTITIES = ["skewness", "gamma", "beta"] as const;
type Quantity = (typeof QUANTITIES)[number];
type Moments = Record<Quantity, number>;

/** Sets of samples, from whose differences standard errors come. */
const SETS = 16;

export interface Row {
  slope: number;
  measured: Moments;
  error: Moments;
  predicted: Moments;
}

/** Units of a network on images: what is behind their PReLU. */
interface Unit {
  slope: number;
  measured: Moments;
}

interface Measured {
  rows: Row[];
  start: Unit[];
  trained: (Unit & { learnedGamma: number })[];
  accuracy: number;
}

async function measure(settings: Settings): Promise<Measured> {
  return { rows: measureNormal(settings), ...(await measureImages(settings)) };
}

export function predictedMoments(a: number): Moments {
  const center = (1 - a) / Math.sqrt(2 * Math.PI);
  const variance = (1 + a ** 2) / 2 - center ** 2;
  const cubes = (1 - a ** 3) * Math.sqrt(2 / Math.PI);
  return {
    skewness: (cubes - 3 * center * variance - center ** 3) / variance ** 1.5,
    gamma: 1 / Math.sqrt(variance),
    beta: -center / Math.sqrt(variance),
  };
}

/** Columns of draws, each through a slope of its own. */
function measureNormal({ samples, seed }: Settings): Row[] {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const prelu = new lg.PReLU({ numParameters: SLOPES.length, engine });
  prelu.weight.value.data.set(SLOPES);
  const norm = new lg.BatchNorm1d(SLOPES.length, { eps: 0, momentum: 1, engine });
  const sets = Array.from({ length: SETS }, () =>
    lg.tidy(() => momentsBehind(prelu.forward(normal(engine, [samples, SLOPES.length])), norm)),
  );
  return SLOPES.map((slope, column) => {
    const over = (statistic: (values: number[]) => number) =>
      momentsOf((quantity) => statistic(sets.map((set) => set[column][quantity])));
    return { slope, measured: over(mean), error: over(standardError), predicted: predictedMoments(slope) };
  });
}

const momentsOf = (of: (quantity: Quantity) => number): Moments => ({
  skewness: of("skewness"),
  gamma: of("gamma"),
  beta: of("beta"),
});

/** Of each column: the skewness, and γ and β from the statistics that BatchNorm takes of the batch (its momentum is 1, its eps 0). */
function momentsBehind(y: lg.Tensor, norm: lg.BatchNorm1d): Moments[] {
  const [rows, columns] = y.shape;
  const normalized = norm.forward(y).data;
  const { running_mean, running_var } = norm.stateDict();
  return Array.from({ length: columns }, (_, column) => {
    let cubes = 0;
    for (let row = 0; row < rows; row++) cubes += normalized[row * columns + column] ** 3;
    const gamma = 1 / Math.sqrt(running_var.data[column]);
    return { skewness: cubes / rows, gamma, beta: -gamma * running_mean.data[column] };
  });
}

const BATCH = 64;

/** 784-width-10 with BatchNorm before the PReLU, so that its input has mean 0 and variance 1, and behind it; slopes from 0 to 1. */
async function measureImages({ images, epochs, width, seed }: Settings): Promise<Omit<Measured, "rows">> {
  using engine = lg.createEngine({ kernels: KERNELS, seed });
  const { train, test } = loadImages(images);
  const prelu = new lg.PReLU({ numParameters: width, engine });
  prelu.weight.value.data.forEach((_, unit, slopes) => {
    slopes[unit] = unit / (width - 1);
  });
  const behind = new lg.BatchNorm1d(width, { engine });
  const front = new lg.Sequential(
    new lg.Linear(PIXELS, width, { engine }),
    new lg.BatchNorm1d(width, { engine }),
    prelu,
  );
  const net = new lg.Sequential(front, behind, new lg.Linear(width, CLASSES, { engine }));
  const start = unitsOf(front, prelu, train);
  await lg.fit(net, { train, epochs, batchSize: BATCH, optimizer: new lg.Adam(net.parameters()) });
  const trained = unitsOf(front, prelu, train).map((unit, i) => ({
    ...unit,
    learnedGamma: behind.weight.value.data[i],
  }));
  return { start, trained, accuracy: lg.evaluate(net, test).accuracy };
}

function unitsOf(front: lg.Sequential, prelu: lg.PReLU, images: Images): Unit[] {
  const { engine } = prelu.weight.value;
  const slopes = prelu.slopes();
  const norm = new lg.BatchNorm1d(slopes.length, { eps: 0, momentum: 1, engine });
  using x = imageTensor(engine, images);
  const moments = momentsBehind(front.forward(x), norm);
  norm.dispose();
  return moments.map((measured, unit) => ({ slope: slopes[unit], measured }));
}

/** How many standard errors the measured value is from the formula's. */
export const distance = ({ measured, error, predicted }: Row, quantity: Quantity): number =>
  (measured[quantity] - predicted[quantity]) / error[quantity];

/** Between what is measured behind each unit and what the formula makes of its slope. */
const agreement = (units: readonly Unit[], quantity: Quantity): number =>
  correlation(
    units.map(({ measured }) => measured[quantity]),
    units.map(({ slope }) => predictedMoments(slope)[quantity]),
  );

/** A correlation from which on units follow their slopes. */
const FOLLOWS = 0.5;

function report({ rows, start, trained, accuracy }: Measured): Report {
  const distances = rows.flatMap((row) => QUANTITIES.map((quantity) => Math.abs(distance(row, quantity))));
  const agreements = (quantity: Quantity): string =>
    `${agreement(start, quantity).toFixed(2)} at the start and ${agreement(trained, quantity).toFixed(2)} after training`;
  const follows = (quantity: Quantity): boolean =>
    [start, trained].every((units) => agreement(units, quantity) > FOLLOWS);
  const learned = correlation(
    trained.map(({ learnedGamma }) => learnedGamma),
    trained.map(({ slope }) => slope),
  );
  return {
    claims: [
      {
        says: "After a PReLU the γ and β that normalise are functions of the slope: of normal input, those of the formula.",
        holds: Math.max(...distances) < 4,
        seen: `the largest of ${distances.length} differences is ${Math.max(...distances).toFixed(1)} standard errors`,
      },
      {
        says: "The slope sets how skewed the output is, on images too: units follow the formula, though their s is not normal.",
        holds: follows("skewness"),
        seen: `over ${start.length} units the correlation with the formula is ${agreements("skewness")}`,
      },
      {
        says: "The γ and β that normalise are functions of the slope on images, too.",
        holds: follows("gamma") && follows("beta"),
        seen: `correlations with the formula: γ ${agreements("gamma")}, β ${agreements("beta")}`,
      },
      {
        says: "The γ that BatchNorm learns behind a PReLU is a function of the slope.",
        holds: Math.abs(learned) > FOLLOWS,
        seen: `a correlation of ${learned.toFixed(2)} with the slope in a network with an accuracy of ${percent(accuracy)}. BatchNorm divides by the standard deviation before its γ, so that γ is left to what the next layer needs`,
      },
    ],
    tables: [
      {
        title: "What is behind a PReLU of normal input",
        columns: ["slope a", "of", "measured", "predicted", "ratio", "standard errors off"],
        rows: rows.flatMap((row) =>
          QUANTITIES.map((quantity) => [
            String(row.slope),
            NAMES[quantity],
            ...compared(row.measured[quantity], row.predicted[quantity]),
            distance(row, quantity).toFixed(1),
          ]),
        ),
      },
    ],
    charts: [
      {
        name: "normalisation",
        title: "Skewness behind a PReLU, and the γ and β that normalise: the formula (dashes), normal input (dots)",
        x: { label: "slope a" },
        y: { label: "" },
        series: QUANTITIES.flatMap((quantity) => [
          {
            name: NAMES[quantity],
            as: "dashes" as const,
            points: Array.from({ length: 81 }, (_, i) => -0.5 + i / 40).map(
              (slope) => [slope, predictedMoments(slope)[quantity]] as const,
            ),
          },
          {
            name: NAMES[quantity],
            as: "dots" as const,
            points: rows.map(({ slope, measured }) => [slope, measured[quantity]] as const),
          },
        ]),
      },
      {
        name: "normalisation-images",
        title:
          "γ that normalises each unit of a network on images by the unit's slope: the formula (dashes), units (dots)",
        x: { label: "slope a" },
        y: { label: "γ" },
        series: Object.entries({ "at the start": start, "after training": trained }).flatMap(([panel, units]) => [
          {
            name: "formula",
            panel,
            as: "dashes" as const,
            points: Array.from({ length: 45 }, (_, i) => -0.05 + i / 40).map(
              (slope) => [slope, predictedMoments(slope).gamma] as const,
            ),
          },
          {
            name: "units",
            panel,
            as: "dots" as const,
            points: units.map(({ slope, measured }) => [slope, measured.gamma] as const),
          },
        ]),
      },
    ],
  };
}

const NAMES = { skewness: "skewness", gamma: "γ", beta: "β" };

export const normalisation: Experiment<Settings, Measured> = {
  name: "normalisation",
  title: "BatchNorm after PReLU",
  about,
  settings: {
    samples: { default: 20000, about: `samples in each of ${SETS} sets`, least: 100 },
    images: { default: 3000, about: "training images" },
    epochs: { default: 5, about: "passes over them" },
    width: { default: 64, about: "hidden units", least: 3 },
    seed: SEED,
  },
  measure,
  report,
};

await runIfMain(import.meta.url, normalisation);
