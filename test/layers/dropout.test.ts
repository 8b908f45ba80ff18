import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines, KERNEL_SETS } from "../support/engines.js";
import { bits, expectRefusal, gradientBits, nested, randomTensor, refusal } from "../support/state.js";

const MESSAGES = ["backward", "backwardInput"] as const;

describe("Dropout", () => {
  describeEngines((engine) => {
    const dropout = (p?: number) => new lg.Dropout(p, { engine: engine() });
    const ones = (shape: number[]): lg.Tensor => engine().zeros(shape).fill_(1);
    /** What is kept of ones. */
    const maskOf = (layer: lg.Dropout, shape: number[]): Float32Array => layer.forward(ones(shape)).data.slice();

    it("keeps a value times 1 / (1 - p), or makes it 0: each independently, whatever the shape", () => {
      for (const p of [0.5, 0.25, 0.9]) {
        const layer = dropout(p);
        const kept = Math.fround(1 / (1 - p));
        for (const shape of [[400], [20, 20], [2, 4, 5, 10]]) {
          const mask = maskOf(layer, shape);
          expect(new Set(mask)).toEqual(new Set([0, kept]));
          const x = randomTensor(engine(), shape, 1);
          const y = layer.forward(x);
          expect(y.shape).toEqual(shape);
          y.data.forEach((value, i) => {
            expect(value === 0 || value === Math.fround(x.data[i] * kept)).toBe(true);
          });
        }
      }
    });

    it.each([0.1, 0.5, 0.75, 0.999])("p = %d: the share dropped and the mean are right within 5 sigma", (p) => {
      const count = 200_000;
      const mask = maskOf(dropout(p), [count]);
      const dropped = mask.filter((value) => value === 0).length;
      expect(Math.abs(dropped - p * count)).toBeLessThan(5 * Math.sqrt(count * p * (1 - p)));
      // the variance of a value is p / (1 - p)
      const mean = mask.reduce((sum, value) => sum + value, 0) / count;
      expect(Math.abs(mean - 1)).toBeLessThan(5 * Math.sqrt(p / (1 - p) / count));
    });

    it("neighbours are independent: pairs are as frequent as they should be", () => {
      const count = 200_000;
      const mask = maskOf(dropout(0.5), [count]);
      for (const distance of [1, 2, 3, 4, 8, 64, 4096]) {
        let both = 0;
        for (let i = 0; i + distance < count; i++) if (mask[i] === 0 && mask[i + distance] === 0) both++;
        const pairs = count - distance;
        // neighbouring pairs share elements: a little wider than for independent ones
        expect(Math.abs(both - pairs / 4)).toBeLessThan(6 * Math.sqrt((pairs * 3) / 16));
      }
    });

    it("draws another mask for each forward, and for each layer", () => {
      const [one, other] = [dropout(), dropout()];
      const masks = [one, one, one, other, other].map((layer) => maskOf(layer, [100]).join());
      expect(new Set(masks).size).toBe(5);
    });

    it("sends back through the mask of the last forward, any number of times", () => {
      const layer = dropout(0.4);
      const x = ones([30, 11]);
      const dy = randomTensor(engine(), [30, 11], 2);
      for (let round = 0; round < 3; round++) {
        const mask = layer.forward(x).data.slice();
        const want = dy.data.map((value, i) => value * mask[i]);
        for (const message of [...MESSAGES, ...MESSAGES]) {
          expect(bits(layer[message](dy).data)).toEqual(bits(want));
        }
        // draws of others in between do not matter
        dropout().forward(x);
        expect(bits(layer.backward(nested(dy)).data)).toEqual(bits(want));
      }
    });

    it("a dy of NaN or infinity where the mask is 0 is NaN, as in PyTorch, forward and back", () => {
      const layer = dropout(0.5);
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (const value of odd) {
        const x = ones([64]).fill_(value);
        const y = layer.forward(x).data.slice();
        layer.forward(x);
        const dx = layer.backward(x).data.slice();
        for (const values of [y, dx]) {
          const wanted = new Set(Number.isNaN(value) ? [Number.NaN] : [Number.NaN, value]);
          expect(new Set(values)).toEqual(wanted);
        }
      }
    });

    it("keeps -0 and the sign of what is dropped, as a product does", () => {
      const layer = dropout(0.5);
      const y = layer.forward(ones([64]).fill_(-1));
      expect(new Set(Array.from(y.data, (value) => (Object.is(value, -0) ? "-0" : String(value))))).toEqual(
        new Set(["-0", "-2"]),
      );
    });

    it("p = 0 is the identity, p = 1 gives zeros", () => {
      const x = randomTensor(engine(), [7, 9], 3);
      const dy = randomTensor(engine(), [7, 9], 4);
      const none = dropout(0);
      expect(bits(none.forward(x).data)).toEqual(bits(x.data));
      expect(bits(none.backward(dy).data)).toEqual(bits(dy.data));
      const all = dropout(1);
      expect(all.forward(x).data.every((value) => value === 0)).toBe(true);
      expect(all.backward(dy).data.every((value) => value === 0)).toBe(true);
      // 0 · NaN
      expect(all.forward(ones([5]).fill_(Number.NaN)).data.every(Number.isNaN)).toBe(true);
    });

    it("p next to 0 and to 1 stays what it is", () => {
      expect(maskOf(dropout(1e-9), [1000]).every((value) => value === 1)).toBe(true);
      const rare = maskOf(dropout(1 - 2 ** -20), [1000]);
      expect(rare.every((value) => value === 0 || value === 2 ** 20)).toBe(true);
    });

    it("in eval mode is the identity in a tensor of its own, draws nothing, and keeps nothing", async () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 9 });
      const draws = (evaluate: boolean): Uint32Array => {
        const fresh = lg.createEngine({ kernels: engine().kernels, seed: 9 });
        const layer = new lg.Dropout(0.5, { engine: fresh });
        const x = randomTensor(fresh, [6, 5], 1);
        if (evaluate) {
          const y = layer.eval().forward(x);
          expect(y).not.toBe(x);
          expect(bits(y.data)).toEqual(bits(x.data));
          layer.train();
        }
        const mask = bits(layer.forward(x).data);
        fresh.dispose();
        return mask;
      };
      expect(draws(true)).toEqual(draws(false));
      const layer = new lg.Dropout(0.5, { engine: own });
      const x = randomTensor(own, [6, 5], 1);
      layer.forward(x);
      layer.eval().forward(x);
      layer.train();
      expectRefusal(await refusal(() => layer.backward(x)), lg.StateError, /without a remembered forward/);
      own.dispose();
    });

    it("predict and evaluate go without it, and leave the draws of training as they are", () => {
      const train = (between: boolean): Record<string, Uint32Array> => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 4 });
        const net = new lg.Sequential(new lg.Dropout(0.5, { engine: own }), new lg.Linear(4, 2, { engine: own }));
        const x = randomTensor(own, [3, 4], 1);
        if (between) {
          const y = lg.predict(net, x);
          expect(lg.predict(net, x)).toEqual(y);
          lg.evaluate(net, { x, y: [0, 1, 0] });
        }
        net.backward(net.forward(x));
        const gradients = gradientBits(net);
        own.dispose();
        return gradients;
      };
      expect(train(true)).toEqual(train(false));
    });

    it("remembers its mask when other shapes went through, and for a batch of 0", () => {
      const layer = dropout(0.3);
      for (const rows of [4, 9, 0, 1, 4]) {
        const mask = maskOf(layer, [rows, 3]);
        expect([...layer.backward(ones([rows, 3])).data]).toEqual([...mask]);
      }
    });

    it("has 0.5 for p, no parameters and no state", () => {
      const layer = dropout();
      expect(layer.p).toBe(0.5);
      expect(layer.parameters()).toEqual([]);
      expect(layer.stateDict()).toEqual({});
    });
  });

  it("draws the same masks for the same seed on every kernel set, whatever was drawn before it alike", () => {
    const masks = (kernels: lg.Engine["kernels"], seed: number): Uint32Array[] => {
      const own = lg.createEngine({ kernels, seed });
      const layer = new lg.Dropout(0.3, { engine: own });
      const sizes = [[1], [3], [4, 5], [33], [5, 3, 7, 9], [4099]];
      const result = sizes.map((shape) => bits(layer.forward(own.zeros(shape).fill_(1)).data));
      own.dispose();
      return result;
    };
    const [first, ...others] = KERNEL_SETS.map((kernels) => masks(kernels, 11));
    for (const other of others) expect(other).toEqual(first);
    expect(masks(KERNEL_SETS[0], 12)).not.toEqual(first);
  });
});
