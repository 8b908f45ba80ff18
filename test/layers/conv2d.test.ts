import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { firstDifference, ROUNDING, within } from "../support/compare.js";
import { describeEngines } from "../support/engines.js";
import { bits, copyParameters, nested, randomTensor, stateBits } from "../support/state.js";

interface Case {
  readonly channels: [inChannels: number, outChannels: number];
  readonly kernel: lg.Size2d;
  readonly options?: lg.Conv2dOptions;
  readonly x: number[];
  readonly y: number[];
}

/** Shapes after PyTorch's formula. */
const CASES: Case[] = [
  { channels: [1, 1], kernel: 1, x: [1, 1, 1, 1], y: [1, 1, 1, 1] },
  { channels: [3, 4], kernel: 3, x: [2, 3, 5, 6], y: [2, 4, 3, 4] },
  { channels: [2, 3], kernel: [1, 4], options: { padding: [0, 2] }, x: [2, 2, 3, 5], y: [2, 3, 3, 6] },
  { channels: [2, 3], kernel: 3, options: { stride: 2, padding: 1 }, x: [1, 2, 8, 7], y: [1, 3, 4, 4] },
  { channels: [2, 2], kernel: 2, options: { stride: [3, 1], bias: false }, x: [2, 2, 7, 4], y: [2, 2, 2, 3] },
  { channels: [1, 2], kernel: 2, options: { padding: 3 }, x: [1, 1, 1, 2], y: [1, 2, 6, 7] },
  { channels: [2, 5], kernel: [5, 4], x: [3, 2, 5, 4], y: [3, 5, 1, 1] },
  { channels: [3, 2], kernel: 3, options: { stride: 5 }, x: [3, 4, 9], y: [2, 1, 2] },
  { channels: [16, 8], kernel: 3, options: { padding: 1 }, x: [5, 16, 8, 8], y: [5, 8, 8, 8] },
  { channels: [1, 32], kernel: 5, x: [1, 28, 28], y: [32, 24, 24] },
];

const pair = (size: lg.Size2d): readonly [number, number] => (typeof size === "number" ? [size, size] : size);

/** A convolution's sums and the bounds of their float32 roundings: each term counts once for y, dx and dweight. */
class Sums {
  readonly values: Float64Array;
  readonly #magnitudes: Float64Array;
  readonly #counts: Float64Array;

  constructor(size: number) {
    this.values = new Float64Array(size);
    this.#magnitudes = new Float64Array(size);
    this.#counts = new Float64Array(size);
  }

  add(i: number, term: number): void {
    this.values[i] += term;
    this.#magnitudes[i] += Math.abs(term);
    this.#counts[i]++;
  }

  difference(got: Float32Array): string | undefined {
    // one rounding for each product, one for each sum, in any order
    const bounds = this.#magnitudes.map((magnitude, i) => (this.#counts[i] + 2) * ROUNDING * magnitude + 1e-30);
    return firstDifference(got, this.values, within(bounds));
  }
}

/** y, dx and dweight by the definition, in double. */
function byDefinition(
  test: Case,
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | undefined,
  dy: Float32Array,
) {
  const [channels, outChannels] = test.channels;
  const [kh, kw] = pair(test.kernel);
  const [sh, sw] = pair(test.options?.stride ?? 1);
  const [ph, pw] = pair(test.options?.padding ?? 0);
  const [height, width] = test.x.slice(-2);
  const [outHeight, outWidth] = test.y.slice(-2);
  const images = test.x.length === 4 ? test.x[0] : 1;
  const y = new Sums(dy.length);
  const dx = new Sums(x.length);
  const dWeight = new Sums(weight.length);
  const dBias = new Sums(outChannels);
  for (let at = 0; at < dy.length; at++) {
    const [j, i] = [at % outWidth, Math.floor(at / outWidth) % outHeight];
    const o = Math.floor(at / (outWidth * outHeight)) % outChannels;
    const n = Math.floor(at / (outWidth * outHeight * outChannels));
    expect(n).toBeLessThan(images);
    if (bias !== undefined) y.add(at, bias[o]);
    dBias.add(o, dy[at]);
    for (let c = 0; c < channels; c++) {
      for (let u = 0; u < kh; u++) {
        for (let v = 0; v < kw; v++) {
          const [h, w] = [i * sh - ph + u, j * sw - pw + v];
          if (h < 0 || h >= height || w < 0 || w >= width) continue;
          const [from, by] = [((n * channels + c) * height + h) * width + w, ((o * channels + c) * kh + u) * kw + v];
          y.add(at, x[from] * weight[by]);
          dx.add(from, dy[at] * weight[by]);
          dWeight.add(by, dy[at] * x[from]);
        }
      }
    }
  }
  return { y, dx, dWeight, dBias };
}

describe("Conv2d", () => {
  describeEngines((engine) => {
    it("a weight that is no number reaches the inputs that it was multiplied with, and no others", () => {
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY]) {
        for (const channels of [1, 16]) {
          const layer = new lg.Conv2d(channels, channels, 3, { padding: 1, bias: false, engine: engine() });
          layer.weight.value.fill_(0);
          // the last tap of the first kernel
          layer.weight.value.data[8] = special;
          layer.forward(engine().zeros([1, channels, 5, 5]));
          const dx = layer.backward(engine().zeros([1, channels, 5, 5]).fill_(1));
          const reached = [...dx.data].map((value) => !Number.isFinite(value));
          const expected = reached.map((_, i) => i < 25 && i % 5 > 0 && i >= 5);
          expect(reached).toEqual(expected);
          layer.dispose();
        }
      }
    });

    const make = ({ channels, kernel, options }: Case) =>
      new lg.Conv2d(...channels, kernel, { ...options, engine: engine() });

    it.each(CASES)("$channels, kernel $kernel, $options, of $x: by the definition", (test) => {
      const layer = make(test);
      const x = randomTensor(engine(), test.x, 1);
      const dy = randomTensor(engine(), test.y, 2);
      const want = byDefinition(test, x.data, layer.weight.value.data, layer.bias?.value.data, dy.data);
      const y = layer.forward(x);
      expect(y.shape).toEqual(test.y);
      expect(want.y.difference(y.data)).toBeUndefined();
      const dx = layer.backward(dy);
      expect(dx.shape).toEqual(test.x);
      expect(want.dx.difference(dx.data)).toBeUndefined();
      expect(want.dWeight.difference(layer.weight.grad.data)).toBeUndefined();
      if (layer.bias) expect(want.dBias.difference(layer.bias.grad.data)).toBeUndefined();
      // every element is written, whatever was there
      const again = [bits(y.data), bits(dx.data)];
      for (const tensor of [y, dx]) tensor.fill_(Number.NaN);
      expect([layer.forward(x), layer.backward(dy)].map(({ data }) => bits(data))).toEqual(again);
    });

    it.each(CASES)(
      "$channels, kernel $kernel, $options, of $x: the same bits in every form and number of images",
      (test) => {
        if (test.x.length === 3) return expectSameAlone(test);
        const layer = make(test);
        const x = randomTensor(engine(), test.x, 1);
        const dy = randomTensor(engine(), test.y, 2);
        const y = bits(layer.forward(x).data);
        const dx = bits(layer.backward(dy).data);
        expect(bits(layer.forward(nested(x)).data)).toEqual(y);
        expect(bits(layer.backward(nested(dy)).data)).toEqual(dx);
        // each image by itself
        const [size, outSize] = [x.size / test.x[0], dy.size / test.y[0]];
        for (let n = 0; n < test.x[0]; n++) {
          const image = engine().tensor(x.data.slice(n * size, (n + 1) * size), test.x.slice(1));
          const part = engine().tensor(dy.data.slice(n * outSize, (n + 1) * outSize), test.y.slice(1));
          expect(bits(layer.forward(image).data)).toEqual(y.slice(n * outSize, (n + 1) * outSize));
          expect(bits(layer.backwardInput(part).data)).toEqual(dx.slice(n * size, (n + 1) * size));
        }
      },
    );

    /** One image [C, H, W] is a batch [1, C, H, W]. */
    function expectSameAlone(test: Case): void {
      const [layer, batched] = [make(test), make(test)];
      copyParameters(layer, batched);
      const x = randomTensor(engine(), test.x, 1);
      const dy = randomTensor(engine(), test.y, 2);
      expect(bits(layer.forward(x).data)).toEqual(bits(batched.forward(x.reshape([1, ...test.x])).data));
      expect(bits(layer.backward(dy).data)).toEqual(bits(batched.backward(dy.reshape([1, ...test.y])).data));
      expect(stateBits(layer)).toEqual(stateBits(batched));
    }

    it("a NaN or infinity of x reaches the outputs whose window holds it, and no other", () => {
      for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const layer = new lg.Conv2d(1, 2, 3, { padding: 1, engine: engine() });
        layer.weight.value.fill_(1);
        const x = engine().zeros([1, 1, 7, 9]);
        x.data[3 * 9 + 4] = odd;
        layer.forward(x).data.forEach((value, i) => {
          const [row, column] = [Math.floor((i % 63) / 9), i % 9];
          const isInside = Math.abs(row - 3) <= 1 && Math.abs(column - 4) <= 1;
          if (isInside) expect(value).toBe(odd);
          else expect(Number.isFinite(value)).toBe(true);
        });
      }
    });

    it("padding is zeros that are multiplied: a weight of NaN makes an output NaN wherever it is", () => {
      const layer = new lg.Conv2d(1, 1, 3, { padding: 1, bias: false, engine: engine() });
      layer.weight.value.data[4] = Number.NaN;
      expect(layer.forward(engine().zeros([1, 1, 2, 2])).data.every(Number.isNaN)).toBe(true);
    });

    it("starts as PyTorch's: weight and bias from U(±1 / sqrt(inChannels · kh · kw))", () => {
      const layer = new lg.Conv2d(8, 64, [3, 5], { engine: engine() });
      expect(layer.parameters().map(({ name, value }) => [name, value.shape])).toEqual([
        ["weight", [64, 8, 3, 5]],
        ["bias", [64]],
      ]);
      const bound = 1 / Math.sqrt(8 * 3 * 5);
      for (const { value } of layer.parameters()) {
        const { data, size } = value;
        for (const number of data) expect(Math.abs(number)).toBeLessThanOrEqual(bound);
        const mean = data.reduce((sum, number) => sum + number, 0) / size;
        const square = data.reduce((sum, number) => sum + number * number, 0) / size;
        expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * size));
        // the variance of u² is 4 / 45 for u in ±1
        expect(Math.abs(square / bound ** 2 - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / size));
      }
      const other = new lg.Conv2d(8, 64, [3, 5], { engine: engine() });
      expect(bits(other.weight.value.data)).not.toEqual(bits(layer.weight.value.data));
    });

    it("reads in messages and summaries as it was made", () => {
      const net = new lg.Sequential(
        new lg.Conv2d(3, 8, [3, 2], { stride: 2, padding: [1, 0], engine: engine() }),
        new lg.Conv2d(8, 4, 1, { bias: false, engine: engine() }),
      );
      expect(lg.summary(net)).toMatchObject({
        layers: [
          { name: "0", type: "Conv2d", parameters: 3 * 8 * 6 + 8, slopes: 0 },
          { name: "1", type: "Conv2d", parameters: 32, slopes: 0 },
        ],
        parameters: 3 * 8 * 6 + 8 + 32,
      });
      const [first, second] = net.layers as lg.Conv2d[];
      expect([first.inChannels, first.outChannels]).toEqual([3, 8]);
      expect(second.bias).toBeUndefined();
    });

    it("undefined options are the defaults, unknown ones are refused, arrays are copied", () => {
      const stride: [number, number] = [2, 1];
      const options = { stride, padding: undefined, bias: undefined, engine: engine() };
      expect(() => new lg.Conv2d(1, 1, 2, { ...options, dilation: 3 } as lg.Conv2dOptions)).toThrow(
        /Conv2d: got the option "dilation", which is not known; the options are engine, stride, padding, bias/,
      );
      const layer = new lg.Conv2d(1, 1, 2, options);
      stride[0] = 1;
      expect(layer.forward(engine().zeros([1, 1, 4, 4])).shape).toEqual([1, 1, 2, 3]);
      expect(layer.bias).toBeDefined();
    });

    it("large planes take no more scratch for more images", () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const layer = new lg.Conv2d(4, 4, 3, { padding: 1, engine: own });
      const used = (images: number): number => {
        using x = own.zeros([images, 4, 16, 16]);
        layer.forward(x);
        layer.backward(x);
        // x, y and dx are what images cost
        return own.memory.used - 3 * x.size * 4;
      };
      const one = used(1);
      expect(used(8)).toBe(one);
      own.dispose();
    });
  });
});
