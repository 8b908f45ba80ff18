import assert from "node:assert";
import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import * as lg from "lanegrad";
import { describe, expect, it, test, vi } from "vitest";
import { describeEngines } from "./support/engines.js";
import { bits, expectRefusal, randomTensor, refusal, wrong } from "./support/state.js";

/** A value of another realm, as Jest and node:vm have them. */
const foreign = <T>(code: string): T => runInNewContext(code) as T;

/** An array that reads as `first`, and from then on as `later`. */
function turncoat(first: readonly unknown[], later: readonly unknown[]): never {
  const reads = new Map<PropertyKey, number>();
  return new Proxy([...first], {
    get(target, key) {
      const read = reads.get(key) ?? 0;
      reads.set(key, read + 1);
      return Reflect.get(read === 0 ? target : later, key);
    },
  }) as never;
}

/** Says that it is longer than it is. */
class Liar extends Float32Array {
  // @ts-expect-error: an accessor of the prototype, which some versions of the library declare as a property
  get length(): number {
    return 100;
  }
}

/** Whose own methods make something else. */
class Odd extends Float32Array {
  static get [Symbol.species](): Float32ArrayConstructor {
    return Int8Array as unknown as Float32ArrayConstructor;
  }
  override slice(): never {
    throw new Error("slice was asked for");
  }
  override subarray(): never {
    throw new Error("subarray was asked for");
  }
  override [Symbol.iterator](): never {
    throw new Error("an iterator was asked for");
  }
}

/** Its types are not in every library that TypeScript knows. */
function resizable<T>(Buffer: new (bytes: number) => T, bytes: number, maxByteLength: number): T {
  return new (Buffer as unknown as new (bytes: number, options: object) => T)(bytes, { maxByteLength });
}

const throwing = (): never => {
  throw new Error("no reading here");
};

/** A typed array whose buffer went to another thread. */
function detached<T extends ArrayBufferView>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

function nestedDeep(depth: number): unknown {
  let deep: unknown = 1;
  for (let i = 0; i < depth; i++) deep = [deep];
  return deep;
}

function cyclic(): unknown[] {
  const loop: unknown[] = [1];
  loop[0] = loop;
  return loop;
}

describe("values from outside", () => {
  describeEngines((engine) => {
    const linear = () => new lg.Linear(4, 3, { engine: engine() });
    const sample = [0.5, -1, 2, 3];
    const forms: [string, (values: number[]) => lg.Input][] = [
      ["a Float64Array", (values) => Float64Array.from(values)],
      ["an array of Float32Arrays", (values) => [Float32Array.from(values)]],
      ["an array of Float64Arrays", (values) => [Float64Array.from(values)]],
      ["a Float32Array of another realm", (values) => foreign<Float32Array>(`new Float32Array([${values}])`)],
      ["arrays of another realm", (values) => foreign<number[][]>(`[[${values}]]`)],
      ["a subclass with another species", (values) => Odd.from(values)],
      ["a subclass that lies about its length", (values) => new Liar(values)],
      [
        "a view over a resizable buffer",
        (values) => {
          const buffer = resizable(ArrayBuffer, values.length * 4, 1024);
          const view = new Float32Array(buffer);
          view.set(values);
          return view;
        },
      ],
      [
        "a view over a growable shared buffer",
        (values) => {
          const buffer = resizable(SharedArrayBuffer, values.length * 4, 1024);
          const view = new Float32Array(buffer);
          view.set(values);
          return view;
        },
      ],
      ["a view in the middle of a buffer", (values) => new Float32Array([7, ...values, 7]).subarray(1, 5)],
    ];

    it.each(forms)("x and dy as %s", (_, form) => {
      const layer = linear();
      const want = layer.forward([sample]).clone();
      expect(layer.forward(form(sample))).toEqual(want);
      const dx = layer.backward([[1, 2, 3]]).clone();
      const dy = form([1, 2, 3, 4]);
      // of the same form, one value shorter
      const short = Array.isArray(dy) ? [(dy[0] as number[]).slice(0, 3)] : form([1, 2, 3]);
      if (dy instanceof Float32Array && dy.byteOffset > 0) return;
      expect(layer.backwardInput(short as lg.Input)).toEqual(dx);
    });

    it.each(forms)("tensor() and targets as %s", (_, form) => {
      const flat = form(sample);
      const size = Array.isArray(flat) ? [1, 4] : [4];
      const made = engine().tensor(flat as lg.TensorData);
      expect(made.shape).toEqual(size);
      expect([...made.data]).toEqual(sample);
      const y = engine().tensor([[1, 2, 3, 4]]);
      const want = lg.mseLoss(y, [sample]).loss;
      expect(lg.mseLoss(y, form(sample) as lg.Target).loss).toBe(want);
    });

    it("mseLoss takes a flat number[] for any shape of as many values", () => {
      const y = engine().tensor([[1], [2]]);
      expect(lg.mseLoss(y, [0, 0]).loss).toBe(2.5);
      expect(() => lg.mseLoss(y, [0, 0, 0])).toThrow(/got a target of shape \[3\], expected \[2, 1\]/);
    });

    it("labels that read differently the second time are used as they were checked", () => {
      const logits = randomTensor(engine(), [3, 4]);
      const want = lg.crossEntropy(logits.clone(), [1, 2, 3]);
      const got = lg.crossEntropy(logits, turncoat([1, 2, 3], [1, 1e9, 3]));
      expect(got.loss).toBe(want.loss);
      expect(got.grad).toEqual(want.grad);
      expect(() => lg.crossEntropy(logits, turncoat([1, 99, 3], [1, 2, 3]))).toThrow(/the label 99 at 1/);
    });

    it("arrays that read differently the second time: x, dy, targets, tensor", () => {
      const layer = linear();
      const want = layer.forward([1, 2, 3, 4]).clone();
      expect(layer.forward(turncoat([1, 2, 3, 4], ["a", "b", "c", "d"]))).toEqual(want);
      expect(
        engine()
          .tensor(turncoat([1, 2], [{}, {}]))
          .toArray(),
      ).toEqual([1, 2]);
      expect(lg.mseLoss(engine().tensor([1, 2]), turncoat([0, 0], [Number.NaN, 5])).loss).toBe(2.5);
    });

    it("labels that lie about their length or have another realm", () => {
      const logits = randomTensor(engine(), [3, 4]);
      const want = lg.crossEntropy(logits, [1, 2, 3]).loss;
      expect(lg.crossEntropy(logits, new Liar([1, 2, 3])).loss).toBe(want);
      for (const kind of [
        "Int8",
        "Uint8",
        "Uint8Clamped",
        "Int16",
        "Uint16",
        "Int32",
        "Uint32",
        "Float32",
        "Float64",
      ]) {
        const labels = foreign<Int32Array>(`new ${kind}Array([1, 2, 3])`);
        expect(lg.crossEntropy(logits, labels).loss).toBe(want);
      }
      expect(lg.crossEntropy(logits, foreign<BigInt64Array>("new BigInt64Array([1n, 2n, 3n])")).loss).toBe(want);
    });

    it("labels are in range before they are converted", () => {
      const logits = randomTensor(engine(), [1, 4]);
      for (const label of [4, 2 ** 32, 2 ** 32 + 1, 1e300, -1, 1.5, Number.NaN, Infinity, "1", null, undefined, {}]) {
        expect(() => lg.crossEntropy(logits, [label] as never)).toThrow(lg.ArgumentError);
      }
      for (const label of [4n, 2n ** 32n + 1n, 2n ** 53n + 1n, -1n]) {
        expect(() => lg.crossEntropy(logits, BigInt64Array.of(label))).toThrow(lg.ArgumentError);
      }
      expect(() => lg.crossEntropy(logits, [[0, 1, 0, 0]] as never)).toThrow(/one-hot row.*argmax/);
      expect(() => lg.crossEntropy(logits, [0, 1, 0, 0])).toThrow(/got 4 labels, expected 1; of one-hot rows/);
      expect(() => lg.crossEntropy(logits, [0.5])).toThrow(/mseLoss/);
    });

    it.each<[string, () => unknown]>([
      ["x", () => linear().forward(detached(new Float32Array(4)))],
      ["doubles", () => linear().forward(detached(new Float64Array(4)))],
      ["a row", () => linear().forward([detached(new Float32Array(4))])],
      ["data", () => engine().tensor(detached(new Float32Array(4)))],
      ["labels", () => lg.crossEntropy(engine().tensor([[1, 2]]), detached(new Int32Array(1)))],
      ["a target", () => lg.mseLoss(engine().tensor([1]), detached(new Float32Array(1)))],
      ["what softmax gets", () => lg.softmax(detached(new Float32Array(1)))],
    ])("a detached buffer as %s", async (_, call) => {
      expectRefusal(await refusal(call), lg.ArgumentError, /whose buffer was detached/);
    });

    it("a view that its resizable buffer no longer holds", () => {
      const buffer = resizable(ArrayBuffer, 32, 64);
      const view = new Float32Array(buffer, 16, 4);
      (buffer as unknown as { resize(bytes: number): void }).resize(16);
      expect(() => linear().forward(view)).toThrow(/detached .* or is too short now/);
    });

    it.each<[string, () => unknown]>([
      ["forward", () => linear().forward(nestedDeep(10_000) as never)],
      ["tensor", () => engine().tensor(nestedDeep(33) as never)],
      ["a cyclic x", () => linear().forward(cyclic() as never)],
      ["a cyclic tensor", () => engine().tensor(cyclic() as never)],
      ["a cyclic target", () => lg.mseLoss(engine().tensor([1]), cyclic() as never)],
    ])("arrays that are too deep: %s", async (_, call) => {
      expectRefusal(await refusal(call), lg.ShapeError, /nested deeper than 32 axes/);
    });

    it.each<[string, () => unknown, new (message: string) => lg.LanegradError, RegExp]>([
      ["a row of another length", () => linear().forward([sample, [1, 2]]), lg.ShapeError, /ragged/],
      ["a longer Float32Array", () => linear().forward([sample, new Float32Array(5)]), lg.ShapeError, /ragged/],
      ["a number among rows", () => linear().forward([sample, 3]), lg.ShapeError, /ragged/],
      ["a row among numbers", () => linear().forward([1, sample, 3, 4]), lg.ShapeError, /ragged/],
      ["a typed row among numbers", () => linear().forward([1, new Float32Array(3)]), lg.ShapeError, /ragged/],
      ["bigints", () => linear().forward(wrong([1n, 2n, 3n, 4n])), lg.ArgumentError, /got 1n as a value/],
      ["bigint targets", () => lg.mseLoss(engine().tensor([1]), wrong([1n])), lg.ArgumentError, /got 1n as a value/],
      ["bytes as rows", () => linear().forward(wrong([new Uint8Array(4)])), lg.ArgumentError, /got a Uint8Array as/],
      ["holes", () => linear().forward(new Array(4)), lg.ArgumentError, /got undefined as a value/],
      ["a huge sparse array", () => linear().forward(new Array(2 ** 32 - 1)), lg.ArgumentError, /got undefined/],
      ["what only has a length", () => linear().forward(wrong({ length: 2 ** 32 })), lg.ArgumentError, /an object/],
      [
        "labels with a length",
        () => lg.crossEntropy(engine().tensor([[1]]), wrong({ length: 2 ** 32 })),
        lg.ArgumentError,
        /as labels/,
      ],
      [
        "an array that cannot be read",
        () => linear().forward(new Proxy([1], { get: throwing })),
        lg.ArgumentError,
        /reading it failed: no reading here/,
      ],
      [
        "a revoked proxy",
        () => {
          const { proxy, revoke } = Proxy.revocable([1], {});
          revoke();
          return linear().forward(proxy);
        },
        lg.ArgumentError,
        /./,
      ],
      [
        "an array of a length that is none",
        () => linear().forward(new Proxy([1], { get: (_, key) => (key === "length" ? -1 : 1) })),
        lg.ArgumentError,
        /length -1/,
      ],
      ["a shape of nothing and everything", () => engine().zeros([2 ** 30, 0]), lg.ShapeError, /beside an axis of 0/],
      ["a shape of too many axes", () => engine().zeros(new Array(33).fill(1)), lg.ShapeError, /at most 32/],
      ["a cyclic shape", () => engine().zeros(wrong(cyclic())), lg.ShapeError, /integers >= 0/],
      [
        "a shape that cannot be read",
        () => engine().zeros(new Proxy([1], { get: throwing })),
        lg.ArgumentError,
        /reading it failed/,
      ],
      [
        "options that cannot be read",
        () =>
          new lg.Linear(1, 1, {
            get bias() {
              return throwing();
            },
          }),
        lg.ArgumentError,
        /Linear: options: reading it failed: no reading here/,
      ],
      [
        "cyclic options",
        () => lg.crossEntropy(engine().tensor([[1]]), [0], wrong({ reduction: cyclic() })),
        lg.ArgumentError,
        /reduction: got \[\[an array of 1\]\]/,
      ],
      ["an array as options", () => new lg.Linear(1, 1, wrong([])), lg.ArgumentError, /expected an object of options/],
    ])("%s", async (_, call, type, message) => {
      expectRefusal(await refusal(call), type, message);
    });

    it("a message that fails is short, whatever it is about", async () => {
      const long = "x".repeat(1e4);
      const calls = [
        () => new lg.Linear(wrong(long), 1),
        () => new lg.Linear(1, 1, wrong({ [long]: 1 })),
        () => lg.crossEntropy(engine().tensor([[1]]), [0], wrong({ reduction: long })),
        () => lg.crossEntropy(engine().tensor([[1]]), wrong([10n ** 5000n])),
        () =>
          linear().loadStateDict(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${long}${i}`, wrong(1)]))),
      ];
      for (const call of calls) {
        const error = (await refusal(call)) as Error;
        expect(error).toBeInstanceOf(lg.LanegradError);
        expect(error.message.length).toBeLessThan(2500);
      }
    });

    describe("another thread writes labels while they are used", () => {
      it("no other tensor changes, and a loss is that of labels in range", async () => {
        const labels = new Int32Array(new SharedArrayBuffer(64 * 4));
        const writer = new Worker(
          `const { workerData } = require("node:worker_threads");
           let seed = 1;
           require("node:worker_threads").parentPort.postMessage("ready");
           const end = Date.now() + 400;
           while (Date.now() < end) for (let i = 0; i < 1000; i++) {
             seed = Math.imul(seed, 1664525) + 1013904223 | 0;
             workerData[i & 63] = (seed & 4096) ? 1 << 20 : (seed >>> 8) & 3;
           }`,
          { eval: true, workerData: labels },
        );
        const logits = randomTensor(engine(), [64, 4]);
        const witness = engine().zeros([1 << 18]);
        await new Promise((resolve) => writer.once("message", resolve));
        let taken = 0;
        const largest = Math.max(...logits.data) - Math.min(...logits.data) + Math.log(4);
        for (const end = Date.now() + 250; Date.now() < end; ) {
          try {
            expect(lg.crossEntropy(logits, labels).loss).toBeLessThanOrEqual(largest);
            taken++;
          } catch (error) {
            expect(error).toBeInstanceOf(lg.ArgumentError);
          }
        }
        await writer.terminate();
        expect(witness.data.every((value) => value === 0)).toBe(true);
        expect(taken).toBeGreaterThanOrEqual(0);
        witness.dispose();
      });
    });
  });
});

describe("tensors read as what they hold", () => {
  describeEngines((engine) => {
    it("are equal by shape and values", () => {
      const other = lg.createEngine({ kernels: engine().kernels });
      const a = engine().tensor([
        [1, 2],
        [3, 4],
      ]);
      const same = other.tensor([
        [1, 2],
        [3, 4],
      ]);
      const different = other.tensor([
        [1, 2],
        [3, 5],
      ]);
      const reshaped = other.tensor([[1, 2, 3, 4]]);
      expect(a).toEqual(same);
      expect(a).toStrictEqual(same);
      assert.deepStrictEqual(a, same);
      for (const unlike of [different, reshaped]) {
        expect(a).not.toEqual(unlike);
        assert.notDeepStrictEqual(a, unlike);
      }
      const layer = new lg.Linear(2, 2, { engine: engine() });
      const before = layer.weight.value.clone();
      expect(layer.weight.value).toEqual(before);
      layer.weight.value.data[0] += 1;
      expect(layer.weight.value).not.toEqual(before);
      // zeros that are only marked as such
      layer.zeroGrad();
      expect(layer.weight.grad).toEqual(other.zeros([2, 2]));
      const gone = engine().tensor([1]);
      gone.dispose();
      expect(gone).not.toBe(a);
      other.dispose();
    });

    it("print shape and values, shortened as numpy does", () => {
      const print = (t: lg.Tensor): string => {
        expect(inspect(t)).toBe(String(t));
        return String(t);
      };
      expect(print(engine().tensor(5))).toBe("Tensor []\n5");
      expect(print(engine().tensor([1, -2.5, 0.1, -0]))).toBe("Tensor [4]\n[   1, -2.5,  0.1,   -0]");
      expect(
        print(
          engine().tensor([
            [1, 2],
            [3, NaN],
          ]),
        ),
      ).toBe("Tensor [2, 2]\n[[  1,   2],\n [  3, NaN]]");
      expect(print(engine().zeros([2, 0]))).toBe("Tensor [2, 0]\n[]");
      const cube = print(
        engine().tensor([
          [[1], [2]],
          [[3], [4]],
        ]),
      );
      expect(cube).toBe("Tensor [2, 2, 1]\n[[[1],\n  [2]],\n\n [[3],\n  [4]]]");
      const long = print(engine().tensor(Float32Array.from({ length: 2000 }, (_, i) => i)));
      expect(long).toBe("Tensor [2000]\n[   0,    1,    2, ..., 1997, 1998, 1999]");
      expect(print(engine().zeros([100, 100])).length).toBeLessThan(300);
      const gone = engine().tensor([1]);
      gone.dispose();
      expect(print(gone)).toBe("Tensor [1] (disposed)");
    });

    it("go to JSON as arrays", () => {
      const t = engine().tensor([
        [1, 2],
        [3, 4],
      ]);
      expect(JSON.stringify({ t })).toBe('{"t":[[1,2],[3,4]]}');
    });

    it("nets print what they are", () => {
      const net = new lg.Sequential(new lg.Linear(4, 2, { engine: engine() }), new lg.ReLU({ engine: engine() }));
      expect(String(net)).toBe("Sequential(Linear(4, 2), ReLU())");
      expect(inspect(net)).toBe(String(net));
    });

    it("a state that structuredClone made loads", () => {
      const make = () =>
        new lg.Sequential(new lg.Linear(4, 2, { engine: engine() }), new lg.BatchNorm1d(2, { engine: engine() }));
      const [from, to] = [make(), make()];
      from.forward([sampleRow(1), sampleRow(2)]);
      to.loadStateDict(structuredClone(from.stateDict()));
      expect(to.stateDict()).toEqual(from.stateDict());
      const lame = { ...structuredClone(from.stateDict()), "0.bias": { shape: [2], data: new Float32Array(3) } };
      expect(() => to.loadStateDict(lame as never)).toThrow(
        /0\.bias is an object \(Object\), whose shape and data do not fit/,
      );
    });

    it("softmax and argmax over the last axis", () => {
      const rows = engine().tensor([
        [1, 2, 3],
        [1000, 1000, -1000],
      ]);
      const soft = lg.softmax(rows);
      expect(soft).toBeInstanceOf(Float32Array);
      const e = [1, 2, 3].map(Math.exp);
      const sum = e[0] + e[1] + e[2];
      for (let i = 0; i < 3; i++) expect(soft[i]).toBeCloseTo(e[i] / sum, 6);
      expect([...soft.subarray(3)]).toEqual([0.5, 0.5, 0]);
      expect(lg.softmax(new Float32Array([0, 0]))).toEqual(Float32Array.of(0.5, 0.5));
      expect(lg.argmax(rows)).toEqual([2, 0]);
      expect(lg.argmax(new Float32Array([1, 5, 5]))).toBe(1);
      expect(lg.argmax(engine().tensor([1, NaN, 7]))).toBe(1);
      expect(() => lg.argmax(new Float32Array(0))).toThrow(lg.ShapeError);
      expect(() => lg.softmax([1, 2] as never)).toThrow(/softmax: got \[1, 2\], expected a Tensor or a Float32Array/);
      expect(lg.softmax(engine().zeros([2, 0])).length).toBe(0);
    });

    it("parameters are properties of their layer", () => {
      const options = { engine: engine() };
      const named = (layer: lg.Layer) =>
        Object.fromEntries(
          layer.parameters().map(({ name }) => [name, (layer as never as Record<string, lg.Parameter>)[name]]),
        );
      for (const layer of [
        new lg.Linear(3, 2, options),
        new lg.LinearPReLU(3, 2, options),
        new lg.LinearELU(3, 2, options),
        new lg.PReLU({ numParameters: 2, ...options }),
        new lg.Conv2d(1, 2, 3, options),
        new lg.BatchNorm1d(2, options),
        new lg.BatchNorm2d(2, options),
      ]) {
        expect(Object.values(named(layer))).toEqual(layer.parameters());
        for (const { name, value } of layer.parameters()) expect(named(layer)[name].value).toBe(value);
      }
      expect(new lg.LinearPReLU(3, 2, { bias: false, ...options }).bias).toBeUndefined();
    });
  });
});

const sampleRow = (seed: number): number[] => Array.from({ length: 4 }, (_, i) => Math.sin(seed * 7 + i));

test("values of another copy of the library are said to be of one", async () => {
  vi.resetModules();
  const other = await import("lanegrad");
  expect(other.Tensor).not.toBe(lg.Tensor);
  const layer = new other.Linear(2, 2);
  const calls: [string, () => unknown][] = [
    ["Linear", () => new lg.Sequential(layer as never)],
    ["Linear", () => new lg.Sequential({ a: layer as never })],
    ["Linear", () => lg.predict(layer as never, [1, 2])],
    ["Tensor", () => new lg.Linear(2, 2).forward(layer.weight.value as never)],
    ["Tensor", () => lg.matmul(layer.weight.value as never, layer.weight.value as never)],
    ["Engine", () => new lg.Linear(2, 2, { engine: other.defaultEngine() as never })],
  ];
  for (const [kind, call] of calls) {
    expectRefusal(await refusal(call), lg.ArgumentError, new RegExp(`got an? ${kind} of another copy of lanegrad`));
  }
  expect(bits(layer.weight.value.data)).toBeDefined();
});
