import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Gain } from "../support/layers.js";
import { Random } from "../support/random.js";
import { bits, copyParameters, expectRefusal, randomTensor, refusal, stateBits, valueBits } from "../support/state.js";

/** y = 2x, without parameters and with nothing but what the contract asks for. */
class Twice extends lg.Layer {
  override forward(x: lg.Input): lg.Tensor {
    return (x as lg.Tensor).clone().add_(x as lg.Tensor);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return this.forward(dy);
  }
}

/** y = x + scale · f(x): layers inside and a parameter of its own. */
class Residual extends lg.Layer {
  readonly inner: lg.Sequential;
  readonly scale: lg.Parameter;

  constructor(engine: lg.Engine, width: number) {
    super();
    this.inner = new lg.Sequential({
      up: new lg.LinearPReLU(width, 6, { engine }),
      down: new lg.Linear(6, width, { engine }),
    });
    this.scale = { name: "scale", value: engine.tensor([0.5]), grad: engine.zeros([1]) };
  }

  override children(): [string, lg.Layer][] {
    return [["inner", this.inner]];
  }

  override parameters(): lg.Parameter[] {
    return [
      ...this.inner.parameters().map((parameter) => ({ ...parameter, name: `inner.${parameter.name}` })),
      this.scale,
    ];
  }

  #f: lg.Tensor | undefined;

  override forward(x: lg.Input): lg.Tensor {
    this.#f = this.inner.forward(x);
    return (x as lg.Tensor).clone().add_(this.#f, this.scale.value.data[0]);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return (dy as lg.Tensor).clone().add_(this.inner.backwardInput(this.#scaled(dy)));
  }

  override backwardParams(dy: lg.Input): void {
    const upstream = (dy as lg.Tensor).data;
    this.scale.grad.data[0] += this.#f!.data.reduce((sum, value, i) => sum + value * upstream[i], 0);
    this.inner.backwardParams(this.#scaled(dy));
  }

  #scaled(dy: lg.Input): lg.Tensor {
    const d = dy as lg.Tensor;
    return d.engine.zeros(d.shape).add_(d, this.scale.value.data[0]);
  }
}

/**
 * The derivative of Σ w ⊙ net(x) by central differences. Forward runs in float32, so that a few digits are left; where the two
 * sides disagree there is a kink in between, which tells nothing.
 */
function expectGradients(net: lg.Layer, x: lg.Tensor): void {
  const y = net.forward(x);
  const w = new Random(99).values(y.size);
  const objective = (): number => net.forward(x).data.reduce((sum, value, i) => sum + value * w[i], 0);
  net.zeroGrad();
  const dx = net.backward(x.engine.tensor(w, [...y.shape])).clone();
  const [step, tolerance] = [1 / 128, 4e-3];
  let kinks = 0;
  let coordinates = 0;
  for (const { name, value, grad } of [{ name: "x", value: x, grad: dx }, ...net.parameters()]) {
    const analytic = grad.data;
    const { data } = value;
    data.forEach((at, i) => {
      const here = objective();
      data[i] = at + step;
      const above = (objective() - here) / step;
      data[i] = at - step;
      const below = (here - objective()) / step;
      data[i] = at;
      coordinates++;
      if (Math.abs(above - below) > tolerance) kinks++;
      else expect(Math.abs(analytic[i] - (above + below) / 2), `${name}[${i}]`).toBeLessThanOrEqual(tolerance);
    });
  }
  expect(kinks).toBeLessThan(coordinates / 4);
}

describe("a user's layer", () => {
  describeEngines((engine) => {
    const data = () => ({ x: randomTensor(engine(), [5, 4], 1), dy: randomTensor(engine(), [5, 4], 2) });

    it("inherits everything but its messages", () => {
      const layer = new Twice();
      const { x, dy } = data();
      expect(layer.training).toBe(true);
      expect(layer.parameters()).toEqual([]);
      expect(layer.stateDict()).toEqual({});
      layer.loadStateDict({});
      layer.zeroGrad();
      layer.backwardParams(dy);
      expect(layer.eval()).toBe(layer);
      expect(layer.training).toBe(false);
      expect(layer.train().training).toBe(true);
      expect([...layer.forward(x).data]).toEqual([...x.data].map((value) => 2 * value));
      expect([...layer.backward(dy).data]).toEqual([...dy.data].map((value) => 2 * value));
      expect(lg.summary(layer)).toMatchObject({ layers: [{ type: "Twice", parameters: 0 }] });
      layer.dispose();
    });

    it("backward is both messages", () => {
      const layer = new Gain(engine(), 4);
      const { x, dy } = data();
      layer.forward(x);
      const dx = bits(layer.backward(dy).data);
      const gradients = stateBits(layer);
      layer.zeroGrad();
      expect(bits(layer.backwardInput(dy).data)).toEqual(dx);
      layer.backwardParams(dy);
      expect(stateBits(layer)).toEqual(gradients);
    });

    it("with parameters but no backwardParams is a StateError, not a layer that never learns", async () => {
      class Forgetful extends Twice {
        readonly weight = { name: "weight", value: engine().zeros([1]), grad: engine().zeros([1]) };
        override parameters(): lg.Parameter[] {
          return [this.weight];
        }
      }
      const { dy } = data();
      const error = await refusal(() => new Forgetful().backwardParams(dy));
      expectRefusal(error, lg.StateError, /Forgetful: has parameters but no backwardParams/);
    });

    it("has a state by the names of its parameters", () => {
      const [from, to] = [new Gain(engine(), 4), new Gain(engine(), 4)];
      from.gain.value.data.set([1, 2, 3, 4]);
      expect(from.stateDict()).toEqual({ gain: from.gain.value });
      to.loadStateDict(from.stateDict());
      expect([...to.gain.value.data]).toEqual([1, 2, 3, 4]);
      expect(to.gain.value).not.toBe(from.gain.value);
    });

    it("frees its parameters when it is disposed, as every layer does", async () => {
      const { used } = engine().memory;
      const layer = new Gain(engine(), 4);
      layer.dispose();
      expectRefusal(await refusal(() => layer.gain.value.data), lg.StateError, /disposed/);
      expect(engine().memory.used).toBe(used);
    });

    it("in a net: names, values, gradients", () => {
      const net = new lg.Sequential({
        dense: new lg.Linear(4, 3, { engine: engine() }),
        gain: new Gain(engine(), 3),
        twice: new Twice(),
        out: new lg.LinearPReLU(3, 2, { engine: engine() }),
      });
      expect(net.parameters().map(({ name }) => name)).toEqual([
        "dense.weight",
        "dense.bias",
        "gain.gain",
        "out.weight",
        "out.bias",
        "out.slope",
      ]);
      net.stateDict()["gain.gain"].data.set([0.5, -1, 2]);
      expectGradients(net, data().x);
    });

    it("first in a net takes what it takes: a Float32Array is refused by name", async () => {
      const net = new lg.Sequential(new Gain(engine(), 4), new lg.Linear(4, 2, { engine: engine() }));
      const error = await refusal(() => net.forward(new Float32Array(8)));
      expectRefusal(error, lg.ShapeError, /Gain.*engine\.tensor\(data, shape\)/);
      expectGradients(net, data().x);
    });

    it("a net of user layers only is on the engine of their parameters", async () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const net = new lg.Sequential(new Twice(), new Gain(own, 4));
      expect(net.forward(randomTensor(own, [2, 4])).engine).toBe(own);
      expectRefusal(await refusal(() => net.forward(data().x)), lg.EngineError, /another engine/);
      own.dispose();
    });

    describe("whose children lead back to itself, or on for ever", () => {
      class Knot extends Twice {
        constructor(readonly made: (self: Knot) => lg.Layer) {
          super();
        }
        override children(): [string, lg.Layer][] {
          return [["inside", this.made(this)]];
        }
      }
      const around = (inside: lg.Layer): lg.Layer => new Knot(() => inside);
      const knots: [string, () => lg.Layer][] = [
        ["itself", () => new Knot((self) => self)],
        ["itself in another", () => new Knot((self) => around(around(self)))],
        [
          "a new one each time",
          () =>
            new Knot(function again(): lg.Layer {
              return new Knot(again);
            }),
        ],
        [
          "a layer that it is itself in",
          () => {
            let whole: lg.Layer = new Twice();
            const knot = new Knot(() => whole);
            const net = new lg.Sequential(knot);
            whole = net;
            return knot;
          },
        ],
      ];
      const uses: [string, (layer: lg.Layer) => unknown][] = [
        ["new Sequential", (layer) => new lg.Sequential(layer, new Twice())],
        ["train", (layer) => layer.train()],
        ["eval", (layer) => layer.eval()],
        ["stateDict", (layer) => layer.stateDict()],
        ["summary", (layer) => lg.summary(layer)],
        ["slopeStats", (layer) => lg.slopeStats(layer)],
        ["save", (layer) => lg.save(layer)],
        ["predict", (layer) => lg.predict(layer, [[1]])],
        ["gradCheck", (layer) => lg.gradCheck(layer, [[1]])],
        ["dispose", (layer) => layer.dispose()],
      ];
      it.each(knots)("%s: a StateError", async (_, make) => {
        for (const [use, call] of uses) {
          expectRefusal(await refusal(() => call(make())), lg.StateError, /inside itself|in the net twice/);
          expect(use).toBeTruthy();
        }
      });

      it.each<[string, unknown]>([
        ["nothing", undefined],
        ["a layer", new Twice()],
        ["layers without names", [new Twice()]],
        ["names without layers", [["inside", 7]]],
      ])("children that are %s are an ArgumentError", async (_, given) => {
        class Odd extends Twice {
          override children(): [string, lg.Layer][] {
            return given as never;
          }
        }
        for (const [, call] of uses) {
          expectRefusal(await refusal(() => call(new Odd())), lg.ArgumentError, /Odd: children: got .*expected pairs/);
        }
      });
    });

    it("what forward returns is checked", async () => {
      class Broken extends Twice {
        override forward(): lg.Tensor {
          return undefined as never;
        }
      }
      const net = new lg.Sequential(new lg.ReLU({ engine: engine() }), new Broken());
      const error = await refusal(() => net.forward(data().x));
      expectRefusal(error, lg.ArgumentError, /Broken: forward returned undefined, expected a Tensor/);
    });

    it("what backwardInput returns is checked", async () => {
      class Broken extends Twice {
        override backwardInput(): lg.Tensor {
          return undefined as never;
        }
      }
      const net = new lg.Sequential(new lg.ReLU({ engine: engine() }), new Broken());
      const { x, dy } = data();
      net.forward(x);
      expect(await refusal(() => net.backward(dy))).toBeInstanceOf(lg.LanegradError);
    });

    it("a subclass of Linear keeps its own forward in a net, with an activation behind it", () => {
      class Doubled extends lg.Linear {
        override forward(x: lg.Input): lg.Tensor {
          const y = super.forward(x);
          return y.clone().add_(y);
        }
      }
      const doubled = new Doubled(4, 3, { engine: engine() });
      const plain = new lg.Linear(4, 3, { engine: engine() });
      copyParameters(doubled, plain);
      const { x } = data();
      const want = [...plain.forward(x).data].map((value) => Math.max(0, 2 * value));
      const net = new lg.Sequential(doubled, new lg.ReLU({ engine: engine() }));
      expect([...net.forward(x).data]).toEqual(want);
    });

    it("a subclass of an activation keeps its own forward in a net, with a Linear in front", () => {
      class Shifted extends lg.ReLU {
        override forward(x: lg.Input): lg.Tensor {
          return super
            .forward(x)
            .clone()
            .add_(engine().zeros([5, 3]).fill_(1));
        }
      }
      const linear = new lg.Linear(4, 3, { engine: engine() });
      const { x } = data();
      const want = [...linear.forward(x).data].map((value) => Math.fround(Math.max(0, value) + 1));
      const net = new lg.Sequential(linear, new Shifted({ engine: engine() }));
      expect([...net.forward(x).data]).toEqual(want);
    });

    describe("a residual block", () => {
      const make = () => new Residual(engine(), 4);

      it("has the gradients of its formula, alone and in a net", () => {
        expectGradients(make(), data().x);
        expectGradients(new lg.Sequential(make(), new lg.Linear(4, 3, { engine: engine() }), make3()), data().x);
      });
      const make3 = () => new Residual(engine(), 3);

      it("gives names, modes, state and reports to what is inside", () => {
        const block = make();
        const net = new lg.Sequential({ block });
        expect(net.parameters().map(({ name }) => name)).toEqual([
          "block.inner.up.weight",
          "block.inner.up.bias",
          "block.inner.up.slope",
          "block.inner.down.weight",
          "block.inner.down.bias",
          "block.scale",
        ]);
        net.eval();
        expect([block, block.inner, ...block.inner.layers].map(({ training }) => training)).toEqual(
          Array(4).fill(false),
        );
        net.train();
        expect(block.inner.layers[0].training).toBe(true);
        expect(lg.slopeStats(net)).toMatchObject([{ name: "block.inner.up", count: 6 }]);
        const other = new lg.Sequential({ block: make() });
        other.loadStateDict(net.stateDict());
        expect(stateBits(other)).toEqual(stateBits(net));
      });

      it("is counted whole by summary, its own parameters too", () => {
        const net = new lg.Sequential({ block: make() });
        const total = net.parameters().reduce((sum, { value }) => sum + value.size, 0);
        const { parameters, slopes, layers } = lg.summary(net);
        expect(parameters).toBe(total);
        expect(layers.reduce((sum, row) => sum + row.parameters, 0)).toBe(total);
        expect(slopes).toBe(6);
      });

      it("is refused where a layer inside is in the net twice", async () => {
        const block = make();
        expectRefusal(await refusal(() => new lg.Sequential(block, block.inner)), lg.StateError, /twice/);
        expectRefusal(await refusal(() => new lg.Sequential(block.inner.layers[0], block)), lg.StateError, /twice/);
      });

      it("is disposed with what is inside", async () => {
        const { used } = engine().memory;
        const block = make();
        block.dispose();
        expectRefusal(await refusal(() => block.inner.forward([1, 2, 3, 4])), lg.StateError, /disposed/);
        expect(engine().memory.used).toBe(used);
      });

      it("trains in fit, to the same bits twice", async () => {
        const run = async () => {
          const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
          const net = new lg.Sequential(
            new Residual(own, 4),
            new lg.Linear(4, 5, { engine: own }),
            new Gain(own, 5),
            new Twice(),
            new lg.ReLU({ engine: own }),
            new lg.Linear(5, 2, { engine: own }),
          );
          const random = new Random(1);
          const x = Array.from({ length: 60 }, () => [...random.values(4)]);
          const y = x.map(([a, b]) => (a > b ? 1 : 0));
          const history = await lg.fit(net, {
            train: { x, y },
            test: { x, y },
            epochs: 15,
            batchSize: 7,
            optimizer: new lg.Adam(net.parameters(), { lr: 0.02 }),
          });
          const result = { history: history.map(({ loss }) => loss), state: valueBits(net) };
          expect(history.at(-1)!.accuracy).toBeGreaterThan(0.9);
          own.dispose();
          return result;
        };
        expect(await run()).toEqual(await run());
      });
    });
  });
});
