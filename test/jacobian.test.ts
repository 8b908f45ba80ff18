import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { firstDifference } from "./support/compare.js";
import { describeEngines, openEngine } from "./support/engines.js";
import { Gain, Residual } from "./support/layers.js";
import { midTraining, modes, type Scene } from "./support/scene.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits, wrong } from "./support/state.js";

interface Subject {
  readonly name: string;
  readonly make: (engine: lg.Engine) => lg.Layer;
  readonly x: number[];
  /** Of the Jacobian with respect to x. */
  readonly input: number[];
  readonly params: Record<string, number[]>;
}

const subjects: Subject[] = [
  {
    name: "Linear [N, n]",
    make: (engine) => new lg.Linear(4, 3, { engine }),
    x: [2, 4],
    input: [2, 3, 4],
    params: { weight: [2, 3, 3, 4], bias: [2, 3, 3] },
  },
  {
    name: "Linear [n]",
    make: (engine) => new lg.Linear(4, 3, { engine }),
    x: [4],
    input: [3, 4],
    params: { weight: [3, 3, 4], bias: [3, 3] },
  },
  {
    name: "Linear [1, n] keeps its axis N",
    make: (engine) => new lg.Linear(4, 3, { bias: false, engine }),
    x: [1, 4],
    input: [1, 3, 4],
    params: { weight: [1, 3, 3, 4] },
  },
  {
    name: "Linear [0, n]",
    make: (engine) => new lg.Linear(4, 3, { engine }),
    x: [0, 4],
    input: [0, 3, 4],
    params: { weight: [0, 3, 3, 4], bias: [0, 3, 3] },
  },
  {
    name: "LinearPReLU, shared slope",
    make: (engine) => new lg.LinearPReLU(4, 3, { numParameters: 1, engine }),
    x: [5, 4],
    input: [5, 3, 4],
    params: { weight: [5, 3, 3, 4], bias: [5, 3, 3], slope: [5, 3, 1] },
  },
  {
    name: "LinearPReLU, constraint exp",
    make: (engine) => new lg.LinearPReLU(4, 3, { constraint: "exp", engine }),
    x: [5, 4],
    input: [5, 3, 4],
    params: { weight: [5, 3, 3, 4], bias: [5, 3, 3], slope: [5, 3, 3] },
  },
  {
    name: "LinearELU",
    make: (engine) => new lg.LinearELU(4, 3, { alpha: 1.5, engine }),
    x: [5, 4],
    input: [5, 3, 4],
    params: { weight: [5, 3, 3, 4], bias: [5, 3, 3] },
  },
  {
    name: "PReLU [N, C, L], constraint square",
    make: (engine) => new lg.PReLU({ numParameters: 3, constraint: "square", engine }),
    x: [2, 3, 4],
    input: [2, 3, 4, 3, 4],
    params: { weight: [2, 3, 4, 3] },
  },
  {
    name: "PReLU [C]",
    make: (engine) => new lg.PReLU({ numParameters: 3, engine }),
    x: [3],
    input: [3, 3],
    params: { weight: [3, 3] },
  },
  {
    name: "ELU [N, C, H, W]",
    make: (engine) => new lg.ELU({ engine }),
    x: [2, 2, 1, 3],
    input: [2, 2, 1, 3, 2, 1, 3],
    params: {},
  },
  { name: "ReLU", make: (engine) => new lg.ReLU({ engine }), x: [3, 4], input: [3, 4, 4], params: {} },
  { name: "LeakyReLU", make: (engine) => new lg.LeakyReLU({ engine }), x: [3, 4], input: [3, 4, 4], params: {} },
  {
    name: "Conv2d [N, C, H, W]",
    make: (engine) => new lg.Conv2d(2, 3, [2, 1], { stride: [1, 2], padding: [1, 0], engine }),
    x: [2, 2, 1, 3],
    input: [2, 3, 2, 2, 2, 1, 3],
    params: { weight: [2, 3, 2, 2, 3, 2, 2, 1], bias: [2, 3, 2, 2, 3] },
  },
  {
    name: "a convolutional net",
    make: (engine) =>
      new lg.Sequential(
        new lg.Conv2d(1, 2, 2, { engine }),
        new lg.ELU({ engine }),
        new lg.MaxPool2d([1, 2], { engine }),
        new lg.Flatten({ engine }),
        new lg.Linear(4, 3, { engine }),
      ),
    x: [2, 1, 3, 3],
    input: [2, 3, 1, 3, 3],
    params: {
      "0.weight": [2, 3, 2, 1, 2, 2],
      "0.bias": [2, 3, 2],
      "4.weight": [2, 3, 3, 4],
      "4.bias": [2, 3, 3],
    },
  },
  {
    name: "a nested net",
    make: (engine) =>
      new lg.Sequential({
        head: new lg.Sequential(new lg.Linear(4, 3, { engine }), new lg.PReLU({ engine })),
        tail: new lg.Linear(3, 2, { engine }),
      }),
    x: [5, 4],
    input: [5, 2, 4],
    params: {
      "head.0.weight": [5, 2, 3, 4],
      "head.0.bias": [5, 2, 3],
      "head.1.weight": [5, 2, 1],
      "tail.weight": [5, 2, 2, 3],
      "tail.bias": [5, 2, 2],
    },
  },
  {
    name: "a user's layer",
    make: (engine) => new Gain(engine, 4),
    x: [3, 4],
    input: [3, 4, 4],
    params: { gain: [3, 4, 4] },
  },
  {
    name: "a user's residual block in a net",
    make: (engine) =>
      new lg.Sequential({
        block: new Residual(new lg.LinearELU(4, 4, { engine })),
        out: new lg.Linear(4, 2, { engine }),
      }),
    x: [3, 4],
    input: [3, 2, 4],
    params: {
      "block.inner.weight": [3, 2, 4, 4],
      "block.inner.bias": [3, 2, 4],
      "out.weight": [3, 2, 2, 4],
      "out.bias": [3, 2, 2],
    },
  },
];

/** Σ over rows of weight[row] · J[row, ...], in double. */
function weightedRows(jacobian: Float32Array, weights: ArrayLike<number>, columns: number): Float64Array {
  const sum = new Float64Array(columns);
  jacobian.forEach((value, i) => {
    sum[i % columns] += weights[Math.floor(i / columns)] * value;
  });
  return sum;
}

const close = (got: number, want: number): boolean => Math.abs(got - want) <= 2e-5 * (1 + Math.abs(want));

const expectClose = (got: ArrayLike<number>, want: ArrayLike<number>, what: string): void =>
  expect(firstDifference(got, want, close), what).toBeUndefined();

describe("jacobian", () => {
  describeEngines((engine) => {
    describe.each(subjects)("of $name", ({ make, x: xShape, input: inputShape, params: paramShapes }) => {
      const open = () => {
        const layer = make(engine());
        const x = randomTensor(engine(), xShape, 41);
        const { input, params } = lg.jacobian(layer, x);
        return { layer, x, input, params };
      };

      test("has the shapes of the contract", () => {
        const { layer, input, params } = open();
        expect(input.shape).toEqual(inputShape);
        expect(Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, [...shape]]))).toEqual(
          paramShapes,
        );
        expect(Object.keys(params)).toEqual(layer.parameters().map(({ name }) => name));
      });

      test("its rows, weighted by dy and summed, are the messages", () => {
        const { layer, x, input, params } = open();
        const y = layer.forward(x);
        const dy = randomTensor(engine(), [...y.shape], 42);
        const samples = xShape.length > 1 ? xShape[0] : 1;
        const [outputs, inputs] = samples === 0 ? [0, 0] : [y.size / samples, x.size / samples];
        layer.zeroGrad();
        const dx = layer.backwardInput(dy).data.slice();
        layer.backwardParams(dy);
        for (let sample = 0; sample < samples; sample++) {
          const rows = input.data.subarray(sample * outputs * inputs, (sample + 1) * outputs * inputs);
          const weights = dy.data.subarray(sample * outputs, (sample + 1) * outputs);
          const own = dx.subarray(sample * inputs, (sample + 1) * inputs);
          expectClose(own, weightedRows(rows, weights, inputs), `dx of sample ${sample}`);
        }
        for (const { name, grad } of layer.parameters()) {
          expectClose(grad.data, weightedRows(params[name].data, dy.data, grad.size), name);
        }
      });

      test("agrees with central differences", () => {
        const { layer, x, input, params } = open();
        const step = 2 ** -7;
        const rows = layer.forward(x).size;
        const samples = xShape.length > 1 ? xShape[0] : 1;
        let kinks = 0;
        let coordinates = 0;
        /** Compares one column: dy/d(data[index]) of every output. */
        const compare = (
          data: Float32Array,
          index: number,
          derivative: (row: number) => number,
          what: string,
        ): void => {
          const at = data[index];
          const outputs = [at - step, at, at + step].map((value) => {
            data[index] = value;
            // the net may remember x: a write through .data is the caller's business
            return layer.forward(x).data.slice();
          });
          data[index] = at;
          for (let row = 0; row < rows; row++) {
            const [left, middle, right] = outputs.map((values) => values[row]);
            coordinates++;
            if (Math.abs(right - 2 * middle + left) > step * 2e-2) kinks++;
            else {
              const numeric = (right - left) / (2 * step);
              expect(Math.abs(numeric - derivative(row)), `${what}[${index}], output ${row}`).toBeLessThan(1e-3);
            }
          }
        };
        const inputs = samples === 0 ? 0 : x.size / samples;
        const outputs = samples === 0 ? 0 : rows / samples;
        for (let i = 0; i < x.size; i++) {
          // outputs of other samples do not depend on this one
          const own = Math.floor(i / inputs);
          const derivative = (row: number): number =>
            Math.floor(row / outputs) === own ? input.data[row * inputs + (i % inputs)] : 0;
          compare(x.data, i, derivative, "x");
        }
        for (const { name, value } of layer.parameters()) {
          for (let i = 0; i < value.size; i++) {
            compare(value.data, i, (row) => params[name].data[row * value.size + i], name);
          }
        }
        expect(kinks).toBeLessThanOrEqual(coordinates / 10);
      });
    });

    it("is dense: outputs of other units have zeros", () => {
      const layer = new lg.Linear(2, 2, { engine: engine() });
      layer.parameters()[0].value.data.set([1, 2, 3, 4]);
      const { input, params } = lg.jacobian(layer, [5, 6]);
      expect(input.toArray()).toEqual([
        [1, 2],
        [3, 4],
      ]);
      expect(params.weight.toArray()).toEqual([
        [
          [5, 6],
          [0, 0],
        ],
        [
          [0, 0],
          [5, 6],
        ],
      ]);
      expect(params.bias.toArray()).toEqual([
        [1, 0],
        [0, 1],
      ]);
    });

    it("takes every form of x, and a flat Float32Array as a batch", () => {
      const layer = new lg.LinearPReLU(2, 3, { engine: engine() });
      const rows = [
        [0.5, -1],
        [2, 0.25],
      ];
      const want = lg.jacobian(layer, engine().tensor(rows));
      for (const x of [rows, Float32Array.from(rows.flat())]) {
        const got = lg.jacobian(layer, x);
        expect(got.input.toArray()).toEqual(want.input.toArray());
        expect(got.params.slope.toArray()).toEqual(want.params.slope.toArray());
      }
      expect(lg.jacobian(layer, Float32Array.from(rows[0])).input.shape).toEqual([1, 3, 2]);
      expect(lg.jacobian(layer, rows[0]).input.shape).toEqual([3, 2]);
    });

    it("has no penalty in it, and is with respect to β", () => {
      const make = (penalty: number, constraint: lg.SlopeConstraint) => {
        const layer = new lg.LinearPReLU(4, 3, { penalty, constraint, init: 0.36, engine: engine() });
        layer.parameters()[0].value.data.set(randomTensor(engine(), [12], 43).data);
        return layer;
      };
      const x = randomTensor(engine(), [5, 4], 44);
      const plain = lg.jacobian(make(0, "none"), x).params.slope.data;
      expect(plain.some((value) => value !== 0)).toBe(true);
      for (const [constraint, chain] of [
        ["none", 1],
        ["exp", 0.36],
        ["square", 1.2],
      ] as const) {
        const { slope } = lg.jacobian(make(10, constraint), x).params;
        expectClose(
          slope.data,
          plain.map((value) => value * chain),
          constraint,
        );
      }
    });

    it("gives tensors of the caller's own, which a later call leaves alone", () => {
      const layer = new lg.LinearPReLU(4, 3, { engine: engine() });
      const first = lg.jacobian(layer, randomTensor(engine(), [5, 4], 45));
      const before = bits(first.input.data);
      const second = lg.jacobian(layer, randomTensor(engine(), [5, 4], 46));
      expect(bits(first.input.data)).toEqual(before);
      for (const tensor of [first, second].flatMap(({ input, params }) => [input, ...Object.values(params)])) {
        tensor.dispose();
      }
    });

    describe("leaves everything as it was", () => {
      const makeNet = (own: lg.Engine) =>
        new lg.Sequential(
          new lg.Linear(4, 3, { engine: own }),
          new lg.PReLU({ numParameters: 3, constraint: "exp", penalty: 0.5, engine: own }),
          new lg.LinearPReLU(3, 2, { penalty: 0.5, engine: own }),
          new lg.BatchNorm1d(2, { engine: own }),
          new lg.Dropout(0.2, { engine: own }),
        );
      const scene = (): Scene => midTraining(engine().kernels, makeNet);

      it("parameters, gradients, x, mode, draws and memory", () => {
        const { own, net, x } = scene();
        const twin = scene();
        net.layers[0].eval();
        const look = () => ({ state: stateBits(net), modes: modes(net), x: bits(x.data), used: own.memory.used });
        const before = look();
        const { input, params } = lg.jacobian(net, x);
        for (const tensor of [input, ...Object.values(params)]) tensor.dispose();
        expect(look()).toEqual(before);
        const [after, without] = [own, twin.own].map((engine) => valueBits(new lg.Linear(4, 3, { engine })));
        expect(after).toEqual(without);
        own.dispose();
        twin.own.dispose();
      });

      it.each(["after zeroGrad", "after a message"])("what the next messages add: %s", (when) => {
        const run = (between: boolean): Record<string, Uint32Array> => {
          const { own, net, x, dy } = scene();
          if (when === "after zeroGrad") net.zeroGrad();
          if (between) lg.jacobian(net, x);
          net.forward(x);
          net.backwardParams(dy);
          net.backwardParams(dy);
          const state = stateBits(net);
          own.dispose();
          return state;
        };
        expect(run(true)).toEqual(run(false));
      });

      it("when forward refuses x", async () => {
        const { own, net } = scene();
        net.layers[2].eval();
        const wide = randomTensor(own, [5, 6], 3);
        const look = () => ({ state: stateBits(net), modes: modes(net), used: own.memory.used });
        const before = look();
        expectRefusal(await refusal(() => lg.jacobian(net, wide)), lg.ShapeError, /\[5, 6\]/);
        expect(look()).toEqual(before);
        own.dispose();
      });

      it("when the result does not fit in memory", async () => {
        const own = lg.createEngine({ kernels: engine().kernels, maximumMemory: 8 * 2 ** 20 });
        const layer = new lg.LinearPReLU(100, 80, { engine: own });
        const x = randomTensor(own, [4, 100], 1);
        layer.forward(x);
        layer.backward(randomTensor(own, [4, 80], 2));
        const look = () => ({ state: stateBits(layer), used: own.memory.used, training: layer.training });
        const before = look();
        // 4 · 80 · 8000 floats
        expectRefusal(await refusal(() => lg.jacobian(layer, x)), lg.MemoryError, /memory/);
        expect(look()).toEqual(before);
        own.dispose();
      });

      it("but the remembered forward ends", async () => {
        const { own, net, x, dy } = scene();
        net.forward(x);
        lg.jacobian(net, x);
        const state = stateBits(net);
        for (const message of ["backward", "backwardInput", "backwardParams"] as const) {
          expect(await refusal(() => net[message](dy)), message).toBeInstanceOf(lg.StateError);
        }
        expect(stateBits(net)).toEqual(state);
        own.dispose();
      });
    });

    it("refuses what is no layer, no input, of another engine or disposed", async () => {
      const layer = new lg.Linear(4, 3, { engine: engine() });
      const foreign = openEngine("js");
      expectRefusal(await refusal(() => lg.jacobian(wrong(null), [1])), lg.ArgumentError, /jacobian: got null.*Layer/);
      // as forward refuses it, also where a layer takes any shape
      const anyShape = new lg.ReLU({ engine: engine() });
      expectRefusal(await refusal(() => lg.jacobian(layer, wrong(4))), lg.ArgumentError, /got 4/);
      expectRefusal(await refusal(() => lg.jacobian(anyShape, wrong(4))), lg.ArgumentError, /got 4/);
      expectRefusal(await refusal(() => lg.jacobian(layer, [[1, 2], [3]])), lg.ShapeError, /ragged/);
      expectRefusal(await refusal(() => lg.jacobian(layer, new Float32Array(6))), lg.ShapeError, /6/);
      expectRefusal(await refusal(() => lg.jacobian(layer, foreign.zeros([2, 4]))), lg.EngineError, /engine/);
      foreign.dispose();
      layer.dispose();
      expectRefusal(await refusal(() => lg.jacobian(layer, [1, 2, 3, 4])), lg.StateError, /disposed/);
    });

    it("refuses dL/dx of another shape than x", async () => {
      class Short extends Gain {
        override backwardInput(dy: lg.Input): lg.Tensor {
          return engine().tensor(super.backwardInput(dy).data.slice(0, 4), [1, 4]);
        }
      }
      const error = await refusal(() => lg.jacobian(new Short(engine(), 4), randomTensor(engine(), [3, 4])));
      expect(error).toBeInstanceOf(lg.LanegradError);
    });
  });
});
