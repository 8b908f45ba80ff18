import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { bits, nested, randomTensor } from "../support/state.js";

describe("Flatten", () => {
  describeEngines((engine) => {
    it.each<[shape: number[], flat: number[]]>([
      [
        [3, 2, 4, 5],
        [3, 40],
      ],
      [
        [3, 2, 4],
        [3, 8],
      ],
      [
        [3, 4],
        [3, 4],
      ],
      [[7], [7]],
      [
        [1, 2, 2, 2],
        [1, 8],
      ],
      [
        [0, 2, 3],
        [0, 6],
      ],
      [
        [2, 0, 3],
        [2, 0],
      ],
      [
        [2, 1, 2, 1, 3],
        [2, 6],
      ],
    ])("%j becomes %j, and dx has the shape of x again, with the same bits", (shape, flat) => {
      const layer = new lg.Flatten({ engine: engine() });
      const x = randomTensor(engine(), shape, 1);
      const dy = randomTensor(engine(), flat, 2);
      for (const mode of ["train", "eval"] as const) {
        const y = layer[mode]().forward(x);
        expect(y.shape).toEqual(flat);
        expect(bits(y.data)).toEqual(bits(x.data));
      }
      layer.train().forward(nested(x).length > 0 && x.size > 0 ? nested(x) : x);
      for (const dx of [layer.backward(dy), layer.backwardInput(dy)]) {
        expect(dx.shape).toEqual(shape);
        expect(bits(dx.data)).toEqual(bits(dy.data));
      }
      layer.backwardParams(dy);
    });

    it("returns a tensor of its own: a later write to x, or forward, does not reach what was cloned", () => {
      const layer = new lg.Flatten({ engine: engine() });
      const x = randomTensor(engine(), [2, 3, 2], 1);
      const y = layer.forward(x);
      const values = bits(y.data);
      x.fill_(9);
      expect(bits(y.data)).toEqual(values);
      y.fill_(1);
      expect([...x.data]).toEqual(Array(12).fill(9));
    });

    it("changes shape of x while that of y stays: the same y, another dx", () => {
      const layer = new lg.Flatten({ engine: engine() });
      const y = layer.forward(randomTensor(engine(), [2, 3, 4], 1));
      const dy = randomTensor(engine(), [2, 12], 2);
      const dx = layer.backward(dy);
      expect(layer.forward(randomTensor(engine(), [2, 4, 3], 3))).toBe(y);
      expect(layer.backward(dy).shape).toEqual([2, 4, 3]);
      expect(dx.disposed).toBe(true);
      expect(y.disposed).toBe(false);
    });

    it("passes every bit, also of NaN", () => {
      const layer = new lg.Flatten({ engine: engine() });
      const x = engine().zeros([1, 2, 2]);
      const patterns = Uint32Array.of(0x7fc0dead, 0x80000000, 0x00000001, 0xff800000);
      new Uint32Array(x.data.buffer, x.data.byteOffset, 4).set(patterns);
      expect(bits(layer.forward(x).data)).toEqual(patterns);
    });
  });
});
