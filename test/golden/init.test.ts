import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { firstDifference, ROUNDING } from "../support/compare.js";
import { describeEngines } from "../support/engines.js";
import { decode, type GoldenCase, type GoldenTensor, goldenCases } from "../support/golden.js";

const casesOf = (op: string): GoldenCase[] => goldenCases("init", (config) => config.op === op);

const scalar = (tensor: GoldenTensor): number => decode(tensor)[0];

/** A few roundings, relative to the spread: uniform draws near 0 are differences of larger numbers. */
const SCALED = 4 * ROUNDING;

function moments(values: Float32Array): { mean: number; std: number; largest: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { mean, std: Math.sqrt(squares / (values.length - 1)), largest };
}

/** The spreads are right to 5 standard errors: std / sqrt(2 n) for normal draws, less for uniform ones. */
function expectSpread(values: Float32Array, std: number): void {
  const got = moments(values);
  expect(Math.abs(got.mean)).toBeLessThanOrEqual((5 * std) / Math.sqrt(values.length));
  expect(Math.abs(got.std - std)).toBeLessThanOrEqual((5 * std) / Math.sqrt(2 * values.length));
}

describe("initialisation as PyTorch", () => {
  describeEngines((engine) => {
    /** The draws of one seed are one set of numbers times a scale: dividing by the draws at scale 1 shows the scale itself. */
    function expectScale(draw: (t: lg.Tensor) => lg.Tensor, unit: (t: lg.Tensor) => lg.Tensor, shape: number[]) {
      return (scale: number): void => {
        const [got, base] = [draw(engine().zeros(shape)), unit(engine().zeros(shape))];
        const want = base.data.map((value) => value * scale);
        const problem = firstDifference(got.data, want, (g, w) => Math.abs(g - w) <= SCALED * (scale + Math.abs(w)));
        expect(problem).toBeUndefined();
        got.dispose();
        base.dispose();
      };
    }
    const seed = 7;
    // sqrt(2 / 2) and sqrt(3) · sqrt(2 / 6) are 1
    const unitNormal = (t: lg.Tensor) => lg.init.kaimingNormal_(t, { fanIn: 2, seed });
    const unitUniform = (t: lg.Tensor) => lg.init.kaimingUniform_(t, { fanIn: 6, seed });

    test.each(casesOf("kaiming"))("$name", ({ inputs, outputs }) => {
      const [fans, slopes] = [decode(inputs.fan), decode(inputs.a)];
      const [stds, bounds] = [decode(outputs.std), decode(outputs.bound)];
      fans.forEach((fanIn, i) => {
        const a = slopes[i];
        expectScale((t) => lg.init.kaimingNormal_(t, { a, fanIn, seed }), unitNormal, [9, 5])(stds[i]);
        expectScale((t) => lg.init.kaimingUniform_(t, { a, fanIn, seed }), unitUniform, [9, 5])(bounds[i]);
      });
    });

    test.each(casesOf("kaiming_shape"))("$name", ({ config, outputs }) => {
      const { weightShape: shape, a } = { weightShape: config.weightShape!, a: config.a! };
      const [fanIn, fanOut] = [scalar(outputs.fanIn), scalar(outputs.fanOut)];
      const options = { a, seed };
      expectScale((t) => lg.init.kaimingNormal_(t, options), unitNormal, shape)(scalar(outputs.stdFanIn));
      expectScale((t) => lg.init.kaimingUniform_(t, options), unitUniform, shape)(scalar(outputs.boundFanIn));
      // torch's mode fan_out, by giving the fan
      expectScale(
        (t) => lg.init.kaimingNormal_(t, { ...options, fanIn: fanOut }),
        unitNormal,
        shape,
      )(scalar(outputs.stdFanOut));
      // nn.Linear's and nn.Conv2d's own default is kaimingUniform_ with a = sqrt(5)
      expectScale(
        (t) => lg.init.kaimingUniform_(t, { a: Math.sqrt(5), seed }),
        unitUniform,
        shape,
      )(scalar(outputs.torchDefaultBound));
      const glorot = Math.sqrt(2 / (fanIn + fanOut));
      expectScale((t) => lg.init.xavierNormal_(t, { seed }), unitNormal, shape)(glorot);
      expectScale((t) => lg.init.xavierUniform_(t, { seed }), unitUniform, shape)(Math.sqrt(3) * glorot);
    });

    test.each(casesOf("kaiming_sample"))("$name", ({ config, outputs }) => {
      const { weightShape: shape, a } = { weightShape: config.weightShape!, a: config.a! };
      const std = scalar(outputs.expectedStd);
      const t = engine().zeros(shape);
      expectSpread(lg.init.kaimingNormal_(t, { a, seed }).data, std);
      // a normal distribution has tails: of 102,400 draws some lie beyond 3.5 standard deviations, none beyond 6.5
      const { largest } = moments(t.data);
      expect(largest).toBeGreaterThan(3.5 * std);
      expect(largest).toBeLessThan(6.5 * std);
      expectSpread(lg.init.kaimingUniform_(t, { a, seed }).data, std);
      const bound = Math.sqrt(3) * std;
      expect(moments(t.data).largest).toBeLessThanOrEqual(bound);
      expect(moments(t.data).largest).toBeGreaterThan(0.999 * bound);
      t.dispose();
    });

    const dense = casesOf("kaiming_shape").filter(({ config }) => config.weightShape!.length === 2);

    test.each(dense)("layers of $config.weightShape start as they should", ({ config, outputs }) => {
      const [outFeatures, inFeatures] = config.weightShape!;
      const init = config.a!;
      const bound = scalar(outputs.torchDefaultBound);
      const linear = new lg.Linear(inFeatures, outFeatures, { engine: engine() });
      const isLarge = inFeatures * outFeatures > 1000;
      for (const { value } of linear.parameters()) {
        const { largest } = moments(value.data);
        expect(largest).toBeGreaterThan(0);
        expect(largest).toBeLessThanOrEqual(bound * (1 + ROUNDING));
      }
      if (isLarge) expectSpread(linear.parameters()[0].value.data, bound / Math.sqrt(3));

      const prelu = new lg.LinearPReLU(inFeatures, outFeatures, { init, engine: engine() });
      const elu = new lg.LinearELU(inFeatures, outFeatures, { engine: engine() });
      if (isLarge) {
        expectSpread(prelu.parameters()[0].value.data, scalar(outputs.stdFanIn));
        expectSpread(elu.parameters()[0].value.data, Math.sqrt(2 / inFeatures));
      }
      for (const layer of [prelu, elu]) expect(layer.parameters()[1].value.data.every((b) => b === 0)).toBe(true);
      for (const layer of [linear, prelu, elu]) layer.dispose();
    });
  });
});
