import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { firstDifference } from "../support/compare.js";
import { describeEngines, KERNEL_SETS } from "../support/engines.js";
import { Residual } from "../support/layers.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, gradientBits, randomTensor, refusal, stateBits, valueBits } from "../support/state.js";

type Norm = lg.BatchNorm1d | lg.BatchNorm2d;

const SHAPES: number[][] = [
  [2, 3],
  [7, 5],
  [4, 3, 6],
  [1, 2, 9],
  [3, 4, 2, 3],
  [2, 1, 1, 1],
  [5, 17, 4, 7],
  [64, 9],
];

/** y and the messages back by the formulas, in double. */
function byFormula(norm: Norm, x: lg.Tensor, dy: lg.Tensor) {
  const channels = norm.numFeatures;
  const inner = x.shape.slice(2).reduce((size, length) => size * length, 1);
  const channelOf = (i: number): number => Math.floor(i / inner) % channels;
  const count = x.size / channels;
  const means = (values: ArrayLike<number>): Float64Array => {
    const sums = new Float64Array(channels);
    for (let i = 0; i < values.length; i++) sums[channelOf(i)] += values[i];
    return sums.map((sum) => sum / count);
  };
  const [weight, bias] = norm.parameters().map(({ value }) => value.data);
  const mean = means(x.data);
  const centred = Float64Array.from(x.data, (value, i) => value - mean[channelOf(i)]);
  const variance = means(centred.map((value) => value * value));
  const inverse = variance.map((value) => 1 / Math.sqrt(value + norm.eps));
  const xHat = centred.map((value, i) => value * inverse[channelOf(i)]);
  const meanDy = means(dy.data);
  const meanProduct = means(xHat.map((value, i) => value * dy.data[i]));
  return {
    mean,
    /** The unbiased one, which the running one follows. */
    variance: variance.map((value) => (value * count) / (count - 1)),
    y: xHat.map((value, i) => value * weight[channelOf(i)] + bias[channelOf(i)]),
    dx: xHat.map((value, i) => {
      const c = channelOf(i);
      return weight[c] * inverse[c] * (dy.data[i] - meanDy[c] - value * meanProduct[c]);
    }),
    dWeight: meanProduct.map((value) => value * count),
    dBias: meanDy.map((value) => value * count),
  };
}

const near =
  (tolerance: number) =>
  (got: number, want: number): boolean =>
    Math.abs(got - want) <= tolerance * (1 + Math.abs(want));

const expectNear = (got: Float32Array, want: ArrayLike<number>, what: string, tolerance = 2e-6): void =>
  expect(firstDifference(got, want, near(tolerance)), what).toBeUndefined();

describe("BatchNorm", () => {
  describeEngines((engine) => {
    /** Of the right class for the shape, with weights away from 1 and biases away from 0. */
    const make = (shape: readonly number[], options?: lg.BatchNormOptions): Norm => {
      const settings = { ...options, engine: engine() };
      const norm = shape.length < 4 ? new lg.BatchNorm1d(shape[1], settings) : new lg.BatchNorm2d(shape[1], settings);
      const random = new Random(7);
      for (const { value } of norm.parameters()) value.data.set(random.values(value.size, -1.5, 1.5));
      return norm;
    };
    const running = (norm: lg.Layer) => {
      const { running_mean, running_var, num_batches_tracked } = norm.stateDict();
      return { mean: running_mean.data, variance: running_var.data, batches: num_batches_tracked };
    };
    const imagesOf = (shape: number[], seed: number): lg.Tensor => {
      const x = randomTensor(engine(), shape, seed);
      return x.add_(x, 1.5).add_(engine().zeros(shape).fill_(0.4));
    };

    it("starts as PyTorch's: weight 1, bias 0, mean 0, variance 1, no batches, in this order", () => {
      for (const norm of [new lg.BatchNorm1d(3, { engine: engine() }), new lg.BatchNorm2d(3, { engine: engine() })]) {
        expect(Object.entries(norm.stateDict()).map(([name, tensor]) => [name, tensor.toArray()])).toEqual([
          ["weight", [1, 1, 1]],
          ["bias", [0, 0, 0]],
          ["running_mean", [0, 0, 0]],
          ["running_var", [1, 1, 1]],
          ["num_batches_tracked", 0],
        ]);
        expect(norm.stateDict().num_batches_tracked.shape).toEqual([]);
        expect(norm.parameters().map(({ name }) => name)).toEqual(["weight", "bias"]);
        expect([norm.eps, norm.momentum]).toEqual([1e-5, 0.1]);
      }
    });

    it.each(SHAPES.map((shape) => [shape]))("%j: y, gradients and running statistics by the formulas", (shape) => {
      for (const options of [undefined, { eps: 0.5, momentum: 0.3 }, { eps: 0 }, { momentum: 0 }, { momentum: 1 }]) {
        const norm = make(shape, options);
        const [x, dy] = [imagesOf(shape, 1), randomTensor(engine(), shape, 2)];
        const want = byFormula(norm, x, dy);
        const { momentum } = norm;
        expectNear(norm.forward(x).data, want.y, "y");
        // two values a channel give 0 for dx but for roundings: relative to what cancels
        const scale = Math.max(...want.dx.map(Math.abs), ...norm.weight.value.data.map(Math.abs));
        const dx = norm.backward(dy).data;
        const isClose = (got: number, value: number): boolean => Math.abs(got - value) <= 4e-6 * Math.max(1, scale);
        expect(firstDifference(dx, want.dx, isClose), "dx").toBeUndefined();
        expectNear(norm.weight.grad.data, want.dWeight, "dweight", 1e-5);
        expectNear(norm.bias.grad.data, want.dBias, "dbias", 1e-5);
        const { mean, variance, batches } = running(norm);
        expectNear(
          mean,
          want.mean.map((value) => momentum * value),
          "running mean",
        );
        expectNear(
          variance,
          want.variance.map((value) => 1 - momentum + momentum * value),
          "running variance",
        );
        expect(batches.toArray()).toBe(1);
      }
    });

    it.each(SHAPES.map((shape) => [shape]))(
      "%j: eval mode normalises by the running statistics, which stay",
      (shape) => {
        const norm = make(shape, { eps: 0.01 });
        for (let seed = 0; seed < 3; seed++) norm.forward(imagesOf(shape, seed));
        const state = stateBits(norm);
        const { mean, variance, batches } = running(norm);
        expect(batches.toArray()).toBe(3);
        norm.eval();
        const [weight, bias] = norm.parameters().map(({ value }) => value.data);
        const inner = shape.slice(2).reduce((size, length) => size * length, 1);
        for (const rows of [shape[0], 1, 0, 6]) {
          const x = imagesOf([rows, ...shape.slice(1)], 9);
          const want = Array.from(x.data, (value, i) => {
            const c = Math.floor(i / inner) % shape[1];
            return ((value - mean[c]) / Math.sqrt(variance[c] + 0.01)) * weight[c] + bias[c];
          });
          const y = norm.forward(x);
          expect(y.shape).toEqual(x.shape);
          expectNear(y.data, want, `${rows} rows`);
        }
        expect(stateBits(norm)).toEqual(state);
      },
    );

    it("BatchNorm1d takes one sample [C] in eval mode", () => {
      const norm = make([1, 4]).eval();
      const x = randomTensor(engine(), [4], 1);
      const y = norm.forward(x);
      expect(y.shape).toEqual([4]);
      const values = bits(y.data);
      expect(bits(norm.forward(x.reshape([1, 4])).data)).toEqual(values);
      expect(bits(norm.forward([...x.data]).data)).toEqual(values);
    });

    it.each(["backward", "backwardInput", "backwardParams"] as const)(
      "%s after a forward in eval mode is a StateError",
      async (message) => {
        const norm = make([4, 3]);
        const x = imagesOf([4, 3], 1);
        norm.backward(norm.forward(x));
        norm.eval().forward(x);
        const state = stateBits(norm);
        for (const mode of ["eval", "train"] as const) {
          norm[mode]();
          const error = await refusal(() => norm[message](x));
          expectRefusal(error, lg.StateError, /BatchNorm1d\(3\): .* without a remembered forward/);
          expect(stateBits(norm)).toEqual(state);
        }
      },
    );

    it("keeps its digits where the mean is large beside the deviation", () => {
      const shape = [50, 2, 20];
      const norm = make(shape, { momentum: 1 });
      const x = randomTensor(engine(), shape, 3);
      x.add_(engine().zeros(shape).fill_(4096));
      // the values that float32 left
      const dy = randomTensor(engine(), shape, 4);
      const want = byFormula(norm, x, dy);
      expectNear(norm.forward(x).data, want.y, "y", 1e-3);
      expectNear(running(norm).variance, want.variance, "variance", 1e-5);
      expectNear(norm.backward(dy).data, want.dx, "dx", 1e-3);
    });

    it("finds the mean beside an outlier, wherever it stands", () => {
      for (const [at, outlier] of [
        [0, 1e6],
        [0, 1e8],
        [777, -1e7],
      ]) {
        const values = new Float32Array(64 * 1024).fill(0.3);
        values[at] = outlier;
        const layer = new lg.BatchNorm2d(1, { momentum: 1, engine: engine() });
        layer.forward(engine().tensor(values, [64, 1, 32, 32]));
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
        const state = layer.stateDict();
        expect(state.running_mean.data[0] / mean).toBeCloseTo(1, 5);
        expect(state.running_var.data[0] / (squares / (values.length - 1))).toBeCloseTo(1, 6);
      }
    });

    it("a constant channel becomes its bias, with gradients that are finite", () => {
      const norm = make([6, 2]);
      const x = engine().zeros([6, 2]).fill_(0.1);
      const y = norm.forward(x);
      const bias = norm.bias.value.data;
      expectNear(
        y.data,
        Array.from(y.data, (_, i) => bias[i % 2]),
        "y",
        1e-4,
      );
      expect(norm.backward(randomTensor(engine(), [6, 2], 1)).data.every(Number.isFinite)).toBe(true);
      expectNear(running(norm).variance, [0.9, 0.9], "variance");
    });

    it("NaN and infinity stay in their channel, in the running statistics too", () => {
      const norm = make([3, 3, 2]);
      const x = imagesOf([3, 3, 2], 1);
      x.data[0] = Number.NaN;
      x.data[2] = Number.POSITIVE_INFINITY;
      const y = norm.forward(x).data;
      y.forEach((value, i) => {
        const channel = Math.floor(i / 2) % 3;
        expect(Number.isNaN(value)).toBe(channel < 2);
      });
      const { mean, variance } = running(norm);
      expect([...mean].map(Number.isFinite)).toEqual([false, false, true]);
      expect([...variance].map(Number.isFinite)).toEqual([false, false, true]);
      const dx = norm.backward(randomTensor(engine(), [3, 3, 2], 2)).data;
      dx.forEach((value, i) => {
        expect(Number.isFinite(value)).toBe(Math.floor(i / 2) % 3 === 2);
      });
    });

    it("counts its forwards in training mode, those that are refused do not", async () => {
      const norm = make([4, 3]);
      const x = imagesOf([4, 3], 1);
      for (let i = 0; i < 5; i++) norm.forward(x);
      norm.eval().forward(x);
      norm.train();
      const state = stateBits(norm);
      expectRefusal(await refusal(() => norm.forward([[1, 2, 3]])), lg.ShapeError, /at least two values a channel/);
      expectRefusal(await refusal(() => norm.forward([[1, 2]])), lg.ShapeError, /expected \[N, 3\]/);
      expect(stateBits(norm)).toEqual(state);
      expect(running(norm).batches.toArray()).toBe(5);
      // the forward before is remembered no longer only where another one took its place
      norm.forward(x);
      await refusal(() => norm.forward([[1, 2, 3]]));
      expect(norm.backward(x).shape).toEqual([4, 3]);
    });

    it("the state is live: what is written to it counts from the next forward on", () => {
      const norm = make([4, 2]).eval();
      const { running_mean, running_var, num_batches_tracked, weight, bias } = norm.stateDict();
      weight.fill_(2);
      bias.fill_(1);
      running_mean.data.set([3, -1]);
      running_var.data.set([4 - 1e-5, 1 - 1e-5]);
      expectNear(norm.forward([[5, 1]]).data, [3, 5], "y");
      running_mean.fill_(0);
      expectNear(norm.forward([[5, 1]]).data, [6, 3], "y");
      num_batches_tracked.data[0] = 41;
      norm.train().forward(imagesOf([4, 2], 1));
      expect(norm.stateDict().num_batches_tracked.toArray()).toBe(42);
      num_batches_tracked.fill_(0);
      norm.forward(imagesOf([4, 2], 1));
      expect(num_batches_tracked.toArray()).toBe(1);
    });

    it("goes back by the batch's statistics, whatever the running ones became since", () => {
      const [norm, twin] = [make([4, 2]), make([4, 2])];
      const [x, dy] = [imagesOf([4, 2], 1), randomTensor(engine(), [4, 2], 2)];
      for (const layer of [norm, twin]) layer.forward(x);
      norm.stateDict().running_mean.fill_(100);
      norm.stateDict().running_var.fill_(0);
      expect(bits(norm.backward(dy).data)).toEqual(bits(twin.backward(dy).data));
      expect(gradientBits(norm)).toEqual(gradientBits(twin));
    });

    it("loadStateDict copies everything, between layers, nets and engines", () => {
      const makeNet = (own: lg.Engine) =>
        new lg.Sequential({
          conv: new lg.Conv2d(1, 3, 2, { engine: own }),
          norm: new lg.BatchNorm2d(3, { engine: own }),
          block: new lg.Sequential(new lg.Flatten({ engine: own }), new lg.BatchNorm1d(12, { engine: own })),
        });
      const from = makeNet(engine());
      for (let seed = 0; seed < 3; seed++) from.forward(randomTensor(engine(), [4, 1, 3, 3], seed));
      const x = randomTensor(engine(), [2, 1, 3, 3], 9);
      const y = bits(from.eval().forward(x).data);
      for (const kernels of KERNEL_SETS) {
        const other = lg.createEngine({ kernels });
        for (const own of [engine(), other]) {
          const to = makeNet(own);
          to.loadStateDict(from.stateDict());
          expect(valueBits(to)).toEqual(valueBits(from));
          expect(to.stateDict()["block.1.num_batches_tracked"].toArray()).toBe(3);
          if (own === engine()) expect(bits(to.eval().forward(x).data)).toEqual(y);
          // a copy, not the same tensors
          to.stateDict()["norm.running_mean"].fill_(7);
          expect(from.stateDict()["norm.running_mean"].data[0]).not.toBe(7);
        }
        other.dispose();
      }
    });

    it("loadStateDict of a state without statistics changes nothing and says what is missing", async () => {
      const norm = make([4, 2]);
      norm.forward(imagesOf([4, 2], 1));
      const state = stateBits(norm);
      const { weight, bias, running_mean } = norm.stateDict();
      const wrongCount = engine().zeros([1]);
      const error = await refusal(() =>
        norm.loadStateDict({ weight, bias, running_mean, num_batches_tracked: wrongCount }),
      );
      expectRefusal(error, lg.StateError, /running_var is missing.*num_batches_tracked is \[1\], expected \[\]/);
      expect(stateBits(norm)).toEqual(state);
    });

    it("is trained by an optimizer, which leaves the running statistics alone", () => {
      const norm = make([4, 2]);
      norm.backward(norm.forward(imagesOf([4, 2], 1)));
      const { mean, variance } = running(norm);
      const before = [bits(mean), bits(variance)];
      const weight = bits(norm.weight.value.data);
      new lg.SGD(norm.parameters(), { lr: 0.1, weightDecay: 0.5 }).step();
      expect([bits(mean), bits(variance)]).toEqual(before);
      expect(bits(norm.weight.value.data)).not.toEqual(weight);
    });

    it("counts as parameters what is trained, no statistics", () => {
      const net = new lg.Sequential(new lg.BatchNorm2d(5, { engine: engine() }));
      expect(lg.summary(net)).toMatchObject({
        layers: [{ name: "0", type: "BatchNorm2d", parameters: 10, slopes: 0 }],
        parameters: 10,
      });
    });

    it("inside a user's layer with children: its statistics are in the state, and gradCheck leaves them", () => {
      const norm = make([4, 2]);
      const block = new Residual(norm);
      expect(Object.keys(block.stateDict()).sort()).toEqual(
        ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"].map((name) => `inner.${name}`),
      );
      const state = stateBits(norm);
      expect(lg.gradCheck(block, imagesOf([4, 2], 1)).ok).toBe(true);
      expect(stateBits(norm)).toEqual(state);
    });

    describe("gradCheck and jacobian", () => {
      const makeNet = (own: lg.Engine) =>
        new lg.Sequential(
          new lg.Conv2d(1, 2, 2, { engine: own }),
          new lg.BatchNorm2d(2, { engine: own }),
          new lg.Dropout(0.25, { engine: own }),
          new lg.Flatten({ engine: own }),
          new lg.BatchNorm1d(8, { engine: own }),
        );

      it.each<[string, (net: lg.Sequential, x: lg.Tensor) => unknown]>([
        ["gradCheck", (net, x) => expect(lg.gradCheck(net, x).ok).toBe(true)],
        ["jacobian", (net, x) => lg.jacobian(net, x)],
      ])("%s leaves running statistics, the exact count, draws and modes as they were", (_, examine) => {
        const run = (between: boolean) => {
          const own = lg.createEngine({ kernels: engine().kernels, seed: 6 });
          const net = makeNet(own);
          const x = randomTensor(own, [4, 1, 3, 3], 1);
          net.forward(x);
          net.layers[1].eval();
          if (between) examine(net, x);
          const modes = net.layers.map(({ training }) => training);
          const file = lg.save(net);
          const y = bits(net.train().forward(x).data);
          const after = lg.save(net);
          own.dispose();
          return { modes, file, y, after };
        };
        expect(run(true)).toEqual(run(false));
      });

      it("the Jacobian is that of the batch's statistics, each sample's own block", () => {
        const norm = make([3, 2]);
        const x = imagesOf([3, 2], 1);
        const { input, params } = lg.jacobian(norm, x);
        expect(input.shape).toEqual([3, 2, 2]);
        expect(params.weight.shape).toEqual([3, 2, 2]);
        const y = norm.forward(x);
        for (let row = 0; row < 6; row++) {
          const dy = engine().zeros([...y.shape]);
          dy.data[row] = 1;
          const [sample, output] = [Math.floor(row / 2), row % 2];
          const dx = norm.backwardInput(dy).data;
          const block = input.data.subarray((sample * 2 + output) * 2, (sample * 2 + output) * 2 + 2);
          expect([...block]).toEqual([...dx.subarray(sample * 2, sample * 2 + 2)]);
        }
      });
    });
  });
});
