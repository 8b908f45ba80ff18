import { readFileSync } from "node:fs";
import * as lg from "lanegrad";
import { afterEach, describe, expect, it, vi } from "vitest";
import { describeEngines, hasRelaxedSimd, KERNEL_SETS } from "./support/engines.js";
import { Random } from "./support/random.js";
import { bits, expectRefusal, randomTensor, refusal } from "./support/state.js";

describe("Tensor", () => {
  describeEngines((engine) => {
    describe("made of", () => {
      it.each<[string, lg.TensorData, number[], number[]]>([
        ["a flat list", [1, 2, 3], [3], [1, 2, 3]],
        [
          "rows",
          [
            [1, 2],
            [3, 4],
            [5, 6],
          ],
          [3, 2],
          [1, 2, 3, 4, 5, 6],
        ],
        ["four axes", [[[[1], [2]]], [[[3], [4]]]], [2, 1, 2, 1], [1, 2, 3, 4]],
        ["a number", 5, [], [5]],
        ["an empty list", [], [0], []],
        ["empty rows", [[], []], [2, 0], []],
        ["a Float32Array", Float32Array.of(1, 2), [2], [1, 2]],
        ["an empty Float32Array", new Float32Array(0), [0], []],
      ])("%s", (_, data, shape, values) => {
        const t = engine().tensor(data);
        expect(t.shape).toEqual(shape);
        expect(t.size).toBe(values.length);
        expect([...t.data]).toEqual(values);
        expect(t.engine).toBe(engine());
      });

      it.each<[string, lg.TensorData, number[]]>([
        ["a Float32Array", Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]],
        ["a flat list", [1, 2, 3, 4, 5, 6], [3, 1, 2]],
        ["rows in their own shape", [[1, 2, 3, 4, 5, 6]], [1, 6]],
        ["a part of a longer array", Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7).subarray(1, 7), [6]],
      ])("%s and a shape", (_, data, shape) => {
        const t = engine().tensor(data, shape);
        expect(t.shape).toEqual(shape);
        expect([...t.data]).toEqual([1, 2, 3, 4, 5, 6]);
      });

      it("one number for a shape of ones", () => {
        expect(engine().tensor(7, [1, 1]).toArray()).toEqual([[7]]);
        expect(engine().tensor([7], []).toArray()).toBe(7);
        expect(engine().tensor(new Float32Array(0), [3, 0, 2]).toArray()).toEqual([[], [], []]);
      });

      it("a copy: neither side sees the other's writes", () => {
        const values = Float32Array.of(1, 2);
        const shape = [2];
        const t = engine().tensor(values, shape);
        values[0] = 9;
        shape[0] = 9;
        t.data[1] = 8;
        expect([...t.data]).toEqual([1, 8]);
        expect(t.shape).toEqual([2]);
        expect(values[1]).toBe(2);
      });

      it("every float32, bit for bit; doubles rounded to nearest even", () => {
        const patterns = Uint32Array.of(0, 0x80000000, 1, 0x7f7fffff, 0x7f800000, 0xff800000, 0x3f800001, 0x00800000);
        const values = new Float32Array(patterns.buffer);
        expect(bits(engine().tensor(values).data)).toEqual(patterns);
        expect(bits(engine().tensor([...values]).data)).toEqual(patterns);
        expect(engine().tensor([Number.NaN]).data[0]).toBeNaN();
        const doubles = [0.1, 1e-50, 1e40, 1 + 2 ** -24, 1 + 3 * 2 ** -24];
        expect([...engine().tensor(doubles).data]).toEqual(doubles.map(Math.fround));
      });

      it("another tensor's data on the same engine", () => {
        const t = randomTensor(engine(), [2, 3]);
        expect(bits(engine().tensor(t.data, [3, 2]).data)).toEqual(bits(t.data));
      });
    });

    it("zeros", () => {
      expect(engine().zeros([2, 2]).toArray()).toEqual([
        [0, 0],
        [0, 0],
      ]);
      expect(engine().zeros([]).toArray()).toBe(0);
      expect(engine().zeros([0]).toArray()).toEqual([]);
      // also where something else was
      engine().zeros([1000]).fill_(7).dispose();
      expect(
        engine()
          .zeros([1000])
          .data.every((value) => Object.is(value, 0)),
      ).toBe(true);
    });

    it("the shape cannot be written", () => {
      const t = engine().zeros([2, 3]);
      expect(() => {
        (t.shape as number[])[0] = 3;
      }).toThrow(TypeError);
      expect(t.shape).toEqual([2, 3]);
    });

    describe("data", () => {
      it("is the live view: writes count at once, both ways", () => {
        const t = engine().tensor([1, 2, 3]);
        const view = t.data;
        view[0] = 10;
        expect(t.toArray()).toEqual([10, 2, 3]);
        t.fill_(4);
        expect([...view]).toEqual([4, 4, 4]);
        expect(t.data).toBe(view);
        expect(view).toBeInstanceOf(Float32Array);
        expect(view).toHaveLength(3);
      });

      it("lies over a SharedArrayBuffer at a multiple of 64 bytes; its slice is an ordinary copy", () => {
        const view = randomTensor(engine(), [5]).data;
        expect(view.buffer).toBeInstanceOf(SharedArrayBuffer);
        expect(view.byteOffset % 64).toBe(0);
        const copy = view.slice();
        expect(copy.buffer).toBeInstanceOf(ArrayBuffer);
        copy.fill(0);
        expect(view[0]).not.toBe(0);
      });

      it("stays alive when the memory grows", () => {
        const own = lg.createEngine({ kernels: engine().kernels });
        const t = own.tensor(new Random(1).values(100));
        const view = t.data;
        const before = bits(view);
        const { reserved } = own.memory;
        own.zeros([2 ** 20]);
        // the memory may be one that an engine before had made grow
        own.zeros([reserved / 4]);
        expect(own.memory.reserved).toBeGreaterThan(reserved);
        expect(bits(view)).toEqual(before);
        expect(bits(t.data)).toEqual(before);
        view[0] = 5;
        expect(t.data[0]).toBe(5);
        t.data[1] = 6;
        expect(view[1]).toBe(6);
        own.dispose();
      });
    });

    describe("toArray and clone", () => {
      it("nest as deep as the shape", () => {
        const t = engine().tensor([1, 2, 3, 4, 5, 6], [1, 2, 3]);
        expect(t.toArray()).toEqual([
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
        ]);
        expect(engine().tensor(t.toArray()).shape).toEqual([1, 2, 3]);
      });

      it("a clone is another tensor with the same shape and bits", () => {
        const t = randomTensor(engine(), [2, 3]);
        const copy = t.clone();
        expect(copy.shape).toEqual([2, 3]);
        expect(copy.engine).toBe(engine());
        expect(bits(copy.data)).toEqual(bits(t.data));
        t.fill_(0);
        expect(copy.data[0]).not.toBe(0);
        t.dispose();
        expect(copy.disposed).toBe(false);
      });

      it("a clone of a layer's tensor is the caller's own", () => {
        const layer = new lg.Linear(2, 2, { engine: engine() });
        const copy = layer.forward([1, 2]).clone();
        layer.dispose();
        expect(copy.data).toHaveLength(2);
        copy.dispose();
        expect(copy.disposed).toBe(true);
      });
    });

    describe("reshape", () => {
      it.each<[number[], number[]]>([
        [
          [2, 3],
          [3, 2],
        ],
        [[2, 3], [6]],
        [
          [2, 3],
          [1, 6, 1],
        ],
        [[1], []],
        [[], [1, 1]],
        [[0, 5], [0]],
        [
          [0, 5],
          [3, 0, 7],
        ],
      ])("%j to %j", (from, to) => {
        const t = randomTensor(engine(), from);
        const handle = t.reshape(to);
        expect(handle.shape).toEqual(to);
        expect(bits(handle.data)).toEqual(bits(t.data));
        handle.fill_(3);
        expect([...t.data]).toEqual(Array(t.size).fill(3));
      });

      it("0 is a size, not a wildcard", async () => {
        const t = randomTensor(engine(), [2, 3]);
        expectRefusal(
          await refusal(() => t.reshape([0, 3])),
          lg.ShapeError,
          /\[0, 3\] \(0 values\), expected 6 values/,
        );
      });

      it("disposing one handle leaves the others valid, in any order; the last one frees", () => {
        for (const order of [
          [0, 1, 2],
          [2, 1, 0],
          [1, 2, 0],
        ]) {
          const { used } = engine().memory;
          const t = engine().tensor([1, 2, 3, 4]);
          const flat = t.reshape([2, 2]);
          const handles = [t, flat, flat.reshape([4, 1])];
          for (const [step, index] of order.entries()) {
            expect(engine().memory.used).toBe(used + 64);
            handles[index].dispose();
            for (const left of order.slice(step + 1)) expect([...handles[left].data]).toEqual([1, 2, 3, 4]);
          }
          expect(engine().memory.used).toBe(used);
        }
      });
    });

    describe("fill_ and add_", () => {
      it("work in place and return the tensor", () => {
        const t = engine().tensor([1, 2, 3]);
        expect(t.fill_(0.1)).toBe(t);
        expect([...t.data]).toEqual(Array(3).fill(Math.fround(0.1)));
        expect(t.add_(engine().tensor([1, 2, 3]))).toBe(t);
        expect([...t.data]).toEqual([1, 2, 3].map((value) => Math.fround(Math.fround(0.1) + value)));
        expect([...t.fill_(1).add_(engine().tensor([1, 2, 3]), -2).data]).toEqual([-1, -3, -5]);
      });

      it("of any length, against the formula", () => {
        const random = new Random(2);
        for (const size of [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1000]) {
          const [a, b] = [random.values(size), random.values(size)];
          const t = engine().tensor(a);
          t.add_(engine().tensor(b), 0.5);
          expect([...t.data]).toEqual([...a].map((value, i) => Math.fround(value + 0.5 * b[i])));
          t.fill_(-0);
          expect(t.data.every((value) => Object.is(value, -0))).toBe(true);
        }
      });

      it("of a tensor to itself doubles it", () => {
        const t = engine().tensor([1, 2, 3]);
        expect([...t.add_(t).data]).toEqual([2, 4, 6]);
        expect([...t.add_(t, -1).data]).toEqual([0, 0, 0]);
      });

      it("let NaN and infinity through", () => {
        const t = engine().tensor([1, Number.POSITIVE_INFINITY, Number.NaN, 0]);
        t.add_(engine().tensor([Number.NaN, Number.NEGATIVE_INFINITY, 1, 1]), 0);
        expect([...t.data]).toEqual([Number.NaN, Number.NaN, Number.NaN, 0]);
        expect([...t.fill_(Number.POSITIVE_INFINITY).data]).toEqual(Array(4).fill(Number.POSITIVE_INFINITY));
      });
    });

    describe("dispose", () => {
      it("frees at once; twice is once; any use afterwards is a StateError", async () => {
        const { used } = engine().memory;
        const t = engine().zeros([1000]);
        expect(engine().memory.used).toBe(used + 4032);
        t.dispose();
        t.dispose();
        expect(engine().memory.used).toBe(used);
        expect(t.disposed).toBe(true);
        const other = engine().zeros([1000]);
        for (const use of [
          () => t.data,
          () => t.toArray(),
          () => t.clone(),
          () => t.reshape([10, 100]),
          () => t.fill_(1),
          () => t.add_(other),
          () => other.add_(t),
          () => lg.init.zeros_(t),
          () => lg.crossEntropy(t, 1),
        ]) {
          expectRefusal(await refusal(use), lg.StateError, /tensor \[1000\] was disposed/);
        }
        expect(other.data.every((value) => value === 0)).toBe(true);
      });

      it("`using` disposes", () => {
        const { used } = engine().memory;
        {
          using t = engine().zeros([4]);
          expect(t.size).toBe(4);
        }
        expect(engine().memory.used).toBe(used);
      });
    });

    describe("matmul", () => {
      it("is the product, in every form, of every small size", () => {
        const random = new Random(3);
        for (const [m, n, k] of [
          [0, 2, 3],
          [2, 0, 3],
          [2, 3, 0],
          [1, 1, 1],
          [2, 3, 4],
          [5, 1, 7],
          [1, 9, 3],
        ]) {
          // small integers: exact in any order
          const numbers = (count: number) => random.values(count, -8, 8).map(Math.round);
          const [a, b] = [numbers(m * k), numbers(k * n)];
          const want = Array.from({ length: m * n }, (_, at) => {
            const [i, j] = [Math.floor(at / n), at % n];
            return Array.from({ length: k }, (_, p) => a[i * k + p] * b[p * n + j]).reduce((sum, v) => sum + v, 0);
          });
          const turned = (values: Float32Array, rows: number, columns: number) =>
            values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)]);
          for (const transposeA of [false, true]) {
            for (const transposeB of [false, true]) {
              const left = transposeA ? engine().tensor(turned(a, m, k), [k, m]) : engine().tensor(a, [m, k]);
              const right = transposeB ? engine().tensor(turned(b, k, n), [n, k]) : engine().tensor(b, [k, n]);
              const options = { transposeA, transposeB };
              const product = lg.matmul(left, right, options);
              expect(product.shape).toEqual([m, n]);
              expect([...product.data].map((value) => value + 0)).toEqual(want.map((value) => value + 0));
              const out = engine().zeros([m, n]).fill_(Number.NaN);
              expect(lg.matmul(left, right, { ...options, out })).toBe(out);
              expect([...out.data].map((value) => value + 0)).toEqual(want.map((value) => value + 0));
              out.fill_(1);
              lg.matmul(left, right, { ...options, out, accumulate: true });
              expect([...out.data]).toEqual(want.map((value) => value + 1));
            }
          }
        }
      });

      it("of a tensor with itself", () => {
        const t = engine().tensor([1, 2, 3, 4], [2, 2]);
        expect(lg.matmul(t, t).toArray()).toEqual([
          [7, 10],
          [15, 22],
        ]);
      });

      it("into a gradient that is only marked as zero, adding or not", () => {
        const layer = new lg.Linear(2, 2, { engine: engine() });
        const { grad } = layer.weight;
        const t = engine().tensor([1, 2, 3, 4], [2, 2]);
        for (const accumulate of [true, false]) {
          grad.fill_(9);
          layer.zeroGrad();
          lg.matmul(t, t, { out: grad, accumulate });
          expect([...grad.data]).toEqual([7, 10, 15, 22]);
        }
      });

      it("allocates nothing with out", () => {
        const [t, out] = [randomTensor(engine(), [8, 8]), engine().zeros([8, 8])];
        const { used, peak } = engine().memory;
        for (let i = 0; i < 10; i++) lg.matmul(t, t, { out });
        expect(engine().memory).toMatchObject({ used, peak });
      });
    });
  });

  it("tensor() is on the default engine, which is made anew after it was disposed", () => {
    const first = lg.defaultEngine();
    expect(lg.defaultEngine()).toBe(first);
    expect(lg.tensor([1, 2]).engine).toBe(first);
    expect(lg.tensor(Float32Array.of(1, 2, 3, 4), [2, 2]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(new lg.Linear(2, 2).engine).toBe(first);
    first.dispose();
    const second = lg.defaultEngine();
    expect(second).not.toBe(first);
    expect(lg.tensor([3]).toArray()).toEqual([3]);
  });
});

describe("Engine", () => {
  describeEngines((engine) => {
    it("counts bytes in use, at their peak, reserved and allowed", () => {
      const own = lg.createEngine({ kernels: engine().kernels, maximumMemory: 2 ** 24 });
      const { used, maximum } = own.memory;
      expect(maximum).toBe(2 ** 24);
      const t = own.zeros([2 ** 20]);
      expect(own.memory.used).toBe(used + 2 ** 22);
      t.dispose();
      expect(own.memory).toMatchObject({ used, peak: used + 2 ** 22 });
      expect(own.memory.reserved).toBeGreaterThanOrEqual(own.memory.peak);
      expect(own.memory.reserved).toBeLessThanOrEqual(maximum);
      own.dispose();
    });

    it("says what runs", async () => {
      const own = lg.createEngine({ kernels: engine().kernels, threads: 1, wide: false });
      expect(own.kernels).toBe(engine().kernels);
      expect(own.threads).toBe(1);
      expect(own.wide).toBe(false);
      expect(own.wideReason).toEqual(expect.any(String));
      await expect(own.ready).resolves.toBeUndefined();
      own.dispose();
    });

    it("warmUp changes nothing that anyone sees", () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 2 });
      const t = randomTensor(own, [100]);
      const [values, { used }] = [bits(t.data), own.memory];
      own.warmUp();
      expect(own.memory.used).toBe(used);
      expect(bits(t.data)).toEqual(values);
      const twin = lg.createEngine({ kernels: engine().kernels, seed: 2 });
      expect(bits(new lg.Linear(3, 3, { engine: own }).weight.value.data)).toEqual(
        bits(new lg.Linear(3, 3, { engine: twin }).weight.value.data),
      );
      own.dispose();
      twin.dispose();
    });

    it("refuses options that it does not know, and names those that it does", () => {
      expect(() => lg.createEngine({ kernels: engine().kernels, colour: "blue" } as lg.EngineOptions)).toThrow(
        /createEngine: got the option "colour", which is not known; the options are kernels, threads/,
      );
    });

    it("takes undefined for every option as its default", () => {
      const none = {
        kernels: undefined,
        threads: undefined,
        maximumMemory: undefined,
        wide: undefined,
        module: undefined,
      };
      const own = lg.createEngine({ ...none, seed: undefined });
      expect(own.memory.maximum).toBe(2 ** 30);
      const options = { numParameters: undefined, init: undefined, engine: own };
      expect(new lg.LinearPReLU(2, 3, options).parameters().map(({ value }) => value.shape)).toEqual([
        [3, 2],
        [3],
        [3],
      ]);
      expect(new lg.PReLU(options).slopes()).toEqual(Float32Array.of(0.25));
      own.dispose();
    });
  });

  describe("the kernel set", () => {
    it("auto is relaxed-simd where V8 takes it, and simd elsewhere", () => {
      using engine = lg.createEngine();
      expect(engine.kernels).toBe(hasRelaxedSimd ? "relaxed-simd" : "simd");
    });

    it.each(KERNEL_SETS)("%s by name is what runs, and says so itself", (kernels) => {
      using engine = lg.createEngine({ kernels });
      expect(engine.kernels).toBe(kernels);
    });

    it("relaxed-simd by name and missing is an EngineError", async () => {
      if (hasRelaxedSimd) return;
      const error = await refusal(() => lg.createEngine({ kernels: "relaxed-simd" }));
      expectRefusal(error, lg.EngineError, /kernels "relaxed-simd" are not available here/);
    });

    it("of a module compiled elsewhere is what the module is", async () => {
      const bytes = readFileSync(new URL("../build/simd.wasm", import.meta.url));
      const module = new WebAssembly.Module(bytes);
      using engine = lg.createEngine({ module });
      expect(engine.kernels).toBe("simd");
      using named = lg.createEngine({ kernels: "simd", module });
      expect(named.kernels).toBe("simd");
      if (!hasRelaxedSimd) return;
      const error = await refusal(() => lg.createEngine({ kernels: "relaxed-simd", module }));
      expectRefusal(error, lg.EngineError, /module: got "simd" kernels, expected "relaxed-simd"/);
    });
  });

  describe("where there is no SharedArrayBuffer", () => {
    afterEach(() => {
      vi.unstubAllGlobals();
    });

    it.each(["auto", "simd", "js"] as const)(
      "%s works over an ordinary memory, whose views are read again",
      (kernels) => {
        const want = train(lg.createEngine({ kernels: kernels === "js" ? "js" : "simd", seed: 1 }));
        vi.stubGlobal("SharedArrayBuffer", undefined);
        const engine = lg.createEngine({ kernels, seed: 1 });
        const kept = engine.tensor(new Random(1).values(100));
        expect(kept.data.buffer).toBeInstanceOf(ArrayBuffer);
        const values = bits(kept.data);
        if (kernels !== "auto") expect(train(engine)).toEqual(want);
        engine.zeros([2 ** 21]);
        expect(bits(kept.data)).toEqual(values);
        if (kernels !== "auto") expect(train(lg.createEngine({ kernels, seed: 1 }), 2 ** 21)).toEqual(want);
      },
    );

    /** A step of a small net before and after the memory grows by so many floats, to the bit. */
    function train(engine: lg.Engine, growth = 0): unknown {
      const net = new lg.Sequential(new lg.LinearPReLU(4, 5, { engine }), new lg.Linear(5, 2, { engine }));
      const adam = new lg.Adam(net.parameters());
      const x = [...new Random(2).values(8)];
      for (let step = 0; step < 3; step++) {
        if (growth > 0) engine.zeros([growth]);
        net.zeroGrad();
        const y = net.forward([x.slice(0, 4), x.slice(4)]);
        net.backward(lg.crossEntropy(y, [0, 1]).grad);
        adam.step();
      }
      return net.parameters().map(({ value }) => bits(value.data));
    }
  });
});
