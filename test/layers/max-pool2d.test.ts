import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { bits, randomTensor } from "../support/state.js";

interface Case {
  readonly kernel: lg.Size2d;
  readonly options?: lg.MaxPool2dOptions;
  readonly x: number[];
  readonly y: number[];
}

const CASES: Case[] = [
  { kernel: 2, x: [2, 3, 4, 6], y: [2, 3, 2, 3] },
  // what does not fill a window is left out
  { kernel: 2, x: [2, 3, 5, 7], y: [2, 3, 2, 3] },
  { kernel: [3, 2], x: [1, 2, 7, 5], y: [1, 2, 2, 2] },
  { kernel: 3, options: { stride: 1 }, x: [2, 2, 6, 5], y: [2, 2, 4, 3] },
  { kernel: 3, options: { stride: 2, padding: 1 }, x: [2, 2, 6, 5], y: [2, 2, 3, 3] },
  { kernel: 2, options: { padding: 1 }, x: [2, 2, 4, 5], y: [2, 2, 3, 3] },
  { kernel: [1, 4], options: { stride: [2, 3], padding: [0, 2] }, x: [1, 2, 3, 4], y: [1, 2, 2, 2] },
  { kernel: 1, options: { stride: 3 }, x: [1, 1, 7, 8], y: [1, 1, 3, 3] },
  { kernel: 2, options: { stride: 5 }, x: [1, 2, 8, 9], y: [1, 2, 2, 2] },
  { kernel: 2, x: [3, 4, 4], y: [3, 2, 2] },
  { kernel: [4, 40], x: [2, 1, 9, 45], y: [2, 1, 2, 1] },
];

const pair = (size: lg.Size2d): readonly [number, number] => (typeof size === "number" ? [size, size] : size);

/** Each output's place in x by the contract: the first of equals in row-major order; a NaN wins, the last of several. */
function places({ kernel, options = {}, x: shape, y: outShape }: Case, x: Float32Array): number[] {
  const [kh, kw] = pair(kernel);
  const [sh, sw] = pair(options.stride ?? kernel);
  const [ph, pw] = pair(options.padding ?? 0);
  const [height, width] = shape.slice(-2);
  const [outHeight, outWidth] = outShape.slice(-2);
  const planes = x.length / (height * width);
  return Array.from({ length: planes * outHeight * outWidth }, (_, at) => {
    const [j, i] = [at % outWidth, Math.floor(at / outWidth) % outHeight];
    const plane = Math.floor(at / (outWidth * outHeight)) * height * width;
    let best = -1;
    for (let h = Math.max(0, i * sh - ph); h < Math.min(height, i * sh - ph + kh); h++) {
      for (let w = Math.max(0, j * sw - pw); w < Math.min(width, j * sw - pw + kw); w++) {
        const place = plane + h * width + w;
        if (best < 0 || x[place] > x[best] || Number.isNaN(x[place])) best = place;
      }
    }
    return best;
  });
}

describe("MaxPool2d", () => {
  describeEngines((engine) => {
    const make = ({ kernel, options }: Case) => new lg.MaxPool2d(kernel, { ...options, engine: engine() });

    const expectPlaces = (test: Case, layer: lg.MaxPool2d, x: lg.Tensor): void => {
      const from = places(test, x.data);
      const y = layer.forward(x);
      expect(y.shape).toEqual(test.y);
      expect([...y.data]).toEqual(from.map((place) => x.data[place]));
      // powers of two: whose they are shows in any sum
      const dy = engine().tensor(
        Float32Array.from(from, (_, i) => 2 ** (i % 12)),
        test.y,
      );
      const want = new Float32Array(x.size);
      from.forEach((place, i) => {
        want[place] += dy.data[i];
      });
      for (const dx of [layer.backward(dy), layer.backwardInput(dy)]) {
        expect(dx.shape).toEqual(test.x);
        expect([...dx.data]).toEqual([...want]);
      }
      expect(bits(layer.eval().forward(x).data)).toEqual(bits(y.data));
      layer.train();
    };

    describe.each(CASES)("kernel $kernel, $options, of $x", (test) => {
      it("the largest of each window, which gets its dy", () => {
        expectPlaces(test, make(test), randomTensor(engine(), test.x, 1));
      });

      it("of many equals the first, with the zeros equal", () => {
        const random = new Random(2);
        const layer = make(test);
        const size = test.x.reduce((product, length) => product * length, 1);
        for (const values of [[0, 1], [0, -0], [-1, 0, -0], [3]]) {
          const x = engine().tensor(
            Float32Array.from({ length: size }, () => random.pick(values)),
            test.x,
          );
          expectPlaces(test, layer, x);
        }
      });

      it("of NaN the last, and infinities as numbers", () => {
        const random = new Random(3);
        const layer = make(test);
        const size = test.x.reduce((product, length) => product * length, 1);
        const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, -2];
        for (let round = 0; round < 4; round++) {
          const x = engine().tensor(
            Float32Array.from({ length: size }, () => random.pick(values)),
            test.x,
          );
          expectPlaces(test, layer, x);
        }
      });

      it("a plane of nothing but -Infinity sends each dy to the window's first cell, never to the padding", () => {
        expectPlaces(test, make(test), engine().zeros(test.x).fill_(Number.NEGATIVE_INFINITY));
      });
    });

    it("remembers the places of its last forward, not the values: what y holds later does not matter", () => {
      const layer = new lg.MaxPool2d(2, { engine: engine() });
      const x = randomTensor(engine(), [1, 1, 4, 4], 1);
      const dy = randomTensor(engine(), [1, 1, 2, 2], 2);
      const y = layer.forward(x);
      const dx = bits(layer.backward(dy).data);
      y.fill_(0);
      expect(bits(layer.backward(dy).data)).toEqual(dx);
    });

    it("writes every element of dx, whatever was there: cells of no window get 0", () => {
      const layer = new lg.MaxPool2d(2, { stride: 3, engine: engine() });
      const x = randomTensor(engine(), [2, 2, 6, 7], 1);
      const dy = randomTensor(engine(), [2, 2, 2, 2], 2);
      layer.forward(x);
      const dx = layer.backward(dy);
      const values = bits(dx.data);
      dx.fill_(Number.NaN);
      expect(bits(layer.backward(dy).data)).toEqual(values);
    });

    it("keeps no places in eval mode", () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const x = own.zeros([4, 4, 16, 16]);
      const { used } = own.memory;
      const layer = new lg.MaxPool2d(2, { engine: own }).eval();
      const y = layer.forward(x);
      expect(own.memory.used).toBe(used + y.size * 4);
      layer.train().forward(x);
      expect(own.memory.used).toBe(used + 2 * y.size * 4);
      own.dispose();
    });

    it("has no parameters and no state", () => {
      const layer = new lg.MaxPool2d(2, { engine: engine() });
      expect(layer.parameters()).toEqual([]);
      expect(layer.stateDict()).toEqual({});
    });
  });
});
