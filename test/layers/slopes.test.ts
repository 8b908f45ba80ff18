import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { firstDifference, ROUNDING } from "../support/compare.js";
import { describeEngines } from "../support/engines.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, wrong } from "../support/state.js";

const CONSTRAINTS = ["none", "exp", "square"] as const;

/** The formulas of the contract, in double. */
const FORMULAS: Record<lg.SlopeConstraint, Record<"start" | "effect" | "chain", (value: number) => number>> = {
  none: { start: (a) => a, effect: (beta) => beta, chain: () => 1 },
  exp: { start: Math.log, effect: Math.exp, chain: Math.exp },
  square: { start: Math.sqrt, effect: (beta) => beta * beta, chain: (beta) => 2 * beta },
};

/** The two layers with slopes; `slope` is the parameter β. */
const LAYERS = {
  PReLU: {
    make: (engine: lg.Engine, options: lg.PReLUOptions) => new lg.PReLU({ numParameters: 4, ...options, engine }),
    columns: 4,
  },
  LinearPReLU: {
    make: (engine: lg.Engine, options: lg.LinearPReLUOptions) => new lg.LinearPReLU(4, 3, { ...options, engine }),
    columns: 3,
  },
} as const;

const TYPES = Object.keys(LAYERS) as (keyof typeof LAYERS)[];

const slopeOf = (layer: lg.Layer): lg.Parameter => layer.parameters().at(-1)!;

const near = (got: number, want: number): boolean =>
  Math.abs(got - want) <= 16 * ROUNDING * Math.max(1e-3, Math.abs(want));

const expectNear = (got: ArrayLike<number>, want: ArrayLike<number>, what?: string): void =>
  expect(firstDifference(got, want, near), what).toBeUndefined();

describe("slopes", () => {
  describeEngines((engine) => {
    describe.each(TYPES)("of %s", (type) => {
      const { make, columns } = LAYERS[type];

      describe.each(CONSTRAINTS)("constraint %s", (constraint) => {
        const { start, effect, chain } = FORMULAS[constraint];

        test.each([0.25, 1, 0.01, 3])("init %d is the slope in effect, and β starts accordingly", (init) => {
          const layer = make(engine(), { constraint, init });
          expectNear(slopeOf(layer).value.data, Array(columns).fill(start(init)), "β");
          expectNear(layer.slopes(), Array(columns).fill(init), "a");
        });

        it("undefined is the default of 0.25", () => {
          const layer = make(engine(), { constraint, init: undefined, penalty: undefined });
          expectNear(layer.slopes(), Array(columns).fill(0.25));
        });

        it("slopes() follows β at once, and is a copy", () => {
          const layer = make(engine(), { constraint });
          const beta = [-1.5, 0.5, 2, 0.125].slice(0, columns);
          slopeOf(layer).value.data.set(beta);
          const slopes = layer.slopes();
          expectNear(slopes, beta.map(effect));
          const before = bits(slopeOf(layer).value.data);
          slopes.fill(99);
          expect(bits(slopeOf(layer).value.data)).toEqual(before);
          expectNear(layer.slopes(), beta.map(effect));
        });

        it("y and dx are those of the slope in effect; the gradient is with respect to β", () => {
          const layer = make(engine(), { constraint });
          const plain = make(engine(), { constraint: "none" });
          const x = randomTensor(engine(), [6, 4], 51);
          const beta = [-0.7, 0.5, 1.25, 0.3].slice(0, columns);
          const [own, other] = [layer.parameters(), plain.parameters()];
          // the same weights and biases, where there are some
          own.slice(0, -1).forEach(({ value }, i) => {
            other[i].value.data.set(value.data);
          });
          slopeOf(layer).value.data.set(beta);
          slopeOf(plain).value.data.set(beta.map(effect));
          expectNear(layer.forward(x).data, plain.forward(x).data, "y");
          const dy = randomTensor(engine(), [6, columns], 52);
          expectNear(layer.backward(dy).data, plain.backward(dy).data, "dx");
          const want = [...slopeOf(plain).grad.data].map((da, k) => da * chain(beta[k]));
          expect(want.some((value) => value !== 0)).toBe(true);
          expectNear(slopeOf(layer).grad.data, want, "dβ");
          // and once more: added
          layer.backwardParams(dy);
          expectNear(
            slopeOf(layer).grad.data,
            want.map((value) => 2 * value),
            "2 dβ",
          );
        });

        describe("penalty", () => {
          const LAMBDA = 0.5;
          const beta = [-0.7, 0.5, 1.25, 0.3].slice(0, columns);
          const penalties = beta.map((value) => LAMBDA * effect(value) * chain(value));

          /** The same layer twice, with and without a penalty. */
          const pair = () => {
            const own = lg.createEngine({ kernels: engine().kernels, seed: 9 });
            const [with_, without] = [LAMBDA, 0].map((penalty) => {
              const twin = lg.createEngine({ kernels: engine().kernels, seed: 9 });
              const layer = make(twin, { constraint, penalty });
              slopeOf(layer).value.data.set(beta);
              return { layer, x: randomTensor(twin, [6, 4], 53), dy: randomTensor(twin, [6, columns], 54) };
            });
            own.dispose();
            return { with_, without };
          };

          /** Runs the same calls on both: how much more there is in the gradient of β, and nothing else differs. */
          function difference(calls: (one: { layer: lg.Layer; x: lg.Tensor; dy: lg.Tensor }) => void): number[] {
            const { with_, without } = pair();
            for (const one of [with_, without]) {
              one.layer.forward(one.x);
              calls(one);
            }
            const [own, other] = [with_.layer.parameters(), without.layer.parameters()];
            own.slice(0, -1).forEach(({ grad }, i) => {
              expect(bits(grad.data)).toEqual(bits(other[i].grad.data));
            });
            const plain = slopeOf(without.layer).grad.data;
            const got = [...slopeOf(with_.layer).grad.data].map((value, k) => value - plain[k]);
            with_.layer.dispose();
            without.layer.dispose();
            return got;
          }

          const times = (count: number): number[] => penalties.map((value) => count * value);
          const expectPenalty = (got: number[], count: number): void =>
            got.forEach((value, k) => {
              // a difference of sums
              expect(Math.abs(value - times(count)[k]), `slope ${k}`).toBeLessThan(1e-5);
            });

          it("is in the first message of a new layer, once", () => {
            expectPenalty(
              difference(({ layer, dy }) => layer.backwardParams(dy)),
              1,
            );
            expectPenalty(
              difference(({ layer, dy }) => {
                layer.backward(dy);
                layer.backwardParams(dy);
                layer.backward(dy);
              }),
              1,
            );
          });

          it("is in the first message after the layer's zeroGrad, once", () => {
            expectPenalty(
              difference(({ layer, dy }) => {
                layer.backward(dy);
                layer.zeroGrad();
                layer.backwardParams(dy);
                layer.backwardParams(dy);
              }),
              1,
            );
          });

          it("is in the first message after the optimizer's zeroGrad, once", () => {
            expectPenalty(
              difference(({ layer, dy }) => {
                const optimizer = new lg.SGD(layer.parameters(), { lr: 0 });
                layer.backward(dy);
                optimizer.step();
                optimizer.zeroGrad();
                layer.backward(dy);
                layer.backward(dy);
              }),
              1,
            );
          });

          it("comes with messages only: none in zeroGrad, forward, backwardInput and step", () => {
            expectPenalty(
              difference(({ layer, x, dy }) => {
                layer.zeroGrad();
                layer.forward(x);
                layer.backwardInput(dy);
              }),
              0,
            );
            expectPenalty(
              difference(({ layer, dy }) => {
                layer.backwardInput(dy);
                layer.backwardParams(dy);
              }),
              1,
            );
          });

          it("reading the zeros in between does not use it up", () => {
            expectPenalty(
              difference(({ layer, dy }) => {
                layer.zeroGrad();
                for (const { grad } of layer.parameters()) grad.toArray();
                lg.clipGradNorm(layer.parameters(), 1);
                layer.backwardParams(dy);
              }),
              1,
            );
          });

          it("over two batches, one of them empty, it comes once", () => {
            expectPenalty(
              difference(({ layer, x, dy }) => {
                layer.zeroGrad();
                layer.forward(x.engine.zeros([0, 4]));
                layer.backwardParams(x.engine.zeros([0, columns]));
                layer.forward(x);
                layer.backwardParams(dy);
              }),
              1,
            );
          });

          it("is not in eval mode, where messages are refused", async () => {
            const { with_ } = pair();
            with_.layer.eval().forward(with_.x);
            const state = stateBits(with_.layer);
            expectRefusal(await refusal(() => with_.layer.backwardParams(with_.dy)), lg.StateError, /eval/);
            expect(stateBits(with_.layer)).toEqual(state);
          });

          it("is not used up by a Jacobian", () => {
            expectPenalty(
              difference(({ layer, x, dy }) => {
                lg.jacobian(layer, x);
                layer.forward(x);
                layer.backwardParams(dy);
              }),
              1,
            );
          });

          it.each(["zeroGrad of the net", "zeroGrad of the optimizer", "a new net"])("in a net: %s", (how) => {
            expectPenalty(
              difference(({ layer, x, dy }) => {
                const net = new lg.Sequential(layer);
                const optimizer = new lg.Adam(net.parameters(), { lr: 0 });
                net.forward(x);
                if (how !== "a new net") {
                  net.backward(dy);
                  net.backward(dy);
                  optimizer.step();
                  if (how === "zeroGrad of the net") net.zeroGrad();
                  else optimizer.zeroGrad();
                }
                net.backwardParams(dy);
                net.backward(dy);
              }),
              1,
            );
          });
        });
      });

      it("a penalty is not in the loss: forward is the same with and without", () => {
        const [x, y] = [0, 5].map((penalty) => {
          const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
          const layer = make(own, { penalty });
          return lg.mseLoss(layer.forward(randomTensor(own, [6, 4], 55)), randomTensor(own, [6, columns], 56)).loss;
        });
        expect(x).toBe(y);
      });

      it("a penalty alone pulls the slopes in effect towards 0", () => {
        for (const constraint of CONSTRAINTS) {
          const layer = make(engine(), { constraint, penalty: 1, init: 0.5 });
          const optimizer = new lg.SGD(layer.parameters(), { lr: 0.1 });
          const x = randomTensor(engine(), [6, 4], 57);
          for (let step = 0; step < 5; step++) {
            optimizer.zeroGrad();
            layer.forward(x);
            layer.backwardParams(engine().zeros([6, columns]));
            optimizer.step();
          }
          for (const a of layer.slopes()) {
            expect(a).toBeLessThan(0.45);
            expect(a).toBeGreaterThan(0);
          }
        }
      });

      it("square may start at 0; none may start anywhere", () => {
        expect([...make(engine(), { constraint: "square", init: 0 }).slopes()]).toEqual(Array(columns).fill(0));
        for (const init of [0, -1, 2]) {
          expect([...make(engine(), { init }).slopes()]).toEqual(Array(columns).fill(init));
        }
      });

      it.each([
        [{ constraint: "exp", init: 0 }, /init: got 0, expected a number > 0/],
        [{ constraint: "exp", init: -0.5 }, /init: got -0\.5, expected a number > 0/],
        [{ constraint: "square", init: -1e-9 }, /init: got -1e-9, expected a number >= 0/],
        [{ init: Number.NaN }, /init: got NaN/],
        [{ init: Number.POSITIVE_INFINITY }, /init: got Infinity/],
        [{ init: "0.25" }, /init: got "0\.25"/],
        [{ constraint: "log" }, /constraint: got "log"/],
        [{ constraint: null }, /constraint: got null/],
        [{ constraint: "toString" }, /constraint: got "toString"/],
        [{ penalty: -1 }, /penalty: got -1/],
        [{ penalty: Number.NaN }, /penalty: got NaN/],
        [{ penalty: "1" }, /penalty: got "1"/],
      ])("%j is refused, and nothing is made", async (options, message) => {
        const { used } = engine().memory;
        expectRefusal(await refusal(() => make(engine(), wrong(options))), lg.ArgumentError, message);
        expect(engine().memory.used).toBe(used);
      });
    });

    describe("slopeStats", () => {
      it("has a row for each layer with slopes, of the slopes in effect", () => {
        const own = { engine: engine() };
        const net = new lg.Sequential({
          first: new lg.LinearPReLU(4, 4, own),
          plain: new lg.Linear(4, 2, own),
          block: new lg.Sequential(
            new lg.PReLU({ ...own, constraint: "exp" }),
            new lg.ReLU(own),
            new lg.PReLU({ ...own, numParameters: 2, constraint: "square" }),
          ),
        });
        const state = net.stateDict();
        state["first.slope"].data.set([1, 2, 3, 6]);
        state["block.0.weight"].data.set([0]);
        state["block.2.weight"].data.set([-2, 1]);
        const [first, shared, pair, ...rest] = lg.slopeStats(net);
        expect(rest).toEqual([]);
        expect(first).toEqual({ name: "first", count: 4, mean: 3, std: Math.sqrt(14 / 3), min: 1, max: 6 });
        expect(shared).toEqual({ name: "block.0", count: 1, mean: 1, std: Number.NaN, min: 1, max: 1 });
        expect(pair).toEqual({ name: "block.2", count: 2, mean: 2.5, std: Math.sqrt(4.5), min: 1, max: 4 });
      });

      it("of a net without slopes is empty", () => {
        expect(lg.slopeStats(new lg.Linear(4, 3, { engine: engine() }))).toEqual([]);
      });

      it("of a layer with more slopes than a call takes arguments", () => {
        const prelu = new lg.PReLU({ numParameters: 300_000, init: 0.5, engine: engine() });
        expect(lg.slopeStats(prelu)).toMatchObject([{ count: 300_000, mean: 0.5, std: 0, min: 0.5, max: 0.5 }]);
        prelu.dispose();
      });

      it("shows NaN slopes", () => {
        const prelu = new lg.PReLU({ numParameters: 2, engine: engine() });
        prelu.parameters()[0].value.data[0] = Number.NaN;
        expect(lg.slopeStats(prelu)).toMatchObject([{ mean: Number.NaN, min: Number.NaN, max: Number.NaN }]);
      });

      it("refuses what is no layer", async () => {
        expectRefusal(await refusal(() => lg.slopeStats(wrong({}))), lg.ArgumentError, /expected a Layer/);
        expectRefusal(await refusal(() => lg.summary(wrong(null))), lg.ArgumentError, /expected a Layer/);
      });
    });

    it("summary counts parameters and slopes, by layer and in all", () => {
      const own = { engine: engine() };
      const net = new lg.Sequential(
        new lg.LinearPReLU(4, 3, { ...own, constraint: "exp" }),
        new lg.Sequential({ dense: new lg.Linear(3, 2, own), act: new lg.PReLU(own), elu: new lg.ELU(own) }),
        new lg.LinearELU(2, 2, { ...own, bias: false }),
      );
      expect(lg.summary(net)).toEqual({
        layers: [
          { name: "0", type: "LinearPReLU", parameters: 18, slopes: 3 },
          { name: "1.dense", type: "Linear", parameters: 8, slopes: 0 },
          { name: "1.act", type: "PReLU", parameters: 1, slopes: 1 },
          { name: "1.elu", type: "ELU", parameters: 0, slopes: 0 },
          { name: "2", type: "LinearELU", parameters: 4, slopes: 0 },
        ],
        parameters: 31,
        slopes: 4,
      });
    });
  });
});
