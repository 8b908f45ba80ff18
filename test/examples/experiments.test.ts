import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, test } from "vitest";
import { EXPERIMENTS } from "../../examples/experiments/all.js";
import { constraints } from "../../examples/experiments/constraints.js";
import { depth, predictedGradient } from "../../examples/experiments/depth.js";
import { deviation, distance, factor, initialisation } from "../../examples/experiments/initialisation.js";
import { noise, predictedVariance } from "../../examples/experiments/noise.js";
import { normalisation, type predictedMoments } from "../../examples/experiments/normalisation.js";
import { representations } from "../../examples/experiments/representations.js";
import {
  defaultsOf,
  type Experiment,
  reportText,
  run as runExperiment,
} from "../../examples/experiments/shared/experiment.js";
import { pageOf } from "../../examples/experiments/shared/page.js";
import { svgOf } from "../../examples/experiments/shared/plots.js";
import { slopes } from "../../examples/experiments/slopes.js";
import { symmetry } from "../../examples/experiments/symmetry.js";
import { Random } from "../support/random.js";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = `${root}examples/experiments/`;

/** What an experiment measures at the settings given, and the claims that do not hold. */
async function measure<Settings extends Record<string, number>, Measured>(
  { settings, measure, report }: Experiment<Settings, Measured>,
  given: Partial<Settings>,
): Promise<{ measured: Measured; denied: string[] }> {
  const measured = await measure({ ...defaultsOf(settings), ...given });
  const denied = report(measured).claims.filter(({ holds }) => !holds);
  return { measured, denied: denied.map(({ says, seen }) => `${says} (${seen})`) };
}

describe("the experiments", () => {
  it("depth: the gradient is (a c)^L, ReLU units die, PReLU's do not", async () => {
    const { measured, denied } = await measure(depth, { images: 400, epochs: 10, width: 48 });
    for (const { slope, weight, gradients } of measured.chains) {
      for (const { layers, value } of gradients) {
        const predicted = predictedGradient(slope, weight, layers);
        // each layer rounds twice, and the slope and the weight are rounded
        expect(Math.abs(value - predicted)).toBeLessThanOrEqual(4 * layers * 2 ** -24 * predicted);
      }
    }
    expect(measured.chains.filter(({ slope }) => slope > 0)).toHaveLength(5);
    expect(measured.chains[0].gradients.map(({ value }) => Math.abs(value))).toEqual(Array(10).fill(0));
    expect(denied).toEqual([]);
  });

  it("initialisation: activations and gradients grow by n Var(W) (1 + a²)/2 a layer", async () => {
    const { measured, denied } = await measure(initialisation, { depth: 50, width: 64, draws: 4 });
    expect(new Set(measured.growths.map(({ slope }) => slope)).size).toBe(4);
    for (const growth of measured.growths) {
      expect(factor(growth)).toBeCloseTo(growth.rule === "He" ? 1 + growth.slope ** 2 : 1, 12);
      for (const key of ["activations", "gradients"] as const) {
        expect(Math.abs(distance(growth, key, measured)), `${growth.rule} ${growth.slope} ${key}`).toBeLessThan(4);
      }
    }
    expect(denied).toEqual([]);
  });

  it("initialisation: the width's share of ln(growth) is that of the mean of n squares", () => {
    const random = new Random(1);
    const [width, slope] = [32, 0.25];
    const normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    const logs = Array.from({ length: 20_000 }, () => {
      let squares = 0;
      for (let unit = 0; unit < width; unit++) {
        const s = normal();
        squares += (s > 0 ? s : slope * s) ** 2;
      }
      return Math.log((2 * squares) / (width * (1 + slope ** 2)));
    });
    const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
    const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / logs.length;
    const growth = { rule: "He", slope, activations: [], gradients: [] } as const;
    const { bias, std } = deviation(
      { ...growth, activations: [], gradients: [] },
      { depth: 1, width, draws: 1, seed: 0 },
    );
    expect(mean / bias).toBeCloseTo(1, 0);
    expect(Math.sqrt(variance) / std).toBeCloseTo(1, 0);
  });

  it("constraints: decay pulls exp to 1 and square to 0, as predicted", async () => {
    const { measured, denied } = await measure(constraints, { steps: 300, images: 300, epochs: 3, width: 16 });
    for (const { name, measured: slope, predicted, target } of measured.drifts) {
      slope.forEach((value, step) => {
        expect(Math.abs(value / predicted[step] - 1), `${name} after ${step} steps`).toBeLessThan(1e-4);
      });
      expect(Math.abs(slope[300] - target)).toBeLessThanOrEqual(Math.abs(slope[0] - target));
    }
    expect(denied).toEqual([]);
  });

  it("symmetry: scaling leaves the output of PReLU, not of ELU, and scales the ratio of gradients by s²", async () => {
    const { measured, denied } = await measure(symmetry, { images: 300, epochs: 2, width: 16 });
    for (const { factor, gradientRatio } of measured.curves[0].scaled) {
      expect(Math.abs(gradientRatio / factor ** 2 - 1)).toBeLessThan(1e-4);
    }
    expect(denied).toEqual([]);
  });

  it("noise: the model's relative variance is the formula's, and images agree at the start", async () => {
    const { measured, denied } = await measure(noise, {
      batch: 32,
      batches: 320,
      inputs: 8,
      images: 640,
      width: 24,
      nets: 3,
    });
    expect(measured.model).toHaveLength(5);
    for (const { slope, measured: variance, predicted, standardError } of measured.model) {
      expect(predicted).toBeCloseTo(predictedVariance(slope, 8) / 32, 12);
      expect(Math.abs(variance - predicted), `a = ${slope}`).toBeLessThan(4 * standardError);
      expect(standardError).toBeLessThan(0.1 * predicted);
    }
    // the ends: a ReLU halves the samples, and a = 1 is linear regression
    expect([0, 1].map((slope) => predictedVariance(slope, 8))).toEqual([19, 9]);
    expect(denied.filter((claim) => !claim.includes("after an epoch"))).toEqual([]);
  });

  it("normalisation: γ, β and skewness are the formula's", async () => {
    const { measured, denied } = await measure(normalisation, { samples: 2000, images: 500, epochs: 2, width: 24 });
    expect(measured.rows.length).toBeGreaterThan(3);
    for (const { slope, predicted } of measured.rows) expectMoments(predicted, slope);
    expect(denied.filter((claim) => !claim.startsWith("The γ that BatchNorm learns"))).toEqual([]);
  });

  it("representations: without the variance term they collapse to a point, with it to few directions", async () => {
    const given = { images: 512, epochs: 6, seeds: 2, width: 32, axes: 8 };
    const { measured, denied } = await measure(representations, given);
    expect(measured.runs).toHaveLength(12);
    expect(denied.filter((claim) => !claim.includes("collapse to few directions"))).toEqual([]);
  });

  it("slopes: they are learned, one or one for each unit, at the parameters that they cost", async () => {
    const { measured, denied } = await measure(slopes, { images: 600, epochs: 5, seeds: 2, width: 24 });
    expect(measured.outcomes.map((outcome) => outcome.slopes)).toEqual([0, 0, 2, 48, 0]);
    expect(measured.learned.map(({ stats }) => stats.count)).toEqual([1, 1, 24, 24]);
    for (const { accuracies } of measured.outcomes)
      for (const accuracy of accuracies) expect(accuracy).toBeGreaterThan(0.3);
    expect(denied.filter((claim) => /^(Linear\(784, 256\)|Slopes are learned)/.test(claim))).toEqual([]);
  });
});

/** γ, β and skewness of f(s) by sums over the normal density. */
function expectMoments(predicted: ReturnType<typeof predictedMoments>, slope: number): void {
  const step = 1e-3;
  const moment = (of: (y: number) => number): number => {
    let sum = 0;
    for (let s = -10 + step / 2; s < 10; s += step) sum += of(s > 0 ? s : slope * s) * Math.exp((-s * s) / 2);
    return (sum * step) / Math.sqrt(2 * Math.PI);
  };
  const mean = moment((y) => y);
  const std = Math.sqrt(moment((y) => (y - mean) ** 2));
  expect(predicted.gamma).toBeCloseTo(1 / std, 5);
  expect(predicted.beta).toBeCloseTo(-mean / std, 5);
  expect(predicted.skewness).toBeCloseTo(moment((y) => (y - mean) ** 3) / std ** 3, 5);
}

/** The smallest that each takes. */
const TINY: Record<string, Record<string, number>> = {
  depth: { depth: 4, images: 100, epochs: 1, width: 4 },
  initialisation: { depth: 4, width: 4, draws: 2 },
  constraints: { steps: 10, images: 100, epochs: 1, width: 4 },
  symmetry: { images: 100, epochs: 1, width: 4 },
  noise: { batch: 16, batches: 32, inputs: 2, images: 64, width: 4, nets: 2 },
  normalisation: { samples: 100, images: 100, epochs: 1, width: 4 },
  representations: { images: 64, epochs: 1, seeds: 2, width: 4, axes: 4 },
  slopes: { images: 100, epochs: 1, seeds: 2, width: 4 },
};

/** The page and its pictures at these settings. */
async function drawPage(): Promise<string[]> {
  const results = [];
  for (const { name, title, about, run } of EXPERIMENTS) {
    results.push({ name, title, about, report: await run(TINY[name]) });
  }
  return [pageOf(results, "experiments"), ...results.flatMap(({ report }) => report.charts.map(svgOf))];
}

test("a second run writes the same page and the same pictures", async () => {
  const first = await drawPage();
  expect(await drawPage()).toEqual(first);
  for (const picture of first.slice(1)) expect(picture).not.toMatch(/NaN|undefined|Infinity/);
});

test("every program in the folder is on the page, and explains its settings on a screen", () => {
  const programs = readdirSync(folder).flatMap((file) => /^(.*)\.ts$/.exec(file)?.[1] ?? []);
  const names = EXPERIMENTS.map(({ name }) => name);
  expect(names.toSorted()).toEqual(programs.filter((name) => !["all", "main"].includes(name)).toSorted());
  for (const { name, usage, settings } of EXPERIMENTS) {
    expect(usage).toContain(`examples/experiments/${name}.ts`);
    for (const setting of Object.keys(settings)) expect(usage).toContain(`--${setting} N`);
    expect(usage.split("\n").length, name).toBeLessThan(40);
  }
});

test("the page in docs/ has a section and the pictures of each, and the README names it", () => {
  const page = readFileSync(`${root}docs/experiments.md`, "utf8");
  for (const { title } of EXPERIMENTS) expect(page).toContain(`\n## ${title}\n`);
  const shown = Array.from(page.matchAll(/\]\(experiments\/(\S+\.svg)\)/g), ([, file]) => file);
  expect(shown.toSorted()).toEqual(readdirSync(`${root}docs/experiments`).toSorted());
  const readme = readFileSync(`${root}README.md`, "utf8");
  expect(readme).toContain("(docs/experiments.md)");
  const [, picture] = /\]\((docs\/experiments\/\S+\.svg)\)/.exec(readme) ?? [];
  expect(existsSync(`${root}${picture}`)).toBe(true);
});

test("a program prints its report, its help, and what is wrong with its options", async () => {
  const run = (...args: string[]) =>
    execute(process.execPath, ["--import", "tsx", `${folder}initialisation.ts`, ...args], { cwd: root });
  const given = ["--depth", "4", "--width", "4", "--draws", "2"];
  const [report, help, wrong] = await Promise.all([
    run(...given),
    run("--help"),
    run("--width", "0").catch((error: unknown) => error as { code: number; stderr: string }),
  ]);
  expect(report.stdout).toBe(`${reportText(await runExperiment(initialisation, TINY.initialisation))}\n`);
  expect(help.stdout).toContain("--width N");
  expect(wrong).toMatchObject({ code: 2, stderr: '--width takes a whole number of at least 1, got "0"\n' });
});
