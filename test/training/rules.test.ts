import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, refusal, valueBits, wrong } from "../support/state.js";

const SAMPLES = 23;
const CLASSES = 3;
const random = new Random(11);
const X = Array.from({ length: SAMPLES }, () => [...random.values(4)]);
const Y = Int32Array.from(X, ([a, b, c]) => (a > b && a > c ? 0 : b > c ? 1 : 2));
const VALUES = X.map(([a, b]) => [a * b, a - b]);

type Options = Omit<lg.FitOptions, "optimizer" | "train"> & { train?: lg.TrainingData };

const distance = (a: lg.Layer, b: lg.Layer): number => {
  const state = b.stateDict();
  let largest = 0;
  for (const [name, { data }] of Object.entries(a.stateDict())) {
    const other = state[name].data;
    data.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - other[i]));
    });
  }
  return largest;
};

describe("what fit does beside the loop", () => {
  describeEngines((engine) => {
    const makeNet = (outputs = CLASSES) => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
      return new lg.Sequential(
        new lg.Linear(4, 6, { engine: own }),
        new lg.PReLU({ numParameters: 6, engine: own }),
        new lg.Linear(6, outputs, { engine: own }),
      );
    };
    const sgd = (net: lg.Layer) => new lg.SGD(net.parameters(), { lr: 0.1, momentum: 0.5 });
    const run = async (net: lg.Layer, optimizer: lg.Stepper, options: Options) =>
      lg.fit(net, { train: { x: X, y: Y }, shuffle: false, ...options, optimizer });

    /** The loop by hand: `step` gets what the loss returned, and the number of the step. */
    const byHand = (
      net: lg.Layer,
      epochs: number,
      batchSize: number,
      step: (rows: number[][], labels: Int32Array, at: number) => void,
    ): void => {
      let at = 0;
      for (let epoch = 0; epoch < epochs; epoch++) {
        for (let start = 0; start < SAMPLES; start += batchSize) {
          net.zeroGrad();
          step(X.slice(start, start + batchSize), Y.subarray(start, start + batchSize), at++);
        }
      }
    };

    it("a schedule sets every group's lr before its step, to the bit, and gives them back", async () => {
      const groups = (net: lg.Sequential) => [
        { params: net.layers[0].parameters() },
        { params: net.layers[2].parameters(), lr: 0.02 },
      ];
      const [net, other] = [makeNet(), makeNet()];
      const optimizer = new lg.Adam(groups(net), { lr: 0.1 });
      const schedule = lg.schedules.cosine({ warmup: 4, end: 0.1 });
      const history = await run(net, optimizer, { epochs: 3, batchSize: 5, schedule });

      const adam = new lg.Adam(groups(other), { lr: 0.1 });
      const lrs: number[] = [];
      byHand(other, 3, 5, (rows, labels, at) => {
        other.backwardParams(lg.crossEntropy(other.forward(rows), labels).grad);
        const factor = schedule(at, 15);
        adam.groups[0].lr = 0.1 * factor;
        adam.groups[1].lr = 0.02 * factor;
        lrs.push(adam.lr);
        adam.step();
      });
      expect(valueBits(net)).toEqual(valueBits(other));
      expect(history.map(({ lr }) => lr)).toEqual([lrs[4], lrs[9], lrs[14]]);
      expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.1, 0.02]);
    });

    it("a schedule's lr is given back when the training fails, too, and a factor that is none is refused", async () => {
      const net = makeNet();
      const optimizer = sgd(net);
      const schedule = (step: number) => (step < 3 ? 0.5 : Number.NaN);
      const error = await refusal(() => run(net, optimizer, { epochs: 1, batchSize: 5, schedule }));
      expectRefusal(error, lg.ArgumentError, /^fit: schedule: got NaN at step 3, expected a finite number >= 0$/);
      expect(optimizer.lr).toBe(0.1);
      const own = { step: () => {} };
      const none = await refusal(() => run(net, own, { epochs: 1, batchSize: 5, schedule: () => 1 }));
      expectRefusal(none, lg.ArgumentError, /^fit: schedule: got an object \(Object\) as optimizer, which has no lr/);
    });

    it("clipNorm is clipGradNorm of the net before each step", async () => {
      const [net, other] = [makeNet(), makeNet()];
      await run(net, sgd(net), { epochs: 2, batchSize: 5, clipNorm: 0.05 });
      const optimizer = sgd(other);
      byHand(other, 2, 5, (rows, labels) => {
        other.backwardParams(lg.crossEntropy(other.forward(rows), labels).grad);
        expect(lg.clipGradNorm(other.parameters(), 0.05)).toBeGreaterThan(0.05);
        optimizer.step();
      });
      expect(valueBits(net)).toEqual(valueBits(other));
    });

    it("accumulate makes the step of the larger batch, of the last batches too", async () => {
      // 23 samples: steps of 12 and 11, the last of batches of 4, 4 and 3
      const [net, large, plain] = [makeNet(), makeNet(), makeNet()];
      let steps = 0;
      const counting = (optimizer: lg.SGD): lg.Stepper => ({
        step: () => {
          steps++;
          optimizer.step();
        },
      });
      const batches: number[] = [];
      const accumulating = await run(net, counting(sgd(net)), {
        epochs: 3,
        batchSize: 4,
        accumulate: 3,
        onBatch: ({ size }) => {
          batches.push(size);
        },
      });
      expect(steps).toBe(6);
      expect(batches).toEqual([4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4, 3]);
      const whole = await run(large, sgd(large), { epochs: 3, batchSize: 12 });
      expect(distance(net, large)).toBeLessThan(2e-6);
      accumulating.forEach(({ loss }, i) => {
        expect(loss).toBeCloseTo(whole[i].loss, 6);
      });
      await run(plain, sgd(plain), { epochs: 3, batchSize: 4 });
      expect(distance(net, plain)).toBeGreaterThan(1e-3);
    });

    it("accumulate adds a penalty once a step", async () => {
      const make = () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
        return new lg.Sequential(
          new lg.Linear(4, 6, { engine: own }),
          new lg.PReLU({ numParameters: 6, penalty: 0.3, engine: own }),
          new lg.Linear(6, CLASSES, { engine: own }),
        );
      };
      const [net, large] = [make(), make()];
      await run(net, sgd(net), { epochs: 2, batchSize: 4, accumulate: 3 });
      await run(large, sgd(large), { epochs: 2, batchSize: 12 });
      expect(distance(net, large)).toBeLessThan(2e-6);
    });

    it("classWeights are crossEntropy's, to the bit, and accumulate by them", async () => {
      const weight = [0.2, 1.5, 3];
      const [net, other, small, large] = [makeNet(), makeNet(), makeNet(), makeNet()];
      const history = await run(net, sgd(net), { epochs: 2, batchSize: 5, classWeights: weight });
      const optimizer = sgd(other);
      let sum = 0;
      let total = 0;
      byHand(other, 2, 5, (rows, labels, at) => {
        const { loss, grad } = lg.crossEntropy(other.forward(rows), labels, { weight });
        const count = labels.reduce((weights, label) => weights + weight[label], 0);
        if (at < 5) {
          sum += loss * count;
          total += count;
        }
        other.backwardParams(grad);
        optimizer.step();
      });
      expect(valueBits(net)).toEqual(valueBits(other));
      expect(history[0].loss).toBe(sum / total);
      await run(small, sgd(small), { epochs: 2, batchSize: 4, accumulate: 3, classWeights: weight });
      await run(large, sgd(large), { epochs: 2, batchSize: 12, classWeights: weight });
      expect(distance(small, large)).toBeLessThan(2e-6);
    });

    it.each([
      ["crossEntropy", undefined, Y, CLASSES],
      ["a function around it", (y: lg.Tensor, labels: Int32Array) => lg.crossEntropy(y, labels), Y, CLASSES],
      ["mseLoss", lg.mseLoss, VALUES, 2],
      ["bceWithLogits", lg.bceWithLogits, VALUES.map((row) => row.map((value) => (value > 0 ? 1 : 0))), 2],
    ] as const)(
      "sampleWeights of 0, 1, 2 with %s are the sample left out, once, twice",
      async (name, loss, y, outputs) => {
        const counts = Array.from({ length: SAMPLES }, (_, i) => (i * 7) % 3);
        const repeated = counts.flatMap((count, i) => Array.from({ length: count }, () => i));
        const targets = name === "a function around it" ? ("labels" as const) : undefined;
        const pick = (of: readonly unknown[] | Int32Array, at: number[]) => wrong(at.map((i) => of[i]));
        // one batch of all, so that the mean is over the same samples
        const options = { epochs: 3, batchSize: 100, loss, targets };
        const [net, other] = [makeNet(outputs), makeNet(outputs)];
        const train = { x: X, y: wrong(y), sampleWeights: counts };
        const history = await run(net, sgd(net), { ...options, train });
        const expected = await run(other, sgd(other), {
          ...options,
          train: { x: pick(X, repeated), y: pick(y, repeated) },
        });
        expect(distance(net, other)).toBeLessThan(2e-6);
        history.forEach((record, i) => {
          expect(record.loss).toBeCloseTo(expected[i].loss, 5);
        });
        // beside the data, in a typed array, and accumulated by their sums
        const small = makeNet(outputs);
        const sampleWeights = Float32Array.from(counts);
        const beside = { x: X, y: wrong(y) };
        await run(small, sgd(small), { ...options, train: beside, sampleWeights, batchSize: 4, accumulate: 10 });
        expect(distance(small, net)).toBeLessThan(2e-6);
      },
    );

    it("a fraction holds samples out by the seed, in their order, with their weights", async () => {
      const seen = async (options: Options) => {
        const batches: number[][] = [];
        const tested: number[][] = [];
        const net = makeNet();
        const at = new Map(X.map((row, i) => [row.map(Math.fround).join(), i]));
        class Spy extends lg.Layer {
          override forward(x: lg.Input): lg.Tensor {
            const rows = (x as lg.Tensor).toArray() as number[][];
            (this.training ? batches : tested).push(rows.map((row) => at.get(row.join())!));
            return (x as lg.Tensor).clone();
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return (dy as lg.Tensor).clone();
          }
        }
        await run(new lg.Sequential(new Spy(), ...net.layers), sgd(net), { ...options, epochs: 1, batchSize: 8 });
        return { train: batches.flat(), test: tested.flat() };
      };
      const { train, test } = await seen({ test: 0.3, seed: 5, epochs: 1, batchSize: 8 });
      expect(test).toHaveLength(7);
      expect([...train, ...test].sort((a, b) => a - b)).toEqual(X.map((_, i) => i));
      expect(test).toEqual([...test].sort((a, b) => a - b));
      expect(train).toEqual([...train].sort((a, b) => a - b));
      expect(await seen({ test: 0.3, seed: 5, epochs: 1, batchSize: 8 })).toEqual({ train, test });
      expect((await seen({ test: 0.3, seed: 6, epochs: 1, batchSize: 8 })).test).not.toEqual(test);
      const shuffled = await seen({ test: 0.3, seed: 5, shuffle: true, epochs: 1, batchSize: 8 });
      expect(shuffled.test).toEqual(test);
      expect(shuffled.train).not.toEqual(train);
      expect([...shuffled.train].sort((a, b) => a - b)).toEqual(train);
      expect((await seen({ test: 0.001, epochs: 1, batchSize: 8 })).test).toHaveLength(1);
      expect((await seen({ test: 0.999, epochs: 1, batchSize: 8 })).train).toHaveLength(1);
      // the weights of the samples go with them: those of the test are never asked for
      const sampleWeights = X.map((_, i) => (test.includes(i) ? 1e30 : 1));
      const [net, plain] = [makeNet(), makeNet()];
      await run(net, sgd(net), { test: 0.3, seed: 5, epochs: 2, batchSize: 8, sampleWeights });
      await run(plain, sgd(plain), { test: 0.3, seed: 5, epochs: 2, batchSize: 8 });
      expect(distance(net, plain)).toBeLessThan(2e-6);
    });

    describe("early stopping", () => {
      /** Test losses are what the caller wants: the loss of the test is told by the number of the epoch. */
      const watched = async (
        losses: number[],
        earlyStopping: lg.EarlyStoppingOptions,
        options: Partial<Options> = {},
      ) => {
        const net = makeNet(2);
        const states: Record<string, Uint32Array>[] = [];
        const y = VALUES;
        const loss = (output: lg.Tensor, target: lg.Tensor) => {
          const result = lg.mseLoss(output, target);
          return net.training ? result : { ...result, loss: losses[states.length] };
        };
        const history = await run(net, sgd(net), {
          train: { x: X, y },
          test: { x: X, y },
          epochs: losses.length,
          batchSize: 5,
          loss,
          earlyStopping,
          ...options,
          onEpoch: () => {
            states.push(valueBits(net));
          },
        });
        return { history, states, end: valueBits(net) };
      };

      it("ends after `patience` epochs without an improvement, and gives the best net back", async () => {
        const losses = [5, 4, 3, 3, 3.5, 2, 2.5, 2, 2.1, 1];
        const { history, states, end } = await watched(losses, { patience: 3 });
        expect(history.map(({ testLoss }) => testLoss)).toEqual(losses.slice(0, 9));
        expect(end).toEqual(states[5]);
        const kept = await watched(losses, { patience: 3, restoreBest: false });
        expect(kept.end).toEqual(kept.states[8]);
      });

      it("counts what is better by more than minDelta alone", async () => {
        const losses = [5, 4.5, 4, 3.5, 1];
        expect((await watched(losses, { patience: 2, minDelta: 0.5 })).history).toHaveLength(5);
        expect((await watched(losses, { patience: 2, minDelta: 1 })).history).toHaveLength(3);
        expect((await watched(losses, { patience: 1, minDelta: 0.5 })).history).toHaveLength(2);
      });

      it("takes NaN for no improvement", async () => {
        const { states, end } = await watched([Number.NaN, 3, Number.NaN, 4, 4], { patience: 9 });
        expect(end).toEqual(states[1]);
        expect((await watched([Number.NaN, Number.NaN, 1], { patience: 2 })).history).toHaveLength(2);
      });

      it("gives the best net back when the epochs run out or a callback ends the training", async () => {
        const { states, end } = await watched([3, 1, 2], { patience: 5 });
        expect(end).toEqual(states[1]);
      });

      it("watches the accuracy, which is to rise", async () => {
        const net = makeNet();
        const states: Record<string, Uint32Array>[] = [];
        const history = await run(net, new lg.SGD(net.parameters(), { lr: 0.5 }), {
          test: { x: X, y: Y },
          epochs: 40,
          batchSize: 3,
          earlyStopping: { patience: 3, metric: "accuracy" },
          onEpoch: () => {
            states.push(valueBits(net));
          },
        });
        const accuracies = history.map(({ accuracy }) => accuracy!);
        const best = accuracies.indexOf(Math.max(...accuracies));
        expect(history).toHaveLength(best + 4);
        expect(valueBits(net)).toEqual(states[best]);
      });

      it("gives running statistics and their count back", async () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
        const net = new lg.Sequential(new lg.BatchNorm1d(4, { engine: own }), new lg.Linear(4, 2, { engine: own }));
        let epochs = 0;
        await run(net, sgd(net), {
          train: { x: X, y: VALUES },
          test: { x: X, y: VALUES },
          epochs: 4,
          batchSize: 8,
          loss: (output, target) => {
            const result = lg.mseLoss(output, target);
            return net.training ? result : { ...result, loss: epochs === 1 ? 0 : 1 };
          },
          earlyStopping: { patience: 9 },
          onEpoch: () => {
            epochs++;
          },
        });
        expect(net.stateDict()["0.num_batches_tracked"].data[0]).toBe(6);
      });
    });

    it.each([
      ["accumulate", { accumulate: 0 }, lg.ArgumentError, /^fit: accumulate: got 0, expected an integer >= 1$/],
      ["clipNorm", { clipNorm: -1 }, lg.ArgumentError, /^fit: clipNorm: got -1, expected a number >= 0$/],
      ["schedule", { schedule: "cosine" }, lg.ArgumentError, /^fit: schedule: got "cosine", expected a function$/],
      ["a fraction of 0", { test: 0 }, lg.ArgumentError, /^fit: test: got 0, expected .* between 0 and 1$/],
      ["a fraction of 1", { test: 1 }, lg.ArgumentError, /^fit: test: got 1, expected .* between 0 and 1$/],
      ["a fraction of NaN", { test: Number.NaN }, lg.ArgumentError, /^fit: test: got NaN, expected/],
      [
        "a fraction of one sample",
        { test: 0.5, train: { x: [X[0]], y: [0] } },
        lg.ShapeError,
        /^fit: test: got 1 sample in train/,
      ],
      ["classWeights of text", { classWeights: "balanced" }, lg.ArgumentError, /^fit: classWeights: got "balanced"/],
      ["a negative weight", { classWeights: [1, -1, 1] }, lg.ArgumentError, /^fit: classWeights: at 1: got -1/],
      [
        "too few classWeights",
        { classWeights: [1, 1] },
        lg.ShapeError,
        /weight: got 2 values, expected 3, one a class$/,
      ],
      [
        "classWeights with another loss",
        { classWeights: [1, 1, 1], loss: lg.mseLoss, train: { x: X, y: VALUES } },
        lg.ArgumentError,
        /^fit: classWeights: the loss is not crossEntropy of labels/,
      ],
      ["too few sampleWeights", { sampleWeights: [1, 1] }, lg.ShapeError, /^fit: sampleWeights: got 2, expected 23/],
      ["weights of 0", { sampleWeights: X.map(() => 0) }, lg.ArgumentError, /^fit: sampleWeights: .*at least one/],
      [
        "sampleWeights twice",
        { sampleWeights: X.map(() => 1), train: { x: X, y: Y, sampleWeights: X.map(() => 1) } },
        lg.ArgumentError,
        /^fit: sampleWeights: got them twice/,
      ],
      ["patience", { test: 0.5, earlyStopping: {} }, lg.ArgumentError, /patience: got undefined, expected an integer/],
      [
        "an option of early stopping",
        { test: 0.5, earlyStopping: { patience: 1, mode: "min" } },
        lg.ArgumentError,
        /^fit: earlyStopping: got the option "mode", .* patience, minDelta, metric, restoreBest$/,
      ],
      [
        "a metric",
        { test: 0.5, earlyStopping: { patience: 1, metric: "loss" } },
        lg.ArgumentError,
        /metric: got "loss", expected "testLoss" or "accuracy"$/,
      ],
      [
        "early stopping without a test",
        { earlyStopping: { patience: 1 } },
        lg.ArgumentError,
        /there is no test to watch/,
      ],
      [
        "an accuracy that there is not",
        { test: 0.5, earlyStopping: { patience: 1, metric: "accuracy" }, loss: lg.mseLoss, train: { x: X, y: VALUES } },
        lg.ArgumentError,
        /metric: got "accuracy", which these targets do not have/,
      ],
    ])("refuses %s before anything is trained", async (_what, options, type, message) => {
      const net = makeNet();
      const before = valueBits(net);
      const error = await refusal(() => run(net, sgd(net), wrong({ epochs: 1, batchSize: 5, ...options })));
      expectRefusal(error, type, message);
      expect(valueBits(net)).toEqual(before);
      expect(bits(net.layers[0].parameters()[0].value.data)).toEqual(before["0.weight"]);
    });
  });

  it("schedules refuse what makes no sense", () => {
    const { linear, cosine, step, exponential, oneCycle, sequence } = lg.schedules;
    const rows: [() => unknown, RegExp][] = [
      [() => linear(wrong({ warmUp: 3 })), /schedules\.linear: got the option "warmUp".* warmup, start, end$/],
      [() => cosine({ warmup: 1.5 }), /schedules\.cosine: warmup: got 1\.5, expected an integer >= 1/],
      [() => cosine({ end: -1 }), /schedules\.cosine: end: got -1/],
      [() => step(wrong({})), /schedules\.step: every: got undefined/],
      [() => exponential(wrong({ gamma: "0.9" })), /schedules\.exponential: gamma: got "0\.9"/],
      [() => oneCycle({ pctStart: 2 }), /schedules\.oneCycle: pctStart: got 2, expected a number in \[0, 1\]/],
      [() => oneCycle({ divFactor: 0 }), /schedules\.oneCycle: divFactor: got 0, expected a number > 0/],
      [() => sequence([]), /schedules\.sequence: got \[\], expected pairs/],
      [() => sequence(wrong([[3, 0.5]])), /schedules\.sequence: got \[3, 0\.5\], expected a pair/],
      [() => sequence([[0, () => 1]]), /schedules\.sequence: steps: got 0, expected an integer >= 1/],
    ];
    for (const [call, message] of rows) expect(call).toThrowError(message);
    for (const [call] of rows) expect(call).toThrowError(lg.ArgumentError);
  });

  it("schedules warm up as LinearLR does, then go down over what is left", () => {
    const linear = lg.schedules.linear({ warmup: 4, end: 0.5 });
    expect([0, 1, 2, 3, 4, 8, 12, 20].map((step) => linear(step, 12))).toEqual(
      [1 / 3, 0.5, 2 / 3, 5 / 6, 1, 0.75, 0.5, 0.5].map((value) => expect.closeTo(value, 12)),
    );
    const cosine = lg.schedules.cosine({ warmup: 2, start: 0 });
    expect([0, 1, 2, 3, 4].map((step) => cosine(step, 4))).toEqual([0, 0.5, 1, expect.closeTo(0.5, 12), 0]);
    for (const schedule of [linear, cosine]) expect(Number.isFinite(schedule(0, 0) + schedule(5, 2))).toBe(true);
  });
});
