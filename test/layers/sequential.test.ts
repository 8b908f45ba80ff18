import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { bitExact, firstDifference, ROUNDING } from "../support/compare.js";
import { describeEngines } from "../support/engines.js";
import { parametersByName } from "../support/messages.js";
import { Random } from "../support/random.js";
import { bits, copyParameters, expectRefusal, nested, randomTensor, refusal, stateBits } from "../support/state.js";

const names = (layer: lg.Layer): string[] => layer.parameters().map(({ name }) => name);

describe("Sequential", () => {
  describeEngines((engine) => {
    const linear = (n: number, k: number, bias = true) => new lg.Linear(n, k, { bias, engine: engine() });
    const prelu = (numParameters = 1) => new lg.PReLU({ numParameters, engine: engine() });
    const relu = () => new lg.ReLU({ engine: engine() });
    const conv = (c: number, o: number, kernel: lg.Size2d, options?: lg.Conv2dOptions) =>
      new lg.Conv2d(c, o, kernel, { ...options, engine: engine() });
    const norm2d = (channels: number) => {
      const norm = new lg.BatchNorm2d(channels, { engine: engine() });
      for (const { value } of norm.parameters()) value.data.set(new Random(channels).values(channels, 0.2, 1.5));
      return norm;
    };

    describe("names", () => {
      it("by position", () => {
        const net = new lg.Sequential(linear(4, 3), prelu(3), relu(), linear(3, 2, false));
        expect(names(net)).toEqual(["0.weight", "0.bias", "1.weight", "3.weight"]);
        expect(Object.keys(net.stateDict())).toEqual(names(net));
        expect(net.layers.map((layer) => layer.constructor)).toEqual([lg.Linear, lg.PReLU, lg.ReLU, lg.Linear]);
      });

      it("by key, in the order of the keys", () => {
        const layers = { hidden: linear(4, 3), act: prelu(3), out: new lg.LinearPReLU(3, 2, { engine: engine() }) };
        const net = new lg.Sequential(layers);
        expect(names(net)).toEqual([
          "hidden.weight",
          "hidden.bias",
          "act.weight",
          "out.weight",
          "out.bias",
          "out.slope",
        ]);
        expect(net.layers).toEqual(Object.values(layers));
      });

      it.each([
        [{ fc: 0, 1: 1, 0: 2 }, "0"],
        [{ 0: 0, 1: 1 }, "0"],
        [{ fc: 0, 4294967294: 1 }, "4294967294"],
      ])("not by numbers, whose order an object does not keep: %j", async (order, shown) => {
        const layers = Object.fromEntries(Object.entries(order).map(([name]) => [name, relu()]));
        const error = await refusal(() => new lg.Sequential(layers));
        expectRefusal(error, lg.ArgumentError, new RegExp(`the name "${shown}".*another name, or the layers in a row`));
      });

      it("names that only look like numbers keep their order", () => {
        const layers = {
          fc: prelu(),
          "01": prelu(),
          "-1": prelu(),
          "1e3": prelu(),
          "4294967295": prelu(),
          " 2": prelu(),
        };
        const order = Object.keys(layers);
        expect(order[0]).toBe("fc");
        expect(names(new lg.Sequential(layers))).toEqual(order.map((name) => `${name}.weight`));
      });

      it("each is read once", () => {
        let reads = 0;
        const layers = {
          get act() {
            reads++;
            return relu();
          },
        };
        const net = new lg.Sequential(layers);
        expect(reads).toBe(1);
        net.forward([[1]]);
        expect(reads).toBe(1);
      });

      it.each<[string, object]>([
        [
          "a getter",
          {
            get act() {
              throw new Error("no");
            },
          },
        ],
        [
          "a proxy",
          new Proxy(
            {},
            {
              ownKeys() {
                throw new Error("no");
              },
            },
          ),
        ],
      ])("%s that throws is an ArgumentError", async (_, layers) => {
        const error = await refusal(() => new lg.Sequential(layers as Record<string, lg.Layer>));
        expectRefusal(error, lg.ArgumentError, /Sequential.*reading it failed: no/);
      });

      it("nested, to any depth", () => {
        const net = new lg.Sequential({
          block: new lg.Sequential(linear(4, 3), new lg.Sequential({ act: prelu(3) })),
          head: linear(3, 2, false),
        });
        expect(names(net)).toEqual(["block.0.weight", "block.0.bias", "block.1.act.weight", "head.weight"]);
        expect(lg.slopeStats(net).map(({ name }) => name)).toEqual(["block.1.act"]);
        expect(lg.summary(net).layers.map(({ name, type }) => [name, type])).toEqual([
          ["block.0", "Linear"],
          ["block.1.act", "PReLU"],
          ["head", "Linear"],
        ]);
      });

      it("one child is enough", () => {
        const only = linear(4, 3);
        const net = new lg.Sequential(only);
        const x = randomTensor(engine(), [2, 4]);
        expect(names(net)).toEqual(["0.weight", "0.bias"]);
        expect(bits(net.forward(x).data)).toEqual(bits(only.forward(x).data));
      });

      it("layers cannot be exchanged behind its back", () => {
        const net = new lg.Sequential(linear(4, 3));
        expect(Object.isFrozen(net.layers)).toBe(true);
      });

      it("parameters are the children's own tensors", () => {
        const first = linear(4, 3);
        const net = new lg.Sequential(first, prelu(3));
        expect(net.parameters()[0]).toMatchObject({ value: first.weight.value, grad: first.weight.grad });
        expect(net.stateDict()["0.weight"]).toBe(first.weight.value);
      });
    });

    /** Nets as lists of layers, to be run as one and by hand. */
    const NETS: [name: string, make: () => lg.Layer[], inputShape: number[], outputs: number | number[]][] = [
      ["Linear, PReLU by unit", () => [linear(7, 5), prelu(5)], [6, 7], 5],
      ["Linear, shared PReLU", () => [linear(7, 5), prelu()], [6, 7], 5],
      ["Linear without bias, PReLU", () => [linear(7, 5, false), prelu(5)], [6, 7], 5],
      ["Linear, ReLU", () => [linear(7, 5), relu()], [6, 7], 5],
      ["two pairs and an output", () => [linear(7, 9), prelu(9), linear(9, 5), relu(), linear(5, 3)], [6, 7], 3],
      ["an activation first", () => [prelu(7), linear(7, 4), prelu()], [6, 7], 4],
      ["activations in a row", () => [linear(7, 4), prelu(4), relu(), prelu()], [6, 7], 4],
      [
        "fused modules",
        () => [new lg.LinearPReLU(7, 6, { engine: engine() }), new lg.LinearPReLU(6, 2, { engine: engine() })],
        [6, 7],
        2,
      ],
      ["one sample", () => [linear(7, 5), prelu(5), linear(5, 3)], [7], 3],
      ["one row", () => [linear(7, 5), prelu(5), linear(5, 3)], [1, 7], 3],
      ["wide", () => [linear(33, 65), prelu(65), linear(65, 10)], [70, 33], 10],
      ["no rows", () => [linear(7, 5), prelu(5)], [0, 7], 5],
      ["Conv2d, PReLU by channel", () => [conv(3, 5, 3), prelu(5)], [2, 3, 6, 7], [2, 5, 4, 5]],
      [
        "Conv2d without bias, PReLU by channel",
        () => [conv(3, 5, 3, { bias: false }), prelu(5)],
        [2, 3, 6, 7],
        [2, 5, 4, 5],
      ],
      ["Conv2d, shared PReLU", () => [conv(3, 5, [2, 3], { stride: [1, 2] }), prelu()], [2, 3, 6, 7], [2, 5, 5, 3]],
      [
        "Conv2d, PReLU, one image in a batch",
        () => [conv(3, 5, 3, { padding: 1 }), prelu(5)],
        [1, 3, 6, 7],
        [1, 5, 6, 7],
      ],
      // axis 1 of one image is its height
      ["Conv2d, PReLU by row, one image", () => [conv(3, 5, 3, { padding: 1 }), prelu(6)], [3, 6, 7], [5, 6, 7]],
      ["Conv2d, shared PReLU, one image", () => [conv(3, 5, 2), prelu()], [3, 6, 7], [5, 5, 6]],
      ["Conv2d, ReLU", () => [conv(3, 4, 1), relu()], [2, 3, 6, 7], [2, 4, 6, 7]],
      [
        "Conv2d, ELU",
        () => [conv(3, 4, 3, { padding: [0, 1] }), new lg.ELU({ alpha: 1.5, engine: engine() })],
        [2, 3, 6, 7],
        [2, 4, 4, 7],
      ],
      [
        "Conv2d without bias, LeakyReLU",
        () => [conv(3, 4, 3, { bias: false }), new lg.LeakyReLU({ engine: engine() })],
        [2, 3, 6, 7],
        [2, 4, 4, 5],
      ],
      ["Conv2d, ReLU, no images", () => [conv(3, 4, 3), relu()], [0, 3, 6, 7], [0, 4, 4, 5]],
      [
        "a convolutional net",
        () => [
          conv(1, 9, 3, { padding: 1 }),
          prelu(9),
          new lg.MaxPool2d(2, { engine: engine() }),
          conv(9, 5, 3),
          relu(),
          new lg.Flatten({ engine: engine() }),
          linear(60, 4),
          prelu(4),
        ],
        [3, 1, 10, 12],
        [3, 4],
      ],
    ];

    describe.each(NETS)("%s", (_, make, inputShape, outputs) => {
      const outputShape = typeof outputs === "number" ? [...inputShape.slice(0, -1), outputs] : outputs;
      const scene = () => {
        const apart = make();
        const layers = make();
        const net = new lg.Sequential(...layers);
        layers.forEach((layer, i) => {
          copyParameters(apart[i], layer);
        });
        const forward = (x: lg.Tensor): lg.Tensor => apart.reduce((h, layer) => layer.forward(h), x);
        const backward = (dy: lg.Tensor): lg.Tensor => apart.reduceRight((d, layer) => layer.backward(d), dy);
        return { apart, net, forward, backward };
      };

      it("gives the values and gradients of the layers apart", () => {
        const { apart, net, forward, backward } = scene();
        for (let round = 0; round < 3; round++) {
          const x = randomTensor(engine(), inputShape, round);
          const dy = randomTensor(engine(), outputShape, round + 10);
          expect(firstDifference(net.forward(x).data, forward(x).data, bitExact)).toBeUndefined();
          expect(firstDifference(net.backward(dy).data, backward(dy).data, bitExact)).toBeUndefined();
          const grads = apart.flatMap((layer) => layer.parameters().map(({ grad }) => grad.data));
          const denseBiases = new Set(
            net.layers.map((layer) => (layer instanceof lg.Linear ? layer.bias?.grad : null)),
          );
          net.parameters().forEach(({ name, grad }, i) => {
            // sums over the batch may run in another order there
            const scale = Math.max(1, ...grads[i].map(Math.abs));
            const bound = (got: number, want: number) => Math.abs(got - want) <= 64 * ROUNDING * scale;
            const limit = denseBiases.has(grad) ? bound : bitExact;
            expect(firstDifference(grad.data, grads[i], limit), name).toBeUndefined();
          });
        }
      });

      it("gives the same bits for the messages together and apart", () => {
        const { net } = scene();
        const x = randomTensor(engine(), inputShape, 3);
        const dy = randomTensor(engine(), outputShape, 4);
        net.forward(x);
        const dx = bits(net.backward(dy).data);
        const together = stateBits(net);
        net.zeroGrad();
        expect(bits(net.backwardInput(dy).data)).toEqual(dx);
        net.backwardParams(dy);
        expect(stateBits(net)).toEqual(together);
      });

      it("in eval mode gives the same bits", () => {
        const { net } = scene();
        const x = randomTensor(engine(), inputShape, 5);
        const trained = bits(net.forward(x).data);
        expect(bits(net.eval().forward(x).data)).toEqual(trained);
      });

      it("nested gives the same bits", () => {
        const { net } = scene();
        const layers = make();
        const inner = new lg.Sequential(...layers);
        const outer = new lg.Sequential({ inner });
        copyParameters(net, outer);
        const x = randomTensor(engine(), inputShape, 6);
        const dy = randomTensor(engine(), outputShape, 7);
        expect(bits(outer.forward(x).data)).toEqual(bits(net.forward(x).data));
        expect(bits(outer.backward(dy).data)).toEqual(bits(net.backward(dy).data));
        const want = Object.values(stateBits(net));
        expect(Object.values(stateBits(outer))).toEqual(want);
        outer.zeroGrad();
        outer.backwardParams(dy);
        expect(Object.values(stateBits(outer))).toEqual(want);
      });
    });

    describe("with BatchNorm", () => {
      const layersOf = (): lg.Layer[] => [
        norm2d(2),
        conv(2, 5, 3, { padding: 1, bias: false }),
        norm2d(5),
        prelu(5),
        new lg.MaxPool2d(2, { engine: engine() }),
        relu(),
        norm2d(5),
        new lg.ELU({ engine: engine() }),
        conv(5, 3, 2),
        prelu(3),
        norm2d(3),
        new lg.Flatten({ engine: engine() }),
        new lg.BatchNorm1d(18, { engine: engine() }),
        linear(18, 4),
        new lg.BatchNorm1d(4, { engine: engine() }),
        new lg.LeakyReLU({ engine: engine() }),
      ];
      const scene = () => {
        const apart = layersOf();
        const net = new lg.Sequential(...layersOf());
        net.loadStateDict(new lg.Sequential(...apart).stateDict());
        const forward = (x: lg.Tensor): lg.Tensor => apart.reduce((h, layer) => layer.forward(h), x);
        const states = (layers: readonly lg.Layer[]) => layers.map(stateBits);
        return { apart, net, forward, states };
      };
      const images = (seed: number, count = 4): lg.Tensor => randomTensor(engine(), [count, 2, 6, 8], seed);

      it("gives the bits of the layers apart: y, dx, gradients and running statistics", () => {
        const { apart, net, forward, states } = scene();
        for (let round = 0; round < 3; round++) {
          const x = images(round);
          const dy = randomTensor(engine(), [4, 4], 10 + round);
          expect(bits(net.forward(x).data)).toEqual(bits(forward(x).data));
          const dx = apart.reduceRight((d, layer) => layer.backward(d), dy);
          expect(bits(net.backward(dy).data)).toEqual(bits(dx.data));
          expect(states(net.layers)).toEqual(states(apart));
        }
      });

      it("in eval mode gives the bits of the layers apart, and leaves x and every state alone", () => {
        const { apart, net, forward, states } = scene();
        for (let round = 0; round < 3; round++) for (const run of [forward, net.forward.bind(net)]) run(images(round));
        for (const layer of [...apart, net]) layer.eval();
        const before = states(net.layers);
        // another number of images, and one that has no statistics of its own
        for (const count of [4, 1, 3]) {
          const x = images(20, count);
          const values = bits(x.data);
          expect(bits(net.forward(x).data)).toEqual(bits(forward(x).data));
          expect(bits(x.data)).toEqual(values);
        }
        expect(states(net.layers)).toEqual(before);
      });

      it("in eval mode leaves x alone where the first layers could work in its place", () => {
        for (const first of [norm2d(2), prelu(2), relu(), new lg.Dropout(0.5, { engine: engine() })]) {
          const net = new lg.Sequential(new lg.Sequential(first, norm2d(2)), relu()).eval();
          const x = images(21);
          const values = bits(x.data);
          const y = bits(net.forward(x).data);
          expect(bits(x.data)).toEqual(values);
          expect(bits(net.forward(x).data)).toEqual(y);
          // what another layer returned is that layer's
          const front = conv(2, 2, 1);
          const h = front.forward(x);
          const kept = bits(h.data);
          net.forward(h);
          expect(bits(h.data)).toEqual(kept);
        }
      });

      it("in eval mode leaves alone what a user's layer returned", () => {
        class Same extends lg.Layer {
          override forward(x: lg.Input): lg.Tensor {
            return x as lg.Tensor;
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return dy as lg.Tensor;
          }
        }
        const net = new lg.Sequential(new Same(), norm2d(2), relu()).eval();
        const x = images(22);
        const values = bits(x.data);
        net.forward(x);
        expect(bits(x.data)).toEqual(values);
      });

      it("the messages apart give the gradients of backward", () => {
        const { net } = scene();
        const dy = randomTensor(engine(), [4, 4], 10);
        net.forward(images(1));
        const dx = bits(net.backward(dy).data);
        const together = stateBits(net);
        net.zeroGrad();
        net.backwardParams(dy);
        expect(stateBits(net)).toEqual(together);
        expect(bits(net.backwardInput(dy).data)).toEqual(dx);
        expect(stateBits(net)).toEqual(together);
      });

      it("in eval mode inside a net in training: its running statistics, and StateError for the messages back", async () => {
        const { apart, net, forward, states } = scene();
        for (const layers of [net.layers, apart]) layers[2].eval();
        const x = images(1);
        expect(bits(net.forward(x).data)).toEqual(bits(forward(x).data));
        const before = states(net.layers);
        expect(before).toEqual(states(apart));
        expect(net.layers[2].stateDict().num_batches_tracked.data[0]).toBe(0);
        expect(net.layers[6].stateDict().num_batches_tracked.data[0]).toBe(1);
        const dy = randomTensor(engine(), [4, 4], 10);
        for (const message of ["backward", "backwardInput", "backwardParams"] as const) {
          expectRefusal(await refusal(() => net[message](dy)), lg.StateError, /BatchNorm2d\(5\).*eval mode/);
          expect(states(net.layers)).toEqual(before);
        }
        // and in training again all is well
        net.train();
        net.forward(x);
        expect(net.backward(dy).shape).toEqual(x.shape);
      });

      it("in training mode inside a net in eval mode: normalises by its batch, and forgets", async () => {
        const { apart, net, forward, states } = scene();
        for (const layer of [net, ...apart]) layer.eval();
        for (const layers of [net.layers, apart]) layers[6].train();
        const x = images(1);
        expect(bits(net.forward(x).data)).toEqual(bits(forward(x).data));
        expect(states(net.layers)).toEqual(states(apart));
        expect(net.layers[6].stateDict().num_batches_tracked.data[0]).toBe(1);
        const error = await refusal(() => net.backward(randomTensor(engine(), [4, 4], 10)));
        expectRefusal(error, lg.StateError, /without a remembered forward/);
      });
    });

    describe("layers that run as one keep to the mode of each forward", () => {
      const scene = () => {
        const inner = new lg.Sequential(linear(4, 3), prelu(3));
        const net = new lg.Sequential(inner, linear(3, 2));
        const [x, dy] = [randomTensor(engine(), [2, 4], 1), randomTensor(engine(), [2, 2], 2)];
        // until nothing changes from step to step
        for (let i = 0; i < 3; i++) {
          net.forward(x);
          net.backward(dy);
        }
        const want = bits(net.backwardInput(dy).data);
        const expectSame = () => {
          net.forward(x);
          expect(bits(net.backwardInput(dy).data)).toEqual(want);
        };
        return { inner, net, x, expectSame };
      };

      it("after a forward in eval mode that was refused", () => {
        const { net, expectSame } = scene();
        net.eval();
        expect(() => net.forward([[1, 2, 3]])).toThrow(lg.ShapeError);
        net.train();
        expectSame();
      });

      it("after an inner net was called by itself in eval mode", () => {
        const { inner, x, expectSame } = scene();
        inner.eval();
        inner.forward(x);
        inner.train();
        expectSame();
      });
    });

    describe("a subclass that overrides forward is called", () => {
      let calls = 0;
      /** What the class computes, times 2. */
      const twice = (y: lg.Tensor): lg.Tensor => {
        calls++;
        return y.add_(y);
      };
      class TwiceConv extends lg.Conv2d {
        override forward(x: lg.Input): lg.Tensor {
          return twice(super.forward(x));
        }
      }
      class TwiceNorm extends lg.BatchNorm2d {
        override forward(x: lg.Input): lg.Tensor {
          return twice(super.forward(x));
        }
      }
      class TwicePReLU extends lg.PReLU {
        override forward(x: lg.Input): lg.Tensor {
          return twice(super.forward(x));
        }
      }
      const nets: [name: string, make: () => lg.Layer[]][] = [
        ["Conv2d", () => [new TwiceConv(2, 3, 2, { engine: engine() }), prelu(3)]],
        ["BatchNorm2d", () => [conv(2, 3, 2), new TwiceNorm(3, { engine: engine() }), relu()]],
        ["an activation", () => [conv(2, 3, 2), new TwicePReLU({ engine: engine() })]],
      ];

      it.each(nets)("%s, in training and in eval mode", (_, make) => {
        const layers = make();
        const apart = make();
        new lg.Sequential(...apart).loadStateDict(new lg.Sequential(...layers).stateDict());
        const net = new lg.Sequential(...layers);
        const x = randomTensor(engine(), [2, 2, 4, 4], 1);
        for (const mode of ["train", "eval"] as const) {
          for (const layer of [net, ...apart]) layer[mode]();
          const want = bits(apart.reduce((h, layer) => layer.forward(h), x).data);
          calls = 0;
          expect(bits(net.forward(x).data)).toEqual(want);
          expect(calls).toBe(1);
        }
      });
    });

    it("LinearPReLU is Linear and PReLU, to the bit", () => {
      const fused = new lg.LinearPReLU(13, 9, { engine: engine() });
      const net = new lg.Sequential(linear(13, 9), prelu(9));
      fused.parameters().forEach(({ value }, i) => {
        value.data.set(new Random(i).values(value.size));
      });
      copyParameters(fused, net);
      const x = randomTensor(engine(), [17, 13], 1);
      const dy = randomTensor(engine(), [17, 9], 2);
      expect(bits(net.forward(x).data)).toEqual(bits(fused.forward(x).data));
      expect(bits(net.backward(dy).data)).toEqual(bits(fused.backward(dy).data));
      expect(Object.values(stateBits(net))).toEqual(Object.values(stateBits(fused)));
    });

    it("a slope of NaN or infinity stays in its channel, fused or not", () => {
      const net = new lg.Sequential(linear(3, 3), prelu(3));
      const [weight, bias, slope] = net.parameters().map(({ value }) => value.data);
      weight.set([1, 0, 0, 0, 1, 0, 0, 0, 1]);
      bias.fill(0);
      slope.set([Number.NaN, Number.POSITIVE_INFINITY, 0.5]);
      const y = net.forward([
        [-1, -1, -1],
        [1, 1, 1],
        [0, 0, -0],
      ]);
      expect(y.toArray()).toEqual([
        [Number.NaN, Number.NEGATIVE_INFINITY, -0.5],
        [1, 1, 1],
        // 0 is not above 0: NaN · 0, Infinity · 0 and 0.5 · 0 (-0 becomes 0 by the bias)
        [Number.NaN, Number.NaN, 0],
      ]);
    });

    it("backwardParams spares the first layer its dL/dx", () => {
      class Probe extends lg.Layer {
        readonly calls: string[] = [];
        readonly engine = engine();
        override forward(x: lg.Input): lg.Tensor {
          return x as lg.Tensor;
        }
        override backward(dy: lg.Input): lg.Tensor {
          this.calls.push("backward");
          return dy as lg.Tensor;
        }
        override backwardInput(dy: lg.Input): lg.Tensor {
          this.calls.push("backwardInput");
          return dy as lg.Tensor;
        }
        override backwardParams(): void {
          this.calls.push("backwardParams");
        }
      }
      const [first, last] = [new Probe(), new Probe()];
      const net = new lg.Sequential(new lg.Sequential(first), last);
      const x = randomTensor(engine(), [2, 3]);
      const sent = (message: "backward" | "backwardInput" | "backwardParams"): string[][] => {
        net.forward(x);
        net[message](x);
        return [first, last].map(({ calls }) => calls.splice(0));
      };
      expect(sent("backwardParams")).toEqual([["backwardParams"], ["backward"]]);
      expect(sent("backward")).toEqual([["backward"], ["backward"]]);
      expect(sent("backwardInput")).toEqual([["backwardInput"], ["backwardInput"]]);
    });

    it("backwardParams leaves the dx that was handed out alone and takes no memory for one", () => {
      const net = new lg.Sequential(linear(40, 3), prelu(3));
      const x = randomTensor(engine(), [50, 40]);
      const dy = randomTensor(engine(), [50, 3]);
      net.forward(x);
      net.backwardParams(dy);
      const { used } = engine().memory;
      net.forward(x);
      net.backward(dy);
      expect(engine().memory.used).toBe(used + 50 * 40 * 4);
    });

    it("backwardInput leaves the gradients alone", () => {
      const net = new lg.Sequential(linear(4, 3), prelu(3), linear(3, 2));
      net.backward(net.forward(randomTensor(engine(), [2, 4])));
      const before = stateBits(net);
      net.backwardInput(randomTensor(engine(), [2, 2]));
      expect(stateBits(net)).toEqual(before);
    });

    it.each<[string, (net: lg.Sequential, x: lg.Tensor) => unknown]>([
      ["called by itself", (net, x) => net.layers[0].forward(x)],
      ["called by itself in eval mode", (net, x) => net.layers[0].eval().forward(x)],
    ])("a layer %s since the net's forward ends it: StateError, nothing written", async (_, call) => {
      const net = new lg.Sequential(new lg.LinearPReLU(4, 4, { engine: engine() }), linear(4, 2));
      const x = randomTensor(engine(), [2, 4]);
      const dy = randomTensor(engine(), [2, 2]);
      net.forward(x);
      net.backward(dy);
      const before = stateBits(net);
      call(net, randomTensor(engine(), [2, 4], 5));
      for (const message of ["backward", "backwardInput", "backwardParams"] as const) {
        expectRefusal(await refusal(() => net[message](dy)), lg.StateError, /LinearPReLU\(4, 4\) was called by itself/);
        expect(stateBits(net)).toEqual(before);
      }
    });

    it("a layer in eval mode inside a net in training: StateError for the messages back", async () => {
      const net = new lg.Sequential(linear(4, 4), relu(), linear(4, 2));
      net.layers[1].eval();
      net.forward(randomTensor(engine(), [2, 4]));
      const error = await refusal(() => net.backward(randomTensor(engine(), [2, 2])));
      expectRefusal(error, lg.StateError, /eval mode/);
    });

    it("train and eval reach every layer and return the net", () => {
      const net = new lg.Sequential(linear(4, 4), new lg.Sequential(relu(), new lg.Sequential({ last: prelu() })));
      const all: lg.Layer[] = [net];
      for (const layer of all) if (layer instanceof lg.Sequential) all.push(...layer.layers);
      expect(all).toHaveLength(6);
      expect(all.map(({ training }) => training)).toEqual(Array(6).fill(true));
      expect(net.eval()).toBe(net);
      expect(all.map(({ training }) => training)).toEqual(Array(6).fill(false));
      expect(net.train()).toBe(net);
      expect(all.map(({ training }) => training)).toEqual(Array(6).fill(true));
    });

    it("stateDict is live, loadStateDict copies", () => {
      const make = () => new lg.Sequential({ a: linear(4, 3), b: new lg.Sequential(prelu(3)) });
      const [from, to] = [make(), make()];
      from.layers[0].parameters()[0].value.data.set(new Random(3).values(12));
      const state = from.stateDict();
      to.loadStateDict(state);
      expect(stateBits(to)).toEqual(stateBits(from));
      state["a.weight"].fill_(2);
      expect(from.layers[0].parameters()[0].value.data[0]).toBe(2);
      expect(to.layers[0].parameters()[0].value.data[0]).not.toBe(2);
      to.loadStateDict(to.stateDict());
      // names decide, not their order
      to.loadStateDict(Object.fromEntries(Object.entries(state).reverse()));
      expect(stateBits(to)).toEqual(stateBits(from));
    });

    it("loadStateDict of a state that does not fit writes nothing and names everything that is wrong", async () => {
      const net = new lg.Sequential(linear(4, 3), prelu(3));
      const before = stateBits(net);
      const state = {
        "0.weight": engine().zeros([3, 4]),
        "0.bias": engine().zeros([4]),
        extra: engine().zeros([1]),
      };
      const error = await refusal(() => net.loadStateDict(state));
      expectRefusal(
        error,
        lg.StateError,
        /0\.bias is \[4\], expected \[3\].*1\.weight is missing.*extra is unexpected/,
      );
      expect(stateBits(net)).toEqual(before);
    });

    it("moves between a net of plain layers and PyTorch's names", () => {
      const net = new lg.Sequential(linear(4, 3), prelu(3), linear(3, 2));
      expect(Object.fromEntries(Object.entries(net.stateDict()).map(([name, { shape }]) => [name, shape]))).toEqual({
        "0.weight": [3, 4],
        "0.bias": [3],
        "1.weight": [3],
        "2.weight": [2, 3],
        "2.bias": [2],
      });
    });

    it("zeroGrad reaches every layer", () => {
      const net = new lg.Sequential(linear(4, 3), new lg.Sequential(prelu(3)));
      net.backward(net.forward(randomTensor(engine(), [2, 4])));
      net.zeroGrad();
      for (const { grad } of net.parameters()) expect(grad.data.every((value) => value === 0)).toBe(true);
    });

    it("what the layers return stays theirs: the net's x may be arrays of any form", () => {
      const net = new lg.Sequential(linear(4, 3), prelu(3));
      const x = randomTensor(engine(), [2, 4]);
      const want = bits(net.forward(x).data);
      for (const form of [nested(x), x.data.slice(), x.data]) expect(bits(net.forward(form).data)).toEqual(want);
    });

    describe("slopeStats and summary", () => {
      it("one row for each PReLU, with the unbiased deviation", () => {
        const net = new lg.Sequential({
          one: linear(4, 4),
          shared: prelu(),
          block: new lg.Sequential(new lg.LinearPReLU(4, 4, { engine: engine() }), relu()),
        });
        net.stateDict()["block.0.slope"].data.set([0.25, -0.5, 1, 0.25]);
        const [shared, own, ...more] = lg.slopeStats(net);
        expect(more).toEqual([]);
        expect(shared).toEqual({ name: "shared", count: 1, mean: 0.25, std: Number.NaN, min: 0.25, max: 0.25 });
        expect(own).toMatchObject({ name: "block.0", count: 4, mean: 0.25, min: -0.5, max: 1 });
        expect(own.std).toBeCloseTo(Math.sqrt((0.75 ** 2 + 0.75 ** 2) / 3), 12);
      });

      it("rows of a layer by itself, and of a net without slopes", () => {
        expect(lg.slopeStats(prelu(2))).toMatchObject([{ count: 2, mean: 0.25, std: 0 }]);
        expect(lg.slopeStats(new lg.Sequential(linear(2, 2)))).toEqual([]);
        expect(lg.summary(linear(2, 3))).toMatchObject({ layers: [{ type: "Linear", parameters: 9, slopes: 0 }] });
      });

      it("counts parameters, and how many of them are slopes", () => {
        const net = new lg.Sequential(
          linear(784, 256),
          prelu(256),
          linear(256, 256),
          prelu(),
          new lg.LinearPReLU(256, 10, { engine: engine() }),
          relu(),
        );
        const { layers, parameters, slopes } = lg.summary(net);
        expect(layers).toEqual([
          { name: "0", type: "Linear", parameters: 784 * 256 + 256, slopes: 0 },
          { name: "1", type: "PReLU", parameters: 256, slopes: 256 },
          { name: "2", type: "Linear", parameters: 256 * 256 + 256, slopes: 0 },
          { name: "3", type: "PReLU", parameters: 1, slopes: 1 },
          { name: "4", type: "LinearPReLU", parameters: 2560 + 10 + 10, slopes: 10 },
          { name: "5", type: "ReLU", parameters: 0, slopes: 0 },
        ]);
        expect(slopes).toBe(267);
        expect(parameters).toBe(net.parameters().reduce((sum, { value }) => sum + value.size, 0));
      });

      it("takes as many slopes as there are", () => {
        const many = prelu(300_000);
        many.parameters()[0].value.data[7] = -1;
        expect(lg.slopeStats(many)).toMatchObject([{ count: 300_000, min: -1, max: 0.25 }]);
      });
    });

    describe("work in the place of what is there", () => {
      it("is done on tensors of the net alone: a layer of the user's keeps what it gives and gets", () => {
        const kept: lg.Tensor[] = [];
        class Skip extends lg.ReLU {
          override forward(x: lg.Input): lg.Tensor {
            return x as lg.Tensor;
          }
        }
        class Through extends lg.Layer {
          override forward(x: lg.Input): lg.Tensor {
            return x as lg.Tensor;
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            kept.push(dy as lg.Tensor);
            return dy as lg.Tensor;
          }
        }
        class Tap extends lg.Linear {
          last: lg.Tensor | undefined;
          override forward(x: lg.Input): lg.Tensor {
            this.last = super.forward(x);
            return this.last;
          }
        }
        const x = engine().tensor([[-1, 2, -3]]);
        const through = new lg.Sequential(new Skip({ engine: engine() }), relu(), prelu()).eval();
        through.forward(x);
        expect(x.toArray()).toEqual([[-1, 2, -3]]);
        const tap = new Tap(3, 3, { engine: engine() });
        const net = new lg.Sequential(tap, relu(), prelu()).eval();
        net.forward(x);
        const alone = linear(3, 3);
        copyParameters(tap, alone);
        expect(bits(tap.last!.data)).toEqual(bits(alone.forward(x).data));

        const between = new lg.Sequential(linear(3, 3), new Through(), prelu(3), linear(3, 3));
        between.forward(x);
        const dy = engine().tensor([[1, 2, 3]]);
        between.backward(dy);
        expect(dy.toArray()).toEqual([[1, 2, 3]]);
        // a gradient that went through the user's hands is not overwritten either
        const [gradient] = kept;
        const before = bits(gradient.data);
        between.backward(dy);
        expect(bits(gradient.data)).toEqual(before);
      });

      it("leaves what the net returns the same object in either mode", () => {
        const net = new lg.Sequential(linear(3, 4), new lg.BatchNorm1d(4, { engine: engine() }), relu());
        const x = randomTensor(engine(), [5, 3]);
        const y = net.forward(x);
        expect(net.eval().forward(x)).toBe(y);
        const dx = net.train() && net.forward(x) && net.backward(y.clone());
        expect(net.backward(y.clone())).toBe(dx);
      });

      it("where memory runs out in the middle, no running statistic has moved", async () => {
        const own = lg.createEngine({ kernels: engine().kernels, maximumMemory: 4 * 2 ** 20 });
        const net = new lg.Sequential(
          new lg.BatchNorm2d(1, { engine: own }),
          new lg.Conv2d(1, 64, 3, { padding: 1, engine: own }),
        );
        const x = randomTensor(own, [4, 1, 64, 64]);
        const before = stateBits(net);
        expectRefusal(await refusal(() => net.forward(x)), lg.MemoryError, /out of linear memory/);
        expect(stateBits(net)).toEqual(before);
        own.dispose();
      });
    });

    it("slopes() is a copy of the slopes in effect", () => {
      for (const layer of [prelu(3), new lg.LinearPReLU(2, 3, { engine: engine() })]) {
        const slope = [...parametersByName(layer).values()].at(-1)!.value;
        slope.data.set([1, 2, 3]);
        const slopes = layer.slopes();
        expect(slopes).toEqual(Float32Array.of(1, 2, 3));
        slopes.fill(9);
        expect([...slope.data]).toEqual([1, 2, 3]);
      }
    });
  });
});
