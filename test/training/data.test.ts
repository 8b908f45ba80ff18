import { runInNewContext } from "node:vm";
import * as lg from "lanegrad";
import { describe, expect, it, vi } from "vitest";
import { RandomGenerator } from "../../src/random.js";
import { checkRows, nestedRows, VALUES_A_SLICE } from "../../src/training/rows.js";
import { readTargets } from "../../src/training/targets.js";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, refusal, stateBits, valueBits, wrong } from "../support/state.js";

const N = 6;
const X = Array.from({ length: N }, (_, i) => [i / N, 1 - i / N]);
const Y = [0, 1, 2, 0, 1, 2];
const FLAT = X.flat();

/** Its types are not in every library that TypeScript knows. */
function resizable(bytes: number): ArrayBuffer & { resize(bytes: number): void } {
  return new (ArrayBuffer as unknown as new (bytes: number, options: object) => never)(bytes, { maxByteLength: bytes });
}

function detach(array: ArrayBufferView): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
}

const throwing = (): never => {
  throw new Error("no reading here");
};

describe("the data of a training", () => {
  describeEngines((engine) => {
    const makeNet = (e = engine()) => new lg.Linear(2, 3, { engine: e });
    const options = (net: lg.Layer) => ({
      epochs: 3,
      batchSize: 2,
      shuffle: false,
      optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
    });

    describe("are read again for every batch, and checked as they are copied", () => {
      /** A data set, and what happens to it after the first batch of the second epoch. */
      type Case = readonly [what: string, make: () => readonly [lg.Dataset, () => void], RegExp];
      const CASES: readonly Case[] = [
        [
          "floats that are transferred",
          () => withX(Float32Array.from(FLAT), detach),
          /x: got a Float32Array whose buffer was detached/,
        ],
        [
          "doubles that are transferred",
          () => withX(Float64Array.from(FLAT), detach),
          /x: got a Float64Array whose buffer was detached/,
        ],
        [
          "bytes that are transferred",
          () => withX(Uint8Array.from(FLAT), detach),
          /x: got a Uint8Array whose buffer was detached/,
        ],
        [
          "bytes whose buffer shrinks",
          () => {
            const buffer = resizable(2 * N);
            return withX(new Uint8Array(buffer), () => buffer.resize(3));
          },
          /x: has 3 values and had 12/,
        ],
        [
          "bytes in a window of a buffer that shrinks",
          () => {
            const buffer = resizable(2 * N);
            return withX(new Uint8Array(buffer, 0, 2 * N), () => buffer.resize(3));
          },
          /x: got a Uint8Array whose buffer was detached .* or is too short now/,
        ],
        ["rows that are taken away", () => withX(X.slice(), (x) => x.splice(1)), /x: has 1 samples and had 6/],
        [
          "a row that is none any more",
          () => withX<unknown>(X.slice(), (x) => ((x as unknown[])[3] = undefined)),
          /x: got undefined as a value/,
        ],
        [
          "a value that becomes a string",
          () => withX(copies(), (x) => ((x[3] as unknown[])[1] = "1")),
          /x: got "1" as a value/,
        ],
        [
          "a row that gets shorter",
          () => withX(copies(), (x) => x[3].pop()),
          /x: got ragged arrays, expected \[6, 2\]/,
        ],
        ["a row that gets longer", () => withX(copies(), (x) => x[3].push(1)), /x: got ragged arrays/],
        [
          "a row for another",
          () => withX(X.slice() as unknown[], (x) => (x[3] = new Float32Array(1))),
          /x: got ragged arrays/,
        ],
        [
          "a row of floats that is transferred",
          () =>
            withX(
              X.map((row) => Float32Array.from(row)),
              (x) => detach(x[3]),
            ),
          /x: got a Float32Array whose buffer was detached/,
        ],
        ["a list that gets shorter", () => withX(FLAT.slice(), (x) => x.pop(), [2]), /x: has 11 values and had 12/],
        [
          "a list with a string",
          () => withX(FLAT.slice() as unknown[], (x) => (x[6] = "1"), [2]),
          /x: got "1" as a value/,
        ],
        [
          "labels that are transferred",
          () => withY(Int32Array.from(Y), detach),
          /y: got an Int32Array whose buffer was detached/,
        ],
        ["labels that are taken away", () => withY(Y.slice(), (y) => y.pop()), /y: has 5 labels and had 6/],
        ["a label that goes out of range", () => withY(Y.slice(), (y) => (y[3] = 3)), /y: got the label 3 at 3/],
        [
          "a label that goes out of 32 bits",
          () => withY(Y.slice(), (y) => (y[3] = 2 ** 32)),
          /y: got the label 4294967296 at 3/,
        ],
        [
          "a row of labels that gets longer",
          () =>
            withY(
              Y.map((label) => [label]),
              (y) => y[3].push(1),
            ),
          /y: got ragged arrays/,
        ],
      ];
      const copies = (): number[][] => X.map((row) => [...row]);
      function withX<T>(x: T, change: (x: T) => unknown, sampleShape?: number[]): readonly [lg.Dataset, () => void] {
        return [{ x: wrong(x), y: Y, ...(sampleShape && { sampleShape }) }, () => change(x)];
      }
      function withY<T>(y: T, change: (y: T) => unknown): readonly [lg.Dataset, () => void] {
        return [{ x: X, y: wrong(y) }, () => change(y)];
      }

      it.each(CASES)("%s", async (_, make, message) => {
        for (const part of ["train", "test"] as const) {
          const net = makeNet();
          const [data, change] = make();
          let atChange: unknown;
          const error = await refusal(() =>
            lg.fit(net, {
              train: { x: X, y: Y },
              ...options(net),
              [part]: data,
              onBatch: ({ epoch, batch }) => {
                if (epoch !== 2 || batch !== 1) return;
                change();
                atChange = valueBits(net);
              },
            }),
          );
          expect(error).toBeInstanceOf(lg.LanegradError);
          expect((error as Error).message).toMatch(message);
          expect((error as Error).message).toMatch(new RegExp(`^fit: ${part}: [xy]: `));
          // the next batch fails, and is not trained on
          if (part === "train") expect(valueBits(net)).toEqual(atChange);
          for (const { value } of net.parameters()) expect(value.data.every(Number.isFinite)).toBe(true);
          // and what is wrong from the start is refused before anything is trained
          const before = stateBits(net);
          const again = lg.fit(net, { train: { x: X, y: Y }, ...options(net), [part]: data });
          expect(await refusal(() => again)).toBeInstanceOf(lg.LanegradError);
          expect(await refusal(() => lg.evaluate(net, data))).toBeInstanceOf(lg.LanegradError);
          expect(stateBits(net)).toEqual(before);
          net.dispose();
        }
      });

      it("a tensor that is disposed", async () => {
        const net = makeNet();
        const x = engine().tensor(X);
        const call = () => lg.fit(net, { train: { x, y: Y }, ...options(net), onBatch: () => x.dispose() });
        expectRefusal(await refusal(call), lg.StateError, /tensor \[6, 2\] was disposed/);
        net.dispose();
      });

      it("what is written into x and y between batches is trained on, in every form", async () => {
        const values = new Random(1).values(2 * N);
        const targets = new Random(2).values(N);
        type Form = (values: Float32Array, width: number) => lg.Samples;
        const nestedOf: Form = (v, width) =>
          Array.from({ length: v.length / width }, (_, i) => [...v.subarray(i * width, (i + 1) * width)]);
        const forms: Form[] = [
          (v) => v.slice(),
          (v) => Float64Array.from(v),
          nestedOf,
          (v, width) => (nestedOf(v, width) as number[][]).map((row) => Float32Array.from(row)),
          (v, width) => engine().tensor(v, [v.length / width, width]),
          (v) => [...v],
        ];
        /** Doubles every value where it is. */
        const double = (data: unknown): void => {
          if (data instanceof lg.Tensor) double(data.data);
          else {
            const items = data as unknown[];
            for (let i = 0; i < items.length; i++) {
              if (typeof items[i] === "number") items[i] = 2 * (items[i] as number);
              else double(items[i]);
            }
          }
        };
        const run = async (x: lg.Samples, y: lg.Targets) => {
          const e = lg.createEngine({ kernels: engine().kernels, seed: 1 });
          const move = (data: unknown) => (data instanceof lg.Tensor ? e.tensor(data.data.slice(), data.shape) : data);
          const [own, ownY] = [move(x), move(y)] as [lg.Samples, lg.Targets];
          const net = new lg.Linear(2, 1, { engine: e });
          const history = await lg.fit(net, {
            train: { x: own, y: ownY, sampleShape: [2] },
            ...options(net),
            loss: lg.mseLoss,
            onEpoch: () => {
              double(own);
              double(ownY);
            },
          });
          const result = { losses: history.map(({ loss }) => loss), values: valueBits(net) };
          e.dispose();
          return result;
        };
        const want = await run(nestedOf(values, 2), nestedOf(targets, 1));
        expect(new Set(want.losses).size).toBe(3);
        // by hand
        const e = lg.createEngine({ kernels: engine().kernels, seed: 1 });
        const net = new lg.Linear(2, 1, { engine: e });
        const sgd = new lg.SGD(net.parameters(), { lr: 0.1 });
        for (let epoch = 0; epoch < 3; epoch++) {
          for (let start = 0; start < N; start += 2) {
            net.zeroGrad();
            const scale = (v: Float32Array) => v.map((value) => value * 2 ** epoch);
            const y = net.forward(scale(values.slice(2 * start, 2 * start + 4)));
            net.backward(lg.mseLoss(y, scale(targets.slice(start, start + 2))).grad);
            sgd.step();
          }
        }
        expect(want.values).toEqual(valueBits(net));
        e.dispose();
        for (const form of forms) {
          for (const formOfY of forms) expect(await run(form(values, 2), formOfY(targets, 1))).toEqual(want);
        }
      });

      it("a wrong value in the last row is found before anything is trained", async () => {
        const net = makeNet();
        const before = stateBits(net);
        const x = [...X.slice(1), [1, wrong("1")]];
        let batches = 0;
        for (const part of ["train", "test"] as const) {
          const call = () =>
            lg.fit(net, {
              train: { x: X, y: Y },
              ...options(net),
              [part]: { x, y: Y },
              onBatch: () => {
                batches++;
              },
            });
          expectRefusal(await refusal(call), lg.ArgumentError, new RegExp(`^fit: ${part}: x: got "1" as a value`));
        }
        expect(batches).toBe(0);
        expect(stateBits(net)).toEqual(before);
        net.dispose();
      });
    });

    it("of another realm, of subclasses and views are the numbers that they hold", async () => {
      class Odd extends Float32Array {
        static get [Symbol.species](): Float32ArrayConstructor {
          return Int8Array as unknown as Float32ArrayConstructor;
        }
        override slice = throwing;
        override subarray = throwing;
      }
      const context = { FLAT, X, Y };
      const foreign = <T>(code: string): T => runInNewContext(code, context) as T;
      const buffer = resizable(4 * 2 * N);
      new Float32Array(buffer).set(FLAT);
      const xs: lg.Samples[] = [
        Float32Array.from(FLAT),
        foreign("Float32Array.from(FLAT)"),
        foreign("Float64Array.from(FLAT)"),
        foreign("X.map((row) => [...row])"),
        foreign("X.map((row) => Float32Array.from(row))"),
        Odd.from(FLAT) as Odd,
        new Float32Array(buffer),
      ];
      const ys: lg.Targets[] = [
        Y,
        foreign("[...Y]"),
        foreign("Uint8Array.from(Y)"),
        foreign("BigInt64Array.from(Y.map(BigInt))"),
      ];
      const bytes = [foreign<Uint8Array>("Uint8Array.of(1, 2)"), Uint8ClampedArray.of(1, 2), Buffer.of(1, 2)];
      const results: unknown[] = [];
      for (const x of xs) {
        for (const y of ys) {
          const e = lg.createEngine({ kernels: engine().kernels, seed: 1 });
          const net = makeNet(e);
          await lg.fit(net, { train: { x, y }, ...options(net) });
          results.push({ values: valueBits(net), evaluated: lg.evaluate(net, { x, y }), y: bits(lg.predict(net, x)) });
          if (results.length === 1) {
            const want = lg.predict(net, Float32Array.of(1 / 255, 2 / 255));
            for (const form of bytes) expect(lg.predict(net, form)).toEqual(want);
          }
          e.dispose();
        }
      }
      // one of several samples may take another path than doubles of them
      for (const other of results) expect(other).toEqual(results[0]);
    });

    it.each<[string, object, RegExp]>([
      [
        "an unknown option",
        { learningRate: 1 },
        /fit: got the option "learningRate", which is not known; the options are train, /,
      ],
      [
        "an unknown part",
        { train: { x: X, y: Y, labels: Y } },
        /fit: train: got the option "labels".* x, y, sampleShape/,
      ],
      ["an unknown part of the test", { test: { x: X, y: Y, X } }, /fit: test: got the option "X"/],
      ["a fraction above 1", { test: 1.2 }, /fit: test: got 1\.2, expected \{ x, y \} or a fraction between 0 and 1/],
      ["an array", { train: [X, Y] }, /fit: train: got \[.*\], expected \{ x, y \}/],
      [
        "integers as x",
        { train: { x: Int32Array.from(FLAT), y: Y } },
        /x: got an Int32Array, expected a Tensor.*Float32Array\.from/,
      ],
      ["bigints as x", { train: { x: new BigInt64Array(12), y: Y } }, /x: got a BigInt64Array, expected/],
      [
        "bigints as values",
        { train: { x: X, y: new BigInt64Array(6) }, targets: "values" },
        /y: got a BigInt64Array .*targets: "labels"/,
      ],
      ["a DataView", { train: { x: new DataView(new ArrayBuffer(8)), y: Y } }, /x: got a DataView, expected/],
      [
        "a getter that throws",
        {
          train: {
            get x() {
              return throwing();
            },
            y: Y,
          },
        },
        /fit: train: options: reading it failed: no reading here/,
      ],
      [
        "an option that throws",
        {
          get test() {
            return throwing();
          },
        },
        /fit: options: reading it failed: no reading here/,
      ],
      [
        "rows that throw",
        { train: { x: new Proxy(X, { get: throwing }), y: Y } },
        /fit: train: x: reading it failed: no reading here/,
      ],
      [
        "a row that throws",
        { train: { x: [...X.slice(1), new Proxy([1, 2], { get: throwing })], y: Y } },
        /train: x: reading it failed/,
      ],
      [
        "labels that throw",
        { train: { x: X, y: new Proxy(Y, { get: throwing }) } },
        /fit: train: y: reading it failed/,
      ],
      [
        "an optimizer that throws",
        {
          optimizer: {
            get step() {
              return throwing();
            },
          },
        },
        /fit: optimizer: reading it failed/,
      ],
      [
        "a signal that throws",
        {
          signal: {
            get aborted() {
              return throwing();
            },
          },
        },
        /fit: signal: reading it failed/,
      ],
      ["allowNonFinite of words", { allowNonFinite: "yes" }, /fit: allowNonFinite: got "yes", expected true or false/],
      [
        "a shape of nothing",
        { train: { x: Float32Array.from(FLAT), y: Y, sampleShape: new Proxy([2], { get: throwing }) } },
        /sampleShape.*reading it failed/,
      ],
    ])("%s is refused and changes nothing", async (_, changes, message) => {
      const net = makeNet();
      const before = stateBits(net);
      // a spread would call getters
      const given = Object.defineProperties(
        { train: { x: X, y: Y }, ...options(net) },
        Object.getOwnPropertyDescriptors(changes),
      );
      expectRefusal(await refusal(() => lg.fit(net, given)), lg.ArgumentError, message);
      expect(stateBits(net)).toEqual(before);
      expect(net.training).toBe(true);
      net.dispose();
    });

    it("that are cyclic are refused", async () => {
      const net = makeNet();
      const loop: unknown[] = [];
      loop.push(loop, loop);
      for (const data of [
        { x: loop, y: [0, 1] },
        { x: [[loop, 1]], y: [0] },
        { x: X.slice(0, 2), y: loop },
      ]) {
        for (const targets of ["labels", "values"] as const) {
          const call = () => lg.fit(net, wrong({ train: data, ...options(net), targets, loss: lg.mseLoss }));
          expect(await refusal(call)).toBeInstanceOf(lg.LanegradError);
          expect(await refusal(() => lg.evaluate(net, wrong(data), { targets }))).toBeInstanceOf(lg.LanegradError);
        }
      }
      for (const x of [loop, [loop, 1]])
        expect(await refusal(() => lg.predict(net, wrong(x)))).toBeInstanceOf(lg.LanegradError);
      net.dispose();
    });

    describe("predict", () => {
      it("cuts by sampleShape, in batches of batchSize, without a sample depending on the others", () => {
        const e = lg.createEngine({ kernels: engine().kernels, seed: 1 });
        const net = new lg.Sequential(
          new lg.Conv2d(1, 2, 2, { engine: e }),
          new lg.BatchNorm2d(2, { engine: e }),
          new lg.Flatten({ engine: e }),
          new lg.Linear(8, 3, { engine: e }),
        );
        const bytes = Uint8Array.from({ length: 5 * 9 }, (_, i) => (i * 37) % 256);
        const floats = Float32Array.from(bytes, (byte) => byte / 255);
        const sampleShape = [1, 3, 3];
        const want = lg.predict(net, e.tensor(floats, [5, 1, 3, 3]));
        expect(want).toHaveLength(15);
        const rows = Array.from({ length: 5 }, (_, i) => floats.slice(9 * i, 9 * i + 9));
        for (const x of [bytes, floats, [...floats], rows, e.tensor(floats), e.tensor(floats, [5, 9])]) {
          for (const batchSize of [1, 2, 5, 100]) expect(lg.predict(net, x, { sampleShape, batchSize })).toEqual(want);
        }
        expect(lg.predict(net, [...floats.subarray(0, 9)], { sampleShape })).toEqual(want.slice(0, 3));
        e.dispose();
      });

      it("refuses wrong options, and shapes that do not fit", async () => {
        const net = makeNet();
        const flat = Float32Array.from(FLAT);
        const cases: [() => unknown, new (message: string) => lg.LanegradError, RegExp][] = [
          [() => lg.predict(net, flat, wrong({ shape: [2] })), lg.ArgumentError, /"shape".* sampleShape, batchSize/],
          [
            () => lg.predict(net, flat, { batchSize: 0 }),
            lg.ArgumentError,
            /batchSize: got 0, expected an integer >= 1/,
          ],
          [() => lg.predict(net, flat, { sampleShape: [0] }), lg.ArgumentError, /sampleShape: got 0/],
          [() => lg.predict(net, flat, { sampleShape: [5] }), lg.ShapeError, /multiple of 5/],
          [() => lg.predict(net, flat, { sampleShape: [3] }), lg.ShapeError, /expected \[N, 2\]/],
          [() => lg.predict(net, X, { sampleShape: [3] }), lg.ShapeError, /samples of \[2\], expected \[3\]/],
        ];
        for (const [call, type, message] of cases) expectRefusal(await refusal(call), type, message);
        detach(flat);
        expectRefusal(await refusal(() => lg.predict(net, flat)), lg.ArgumentError, /whose buffer was detached/);
        net.dispose();
        expectRefusal(await refusal(() => lg.predict(net, X)), lg.StateError, /disposed/);
      });

      it("gives a user's net tensors, and says what is wrong with its outputs", async () => {
        const outputs: ((x: lg.Tensor) => unknown)[] = [
          (x) => x,
          () => 1,
          (x) => engine().zeros([x.shape[0] === 2 ? 2 : 3, 2]),
        ];
        for (const [i, output] of outputs.entries()) {
          class Own extends lg.Layer {
            override forward(x: lg.Input): lg.Tensor {
              expect(x).toBeInstanceOf(lg.Tensor);
              return wrong(output(x as lg.Tensor));
            }
            override backwardInput(dy: lg.Input): lg.Tensor {
              return wrong(dy);
            }
          }
          const x = [
            [1, 2],
            [3, 4],
            [5, 6],
          ];
          const call = () => lg.predict(new Own(), x, { batchSize: 2 });
          if (i === 0) expect(call()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
          else if (i === 1)
            expectRefusal(await refusal(call), lg.ArgumentError, /Own: forward returned 1, expected a Tensor/);
          else
            expectRefusal(
              await refusal(call),
              lg.ShapeError,
              /forward returned \[3, 2\], expected 2 values for each of 1/,
            );
        }
      });
    });
  });

  describe("are looked at in slices", () => {
    const steps = (work: globalThis.Generator<unknown, unknown>): number => {
      let count = 0;
      while (!work.next().done) count++;
      return count;
    };

    it("of nested arrays and labels, between which the event loop may have its turns", () => {
      const row = Array.from({ length: 784 }, () => 0);
      const count = 10_000;
      const x = Array.from({ length: count }, () => row);
      expect(steps(checkRows(nestedRows(x, "x")))).toBeGreaterThanOrEqual((count * 784) / VALUES_A_SLICE);
      const many = new Uint8Array(10 * VALUES_A_SLICE);
      const labels = readTargets(many, "labels", many.length, wrong(lg.defaultEngine()), wrong(lg.crossEntropy), "y");
      expect(steps(labels.check())).toBeGreaterThanOrEqual(10);
    });

    it("and shuffled in parts, to the order of the whole", () => {
      const inOrder = () => Uint32Array.from({ length: 1000 }, (_, i) => i);
      const whole = inOrder();
      new RandomGenerator(7).shuffle(whole);
      const parts = inOrder();
      const generator = new RandomGenerator(7);
      for (let from = 999; from > 0; from -= 130) generator.shuffle(parts, from, Math.max(from - 130, 0));
      expect(parts).toEqual(whole);
      expect(whole).not.toEqual(inOrder());
    });

    it("so that a large fit gives turns before its first batch", async () => {
      const row = Array.from({ length: 784 }, () => 0);
      const x = Array.from({ length: 30_000 }, () => row);
      using engine = lg.createEngine({ kernels: "js" });
      const net = new lg.Linear(784, 1, { engine });
      let turns = 0;
      let running = true;
      const tick = (): void => {
        turns++;
        if (running) setImmediate(tick);
      };
      setImmediate(tick);
      let before = 0;
      await lg.fit(net, {
        train: { x, y: new Uint8Array(30_000) },
        epochs: 1,
        batchSize: 1,
        optimizer: { step: () => {} },
        onBatch: () => {
          before = turns;
          return false;
        },
      });
      running = false;
      // 23 million values, for which no machine needs less than 16 ms
      expect(before).toBeGreaterThanOrEqual(1);
    });

    it.each<[string, string[]]>([
      ["setImmediate", []],
      ["a MessageChannel", ["setImmediate"]],
      ["setTimeout", ["setImmediate", "MessageChannel"]],
    ])("with turns that are made of %s", async (_, missing) => {
      for (const name of missing) vi.stubGlobal(name, undefined);
      vi.resetModules();
      const { now, Turns } = await import("../../src/training/turns.js").finally(() => vi.unstubAllGlobals());
      let after = 0;
      const turns = new Turns(() => {
        after++;
      });
      // due long before the turn, which no microtask is
      let rings = 0;
      const timer = setInterval(() => {
        rings++;
      });
      for (let i = 0; i < 20 && rings === 0; i++) {
        for (const end = now() + 10; now() < end; );
        const turn = turns.take();
        expect(turn).toBeInstanceOf(Promise);
        await turn;
        expect(after).toBe(i + 1);
      }
      clearInterval(timer);
      expect(rings).toBeGreaterThan(0);
    });

    it("with the turns that the host had from the start, whatever a test fakes later", async () => {
      vi.useFakeTimers({ toFake: ["setImmediate", "setTimeout", "setInterval", "performance", "Date"] });
      try {
        using engine = lg.createEngine({ kernels: "js" });
        const net = makeSmall(engine);
        const clock = process.hrtime.bigint;
        const history = await lg.fit(net, {
          train: { x: X, y: Y },
          epochs: 3,
          batchSize: 2,
          optimizer: { step: () => {} },
          onBatch: () => {
            const end = clock() + 10_000_000n;
            while (clock() < end);
          },
        });
        expect(history).toHaveLength(3);
        expect(history[0].seconds).toBeGreaterThan(0.02);
      } finally {
        vi.useRealTimers();
      }
    });
  });
});

const makeSmall = (engine: lg.Engine): lg.Linear => new lg.Linear(2, 3, { engine });
