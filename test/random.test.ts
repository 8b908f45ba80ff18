import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { ROUNDING } from "./support/compare.js";
import { describeEngines, KERNEL_SETS } from "./support/engines.js";
import { decode, goldenCases } from "./support/golden.js";
import { bits, valueBits } from "./support/state.js";

const { kaimingNormal_, kaimingUniform_, xavierNormal_, xavierUniform_, zeros_, constant_ } = lg.init;

type Fill = (t: lg.Tensor, options?: { seed?: number }) => lg.Tensor;
const NORMAL: [name: string, fill: Fill][] = [
  ["kaimingNormal_", kaimingNormal_],
  ["xavierNormal_", xavierNormal_],
];
const UNIFORM: [name: string, fill: Fill][] = [
  ["kaimingUniform_", kaimingUniform_],
  ["xavierUniform_", xavierUniform_],
];

/** 0, the sign, both halves of a safe integer, neighbours. */
const SEEDS = [0, 1, 2, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

interface Moments {
  mean: number;
  std: number;
  skewness: number;
  kurtosis: number;
  largest: number;
}

function moments(values: Float32Array): Moments {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const central = (power: number): number => values.reduce((sum, value) => sum + (value - mean) ** power, 0) / n;
  const std = Math.sqrt(central(2));
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { mean, std, skewness: central(3) / std ** 3, kurtosis: central(4) / std ** 4, largest };
}

/** Seeds are fixed, so that a bound of five standard errors holds for ever or never. */
const ERRORS = 5;

function expectNormal(values: Float32Array, std: number): void {
  const n = values.length;
  const got = moments(values);
  expect(Math.abs(got.mean)).toBeLessThan((ERRORS * std) / Math.sqrt(n));
  expect(Math.abs(got.std / std - 1)).toBeLessThan(ERRORS / Math.sqrt(2 * n));
  expect(Math.abs(got.skewness)).toBeLessThan(ERRORS * Math.sqrt(6 / n));
  expect(Math.abs(got.kurtosis - 3)).toBeLessThan(ERRORS * Math.sqrt(24 / n));
  const within = values.reduce((count, value) => count + (Math.abs(value) < std ? 1 : 0), 0) / n;
  expect(Math.abs(within - 0.682689)).toBeLessThan(ERRORS * Math.sqrt((0.6827 * 0.3173) / n));
}

function expectUniform(values: Float32Array, bound: number): void {
  const n = values.length;
  const got = moments(values);
  const std = bound / Math.sqrt(3);
  expect(got.largest).toBeLessThanOrEqual(Math.fround(bound));
  expect(got.largest).toBeGreaterThan(bound * (1 - 20 / n));
  expect(Math.abs(got.mean)).toBeLessThan((ERRORS * std) / Math.sqrt(n));
  expect(Math.abs(got.std / std - 1)).toBeLessThan(ERRORS * Math.sqrt(0.2 / n));
  expect(Math.abs(got.kurtosis - 1.8)).toBeLessThan((ERRORS * 2) / Math.sqrt(n));
}

describe("initialisation", () => {
  describeEngines((engine) => {
    describe.each([...NORMAL, ...UNIFORM])("%s", (_, fill) => {
      it("gives the same bits for a seed and others for another", () => {
        const draws = SEEDS.map((seed) => bits(fill(engine().zeros([4, 8]), { seed }).data));
        expect(SEEDS.map((seed) => bits(fill(engine().zeros([4, 8]), { seed }).data))).toEqual(draws);
        expect(new Set(draws.map(String)).size).toBe(SEEDS.length);
      });

      it("with a seed leaves the engine's generator alone", () => {
        const draw = (seeded: boolean) => {
          using own = lg.createEngine({ kernels: engine().kernels, seed: 4 });
          if (seeded) fill(own.zeros([3, 3]), { seed: 1 });
          return bits(fill(own.zeros([3, 3])).data);
        };
        expect(draw(true)).toEqual(draw(false));
      });

      it("draws from the engine's generator, on from where it is", () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 4 });
        const first = bits(fill(own.zeros([3, 3])).data);
        const second = bits(fill(own.zeros([3, 3])).data);
        expect(second).not.toEqual(first);
        own.dispose();
      });

      it("returns its tensor and takes an empty one", () => {
        const t = engine().zeros([3, 3]);
        expect(fill(t)).toBe(t);
        expect(fill(engine().zeros([0, 3])).size).toBe(0);
      });

      it("has no two equal neighbours, rows or columns", () => {
        const values = fill(engine().zeros([64, 64]), { seed: 3 }).data;
        const distinct = new Set(values);
        // of 4096 float32 draws a few coincide
        expect(distinct.size).toBeGreaterThan(4080);
      });
    });

    it("zeros_ and constant_", () => {
      const t = engine().tensor([1, 2, 3]);
      expect(zeros_(t)).toBe(t);
      expect(t.toArray()).toEqual([0, 0, 0]);
      expect(constant_(t, 1 / 3)).toBe(t);
      expect(t.toArray()).toEqual(Array(3).fill(Math.fround(1 / 3)));
    });

    describe("moments", () => {
      const SHAPE = [400, 256];

      it.each([0, 0.25, 1, -0.5, Math.sqrt(5)])("kaiming with a = %d", (a) => {
        const std = Math.sqrt(2 / ((1 + a * a) * 256));
        expectNormal(kaimingNormal_(engine().zeros(SHAPE), { a, seed: 1 }).data, std);
        expectUniform(kaimingUniform_(engine().zeros(SHAPE), { a, seed: 1 }).data, std * Math.sqrt(3));
      });

      it("kaiming with fanIn, of any shape", () => {
        expectNormal(kaimingNormal_(engine().zeros([50_000]), { fanIn: 10, seed: 1 }).data, Math.sqrt(0.2));
        expectUniform(kaimingUniform_(engine().zeros(SHAPE), { fanIn: 1, seed: 1 }).data, Math.sqrt(6));
      });

      it("xavier", () => {
        const std = Math.sqrt(2 / 656);
        expectNormal(xavierNormal_(engine().zeros(SHAPE), { seed: 1 }).data, std);
        expectUniform(xavierUniform_(engine().zeros(SHAPE), { seed: 1 }).data, std * Math.sqrt(3));
      });

      it("xavier with fans", () => {
        expectNormal(xavierNormal_(engine().zeros([50_000]), { fanIn: 3, fanOut: 5, seed: 1 }).data, 0.5);
        expectUniform(xavierUniform_(engine().zeros([400, 256]), { fanIn: 400, seed: 1 }).data, Math.sqrt(6 / 800));
      });

      it("of the engine's generator over many small draws", () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 6 });
        const parts = Array.from({ length: 500 }, () => kaimingNormal_(own.zeros([7, 2])).data.slice());
        expectNormal(Float32Array.from(parts.flatMap((part) => [...part])), 1);
        own.dispose();
      });
    });

    describe("layers' defaults", () => {
      it.each([
        [1, 4000],
        [784, 256],
        [37, 1000],
      ])("Linear(%i, %i): weight and bias uniform on ±1/sqrt(n), as PyTorch's", (n, k) => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 7 });
        const { weight, bias } = new lg.Linear(n, k, { engine: own });
        expectUniform(weight.value.data, 1 / Math.sqrt(n));
        expect(moments(bias!.value.data).largest).toBeLessThanOrEqual(Math.fround(1 / Math.sqrt(n)));
        expect(moments(bias!.value.data).largest).toBeGreaterThan(0.9 / Math.sqrt(n));
        own.dispose();
      });

      it.each([
        [0.25, 784, 256],
        [0, 100, 300],
        [1, 37, 1000],
        [-2, 64, 512],
      ])("LinearPReLU with slope %d: N(0, 2 / (n (1 + a²))), bias 0", (init, n, k) => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 7 });
        const layer = new lg.LinearPReLU(n, k, { init, engine: own });
        const [weight, bias, slope] = layer.parameters();
        expectNormal(weight.value.data, Math.sqrt(2 / (n * (1 + init * init))));
        expect(bias.value.data.every((value) => value === 0)).toBe(true);
        expect(slope.value.shape).toEqual([k]);
        expect(slope.value.data.every((value) => value === init)).toBe(true);
        own.dispose();
      });

      it("keeps the variance of activations through ten layers of LinearPReLU", () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 8 });
        const layers = Array.from({ length: 10 }, () => new lg.LinearPReLU(256, 256, { engine: own }));
        const x = kaimingNormal_(own.zeros([64, 256]), { fanIn: 2, seed: 1 });
        const y = new lg.Sequential(...layers).forward(x).data;
        const power = y.reduce((sum, value) => sum + value * value, 0) / y.length;
        // the mean square behind the last activation is half of s's, times (1 + a²), which is 1 · that of x
        expect(power).toBeGreaterThan(0.5);
        expect(power).toBeLessThan(2);
        own.dispose();
      });

      it("PReLU starts at 0.25, or where it is told", () => {
        expect([...new lg.PReLU({ engine: engine() }).slopes()]).toEqual([0.25]);
        const layer = new lg.PReLU({ numParameters: 3, init: -0.5, engine: engine() });
        expect([...layer.slopes()]).toEqual([-0.5, -0.5, -0.5]);
        const shared = new lg.LinearPReLU(2, 3, { numParameters: 1, init: 0, engine: engine() });
        expect([...shared.slopes()]).toEqual([0]);
      });

      it("gradients start at 0", () => {
        const layer = new lg.LinearPReLU(5, 4, { engine: engine() });
        for (const { grad } of layer.parameters()) expect(grad.data.every((value) => value === 0)).toBe(true);
      });
    });
  });

  describe("as PyTorch's formulas", () => {
    const draws = (fan: number, a: number, fill: typeof kaimingNormal_) => {
      const t = lg.defaultEngine().zeros([16]);
      const values = fill(t, { a, fanIn: fan, seed: 5 }).data.slice();
      t.dispose();
      return values;
    };

    it.each(goldenCases("init", ({ op }) => op === "kaiming"))("$name", ({ inputs, outputs }) => {
      const [fan, a] = [decode(inputs.fan), decode(inputs.a)];
      const [std, bound] = [decode(outputs.std), decode(outputs.bound)];
      // fan 2 and slope 0 have the deviation 1 and the bound sqrt(3): the draws themselves, to a few roundings of their scale
      const normal = draws(2, 0, kaimingNormal_);
      const uniform = draws(2, 0, kaimingUniform_).map((value) => value / Math.sqrt(3));
      const worst = (got: Float32Array, unit: Float32Array, scale: number): number =>
        got.reduce((most, value, i) => Math.max(most, Math.abs(value / scale - unit[i])), 0);
      fan.forEach((n, i) => {
        expect(worst(draws(n, a[i], kaimingNormal_), normal, std[i])).toBeLessThan(16 * ROUNDING);
        expect(worst(draws(n, a[i], kaimingUniform_), uniform, bound[i])).toBeLessThan(4 * ROUNDING);
      });
    });

    it.each(goldenCases("init", ({ op }) => op === "kaiming_shape"))("$name", ({ config, outputs }) => {
      const { weightShape, a } = config as unknown as { weightShape: number[]; a: number };
      const [fanIn, fanOut] = [Number(outputs.fanIn.data[0]), Number(outputs.fanOut.data[0])];
      const engine = lg.defaultEngine();
      const draw = (fill: (t: lg.Tensor) => lg.Tensor): number[] => {
        using t = engine.zeros(weightShape);
        return [...fill(t).data];
      };
      const seed = 2;
      expect(draw((t) => kaimingNormal_(t, { a, seed }))).toEqual(draw((t) => kaimingNormal_(t, { a, fanIn, seed })));
      expect(draw((t) => kaimingUniform_(t, { a, seed }))).toEqual(draw((t) => kaimingUniform_(t, { a, fanIn, seed })));
      expect(draw((t) => xavierNormal_(t, { seed }))).toEqual(draw((t) => xavierNormal_(t, { fanIn, fanOut, seed })));
      const bound = Math.fround(Number(outputs.boundFanIn.data[0]));
      expect(draw((t) => kaimingUniform_(t, { a, seed })).every((value) => Math.abs(value) <= bound)).toBe(true);
      if (weightShape.length === 2) {
        const layer = new lg.Linear(weightShape[1], weightShape[0], { engine });
        const torchBound = Math.fround(Number(outputs.torchDefaultBound.data[0]));
        for (const { value } of layer.parameters()) {
          expect(value.data.every((weight) => Math.abs(weight) <= torchBound)).toBe(true);
        }
        layer.dispose();
      }
    });
  });
});

describe("an engine's seed", () => {
  /** Everything that is random on an engine. */
  async function everything(options: lg.EngineOptions): Promise<unknown> {
    const engine = lg.createEngine(options);
    const net = new lg.Sequential(
      new lg.Linear(3, 5, { engine }),
      new lg.PReLU({ engine }),
      new lg.LinearPReLU(5, 2, { engine }),
    );
    const weights = valueBits(net);
    const filled = NORMAL.concat(UNIFORM).map(([, fill]) => bits(fill(engine.zeros([3, 3])).data));
    // a seed for the order is drawn too
    await lg.fit(net, {
      train: { x: Array.from({ length: 40 }, (_, i) => [i, 0, 0]), y: new Uint8Array(40) },
      epochs: 2,
      batchSize: 8,
      optimizer: { step: () => {} },
    });
    const later = bits(kaimingNormal_(engine.zeros([3, 3])).data);
    engine.dispose();
    return { weights, filled, later };
  }

  it.each(KERNEL_SETS)("fixes everything random on it, %s", async (kernels) => {
    const want = await everything({ kernels, seed: 11 });
    expect(await everything({ kernels, seed: 11 })).toEqual(want);
    expect(await everything({ kernels, seed: 12 })).not.toEqual(want);
  });

  it("gives the same draws for every kernel set", async () => {
    const draws = await Promise.all(KERNEL_SETS.map((kernels) => everything({ kernels, seed: 11 })));
    for (const other of draws.slice(1)) expect(other).toEqual(draws[0]);
  });

  it("is 0 unless given, and any safe integer counts whole", () => {
    const draw = (seed?: number): string => {
      using engine = lg.createEngine({ kernels: "js", seed });
      return String(bits(kaimingNormal_(engine.zeros([2, 2])).data));
    };
    expect(draw()).toBe(draw(0));
    expect(draw(-0)).toBe(draw(0));
    expect(new Set(SEEDS.map(draw)).size).toBe(SEEDS.length);
  });

  it("is not shared: engines of one seed draw alike, one after the other or in turns", () => {
    const [a, b] = [1, 2].map(() => lg.createEngine({ kernels: "js", seed: 3 }));
    const draw = (engine: lg.Engine): string => String(bits(kaimingNormal_(engine.zeros([3, 1])).data));
    const first = [draw(a), draw(a), draw(a)];
    expect([draw(b), draw(b), draw(b)]).toEqual(first);
    a.dispose();
    b.dispose();
  });
});

describe("fit's order", () => {
  /** The samples in the order in which they are trained on, epoch by epoch. */
  async function order(
    kernels: (typeof KERNEL_SETS)[number],
    options: { seed?: number; shuffle?: boolean; engineSeed?: number } = {},
  ): Promise<number[][]> {
    const engine = lg.createEngine({ kernels, seed: options.engineSeed });
    const net = new lg.Sequential(new lg.Linear(1, 1, { engine }));
    const seen: number[] = [];
    const count = 23;
    await lg.fit(net, {
      train: { x: Array.from({ length: count }, () => [0]), y: Array.from({ length: count }, (_, i) => [i + 0.5]) },
      epochs: 3,
      batchSize: 5,
      optimizer: { step: () => {} },
      loss: (output: lg.Tensor, target: lg.Tensor) => {
        seen.push(...[...target.data].map((value) => value - 0.5));
        return { loss: 0, grad: output };
      },
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.shuffle === undefined ? {} : { shuffle: options.shuffle }),
    });
    engine.dispose();
    return [0, 1, 2].map((epoch) => seen.slice(epoch * count, (epoch + 1) * count));
  }
  const IN_ORDER = Array.from({ length: 23 }, (_, i) => i);

  it.each(KERNEL_SETS)("takes every sample once an epoch, in another order each time, %s", async (kernels) => {
    const epochs = await order(kernels, { seed: 1 });
    for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual(IN_ORDER);
    expect(new Set(epochs.concat([IN_ORDER]).map(String)).size).toBe(4);
  });

  it("is fixed by its seed, the same for every kernel set, another for another seed", async () => {
    const want = await order("js", { seed: 1 });
    for (const kernels of KERNEL_SETS) expect(await order(kernels, { seed: 1, engineSeed: 9 })).toEqual(want);
    expect(await order("js", { seed: 2 })).not.toEqual(want);
  });

  it("without a seed is fixed by the engine's", async () => {
    const want = await order("js", { engineSeed: 4 });
    for (const kernels of KERNEL_SETS) expect(await order(kernels, { engineSeed: 4 })).toEqual(want);
    expect(await order("js", { engineSeed: 5 })).not.toEqual(want);
  });

  it("without shuffling is the data's", async () => {
    expect(await order("js", { shuffle: false })).toEqual([IN_ORDER, IN_ORDER, IN_ORDER]);
  });
});
