import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { eventLoopTurn } from "../support/garbage.js";
import { Random } from "../support/random.js";
import { bits, expectRefusal, nested, randomTensor, refusal, stateBits, valueBits } from "../support/state.js";

const SAMPLES = 22;
const CLASSES = 3;

/** Points in four dimensions whose largest of the first three coordinates is their class. */
function points(count = SAMPLES, seed = 1): { rows: number[][]; labels: Int32Array } {
  const random = new Random(seed);
  const rows = Array.from({ length: count }, () => [...random.values(4)]);
  const labels = Int32Array.from(rows, ([a, b, c]) => (a > b && a > c ? 0 : b > c ? 1 : 2));
  return { rows, labels };
}

const { rows: X, labels: Y } = points();

/** One layer whose output is its input, and which has nothing to train: what goes in can be read off. */
class Echo extends lg.Layer {
  override forward(x: lg.Input): lg.Tensor {
    return x as lg.Tensor;
  }
  override backwardInput(dy: lg.Input): lg.Tensor {
    return dy as lg.Tensor;
  }
}

const noOptimizer = { step: () => {} };

/** Keeps the thread busy, as a large batch does, so that what waits for a turn of the event loop is due. */
function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Counts the turns that the event loop gets. */
function countTurns(): { turns: number; stop(): void } {
  let running = true;
  const counter = {
    turns: 0,
    stop: () => {
      running = false;
    },
  };
  const tick = (): void => {
    counter.turns++;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  return counter;
}

describe("training", () => {
  describeEngines((engine) => {
    const makeNet = (own = lg.createEngine({ kernels: engine().kernels, seed: 3 })) =>
      new lg.Sequential(
        new lg.Linear(4, 6, { engine: own }),
        new lg.PReLU({ numParameters: 6, engine: own }),
        new lg.LinearPReLU(6, CLASSES, { engine: own }),
      );

    describe("fit", () => {
      it("is the loop that one writes by hand, bit for bit", async () => {
        const net = makeNet();
        const history = await lg.fit(net, {
          train: { x: X, y: Y },
          epochs: 4,
          batchSize: 5,
          optimizer: new lg.Adam(net.parameters(), { lr: 0.01 }),
          shuffle: false,
        });

        const byHand = makeNet();
        const adam = new lg.Adam(byHand.parameters(), { lr: 0.01 });
        const losses = [1, 2, 3, 4].map(() => {
          let sum = 0;
          for (let start = 0; start < SAMPLES; start += 5) {
            const rows = X.slice(start, start + 5);
            byHand.zeroGrad();
            const { loss, grad } = lg.crossEntropy(byHand.forward(rows), Y.subarray(start, start + 5));
            byHand.backward(grad);
            adam.step();
            sum += loss * rows.length;
          }
          return sum / SAMPLES;
        });
        expect(valueBits(net)).toEqual(valueBits(byHand));
        expect(history.map(({ loss }) => loss)).toEqual(losses);
      });

      it("learns, and says so", async () => {
        const net = makeNet();
        const { rows, labels } = points(300, 2);
        const test = points(100, 3);
        const history = await lg.fit(net, {
          train: { x: rows, y: labels },
          test: { x: test.rows, y: test.labels },
          epochs: 12,
          batchSize: 16,
          optimizer: new lg.Adam(net.parameters(), { lr: 0.02 }),
        });
        expect(history.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
        const last = history.at(-1)!;
        expect(last.loss).toBeLessThan(history[0].loss);
        expect(last.accuracy).toBeGreaterThan(0.85);
        expect(lg.evaluate(net, { x: test.rows, y: test.labels })).toEqual({
          loss: last.testLoss,
          accuracy: last.accuracy,
        });
        for (const { seconds } of history) expect(seconds).toBeGreaterThanOrEqual(0);
      });

      it("calls back in order, with what it knows, and waits for promises", async () => {
        const net = makeNet();
        const events: string[] = [];
        const history = await lg.fit(net, {
          train: { x: X, y: Y },
          test: { x: X, y: Y },
          epochs: 2,
          batchSize: 8,
          optimizer: {
            step: () => {
              events.push("step");
            },
          },
          onBatch: async ({ epoch, batch, batches, size, loss }) => {
            events.push(`batch ${epoch}.${batch}/${batches} of ${size}`);
            expect(loss).toBeGreaterThan(0);
            await eventLoopTurn();
            events.push("batch done");
          },
          onEpoch: async (record) => {
            events.push(`epoch ${record.epoch}`);
            expect(record.testLoss).toBeGreaterThan(0);
            await eventLoopTurn();
            events.push("epoch done");
          },
        });
        const epoch = (e: number): string[] => [
          ...[8, 8, 6].flatMap((size, i) => ["step", `batch ${e}.${i + 1}/3 of ${size}`, "batch done"]),
          `epoch ${e}`,
          "epoch done",
        ];
        expect(events).toEqual([...epoch(1), ...epoch(2)]);
        expect(history).toHaveLength(2);
      });

      it("onEpoch gets the records of the history", async () => {
        const net = makeNet();
        const records: lg.EpochRecord[] = [];
        const history = await lg.fit(net, {
          train: { x: X, y: Y },
          epochs: 2,
          batchSize: 100,
          optimizer: noOptimizer,
          onEpoch: (record) => {
            records.push(record);
          },
        });
        expect(records).toEqual(history);
        expect(Object.keys(history[0]).sort()).toEqual(["epoch", "loss", "seconds"]);
      });

      it("an epoch's loss is the mean over its samples, the short batch by its size", async () => {
        const net = new Echo();
        const x = engine().tensor([[1], [2], [3], [4], [5]]);
        const [{ loss }] = await lg.fit(net, {
          train: { x, y: [0, 0, 0, 0, 0] },
          epochs: 1,
          batchSize: 2,
          optimizer: noOptimizer,
          shuffle: false,
          loss: (output) => ({ loss: output.data.reduce((a, b) => a + b, 0) / output.size, grad: output }),
        });
        expect(loss).toBe(3);
      });

      it.each<[string, (values: Float32Array) => lg.Samples, (values: Float32Array) => number[][]]>([
        ["nested arrays", (v) => [[...v.subarray(0, 4)], [...v.subarray(4)]], (v) => [[...v]]],
        ["a Float32Array", (v) => v, (v) => [[...v]]],
        ["a tensor", (v) => lg.defaultEngine().tensor(v, [2, 4]), (v) => [[...v]]],
      ])("x as %s", async (_, form, want) => {
        const values = new Random(4).values(8);
        const own = lg.createEngine({ kernels: engine().kernels });
        const seen: number[][] = [];
        class Seen extends lg.Linear {
          override forward(x: lg.Input): lg.Tensor {
            seen.push([...(x as lg.Tensor).data]);
            return super.forward(x);
          }
        }
        const x = form(values);
        const net = new Seen(4, 2, { engine: x instanceof lg.Tensor ? x.engine : own });
        await lg.fit(net, { train: { x, y: [0, 1] }, epochs: 1, batchSize: 2, optimizer: noOptimizer, shuffle: false });
        expect(seen).toEqual(want(values));
        net.dispose();
        own.dispose();
      });

      it("bytes become 0..1, in the shape of a sample", async () => {
        const net = new Echo();
        const seen: lg.Tensor[] = [];
        const x = Uint8Array.of(0, 1, 51, 128, 254, 255, 255, 0);
        await lg.fit(net, {
          train: { x, y: [0, 0], sampleShape: [2, 2] },
          epochs: 1,
          batchSize: 2,
          optimizer: noOptimizer,
          shuffle: false,
          loss: (output) => {
            seen.push(output.clone());
            return { loss: 0, grad: output };
          },
        });
        expect(seen[0].shape).toEqual([2, 2, 2]);
        expect([...seen[0].data]).toEqual([...x].map((byte) => Math.fround(byte / 255)));
      });

      it("labels in any integer array", async () => {
        const fitted: unknown[] = [];
        for (const y of [Y, [...Y], Uint8Array.from(Y), Int8Array.from(Y), Uint32Array.from(Y)]) {
          const net = makeNet();
          const [{ accuracy }] = await lg.fit(net, {
            train: { x: X, y },
            test: { x: X, y },
            epochs: 1,
            batchSize: 4,
            optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
          });
          fitted.push({ accuracy, values: valueBits(net) });
        }
        for (const other of fitted.slice(1)) expect(other).toEqual(fitted[0]);
      });

      it("targets of any shape with a loss of one's own: regression", async () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 5 });
        const { rows } = points(200, 6);
        const y = rows.map(([a, b]) => [a + 2 * b, a - b + 0.5]);
        const net = new lg.Linear(4, 2, { engine: own });
        const squares = (output: lg.Tensor, target: lg.Tensor): lg.LossResult => {
          expect(target).toBeInstanceOf(lg.Tensor);
          expect(target.shape).toEqual(output.shape);
          const grad = output.clone().add_(target, -1);
          const loss = grad.data.reduce((sum, value) => sum + value * value, 0) / output.shape[0];
          grad.add_(grad, 2 / output.shape[0] - 1);
          return { loss, grad };
        };
        const history = await lg.fit(net, {
          train: { x: rows, y },
          test: { x: rows, y },
          epochs: 60,
          batchSize: 20,
          optimizer: new lg.SGD(net.parameters(), { lr: 0.2 }),
          loss: squares,
        });
        expect(history.at(-1)!.testLoss).toBeLessThan(1e-6);
        expect(history.at(-1)).not.toHaveProperty("accuracy");
        expect(net.weight.value.data[0]).toBeCloseTo(1, 3);
        own.dispose();
      });

      it.each<[string, lg.Targets, number[]]>([
        ["nested", [[0.5], [1], [2]], [1]],
        ["a Float32Array, shared out evenly", Float32Array.of(1, 2, 3, 4, 5, 6), [2]],
        ["a flat list with fractions", [0.5, 1, 2], [1]],
        ["images", [[[1, 2]], [[3, 4]], [[5, 6]]], [1, 2]],
      ])("targets %s", async (_, y, shape) => {
        const shapes: (readonly number[])[] = [];
        await lg.fit(new Echo(), {
          train: { x: engine().zeros([3, 2]), y },
          epochs: 1,
          batchSize: 2,
          optimizer: noOptimizer,
          loss: (output, target: lg.Tensor) => {
            shapes.push(target.shape);
            return { loss: 0, grad: output };
          },
        });
        expect(shapes).toEqual([
          [2, ...shape],
          [1, ...shape],
        ]);
      });

      it("flat x is cut by the Linear layer that a net begins with, however deep that is", async () => {
        const own = lg.createEngine({ kernels: engine().kernels });
        const options = { engine: own };
        const x = new Random(1).values(8);
        const nets = [
          new lg.Linear(4, CLASSES, options),
          new lg.LinearPReLU(4, CLASSES, options),
          new lg.LinearELU(4, CLASSES, options),
        ];
        for (const first of nets) {
          const net = new lg.Sequential(new lg.Sequential(new lg.Sequential(first)), new lg.ReLU(options));
          for (const form of [x, Float64Array.from(x)]) {
            const train = { x: form, y: [0, 1] };
            expect(await lg.fit(net, { train, epochs: 1, batchSize: 2, optimizer: noOptimizer })).toHaveLength(1);
            expect(lg.evaluate(net, train).accuracy).toBeGreaterThanOrEqual(0);
            expect(lg.predict(net, form)).toHaveLength(2 * CLASSES);
          }
        }
        own.dispose();
      });

      it("flat x is refused where something else comes first, a user's layer included, unless sampleShape cuts it", async () => {
        const own = lg.createEngine({ kernels: engine().kernels });
        const options = { engine: own };
        /** Counts ids: a document of 32 of them becomes a row of 16. */
        class Count extends Echo {
          override forward(x: lg.Input): lg.Tensor {
            const { shape, data } = x as lg.Tensor;
            const rows = Array.from({ length: shape[0] }, () => new Array<number>(16).fill(0));
            data.forEach((id, i) => {
              rows[Math.floor(i / shape[1])][id] += 1;
            });
            return own.tensor(rows);
          }
        }
        const ids = Float32Array.from({ length: 64 }, (_, i) => i % 16);
        const after = () => new lg.Linear(16, 3, options);
        for (const first of [
          new Count(),
          new lg.ReLU(options),
          new lg.Dropout(0.5, options),
          new lg.Flatten(options),
        ]) {
          const net = new lg.Sequential(first, after());
          for (const x of [ids, Float64Array.from(ids), Uint8Array.from(ids)]) {
            for (const call of [
              () => lg.predict(net, x),
              () => lg.evaluate(net, { x, y: [0, 1] }),
              () => lg.fit(net, { train: { x, y: [0, 1] }, epochs: 1, batchSize: 2, optimizer: noOptimizer }),
            ]) {
              expectRefusal(await refusal(call), lg.ShapeError, /sampleShape, or engine\.tensor\(data, shape\)/);
            }
          }
        }
        const net = new lg.Sequential(new Count(), after());
        const want = lg.predict(net, own.tensor(ids, [2, 32]));
        expect(want).toHaveLength(6);
        const sampleShape = [32];
        for (const x of [ids, Float64Array.from(ids), [...ids], own.tensor(ids), own.tensor(ids, [4, 16])]) {
          if (x instanceof lg.Tensor && x.shape.length === 2) {
            expectRefusal(await refusal(() => lg.predict(net, x, { sampleShape })), lg.ShapeError, /samples of \[16\]/);
          } else {
            expect(lg.predict(net, x, { sampleShape })).toEqual(want);
            const train = { x, y: [0, 1], sampleShape };
            expect(await lg.fit(net, { train, epochs: 1, batchSize: 2, optimizer: noOptimizer })).toHaveLength(1);
          }
        }
        own.dispose();
      });

      it("allocates nothing from the second epoch on, and leaves its batches' memory free", async () => {
        const net = makeNet();
        const { engine: own } = net;
        const optimizer = new lg.SGD(net.parameters(), { lr: 0.1 });
        const run = (onEpoch?: () => void) =>
          lg.fit(net, { train: { x: X, y: Y }, test: { x: X, y: Y }, epochs: 5, batchSize: 11, optimizer, onEpoch });
        await run();
        const { used } = own.memory;
        const inside: number[] = [];
        await run(() => {
          inside.push(own.memory.used);
        });
        expect(new Set(inside).size).toBe(1);
        expect(own.memory.used).toBe(used);
      });

      describe("mode", () => {
        it.each([true, false])("trains in training mode and restores training = %s, layer by layer", async (mode) => {
          const net = makeNet();
          if (!mode) net.eval();
          net.layers[2].training = !mode;
          const modes: boolean[] = [];
          await lg.fit(net, {
            train: { x: X, y: Y },
            test: { x: X, y: Y },
            epochs: 2,
            batchSize: 11,
            optimizer: noOptimizer,
            loss: (output, target) => {
              modes.push(net.training);
              return lg.crossEntropy(output, target);
            },
          });
          const epoch = [true, true, false];
          expect(modes).toEqual([...epoch, ...epoch]);
          expect([net, ...net.layers].map(({ training }) => training)).toEqual([mode, mode, mode, !mode]);
        });

        it("restores it where the loss throws", async () => {
          const net = makeNet().eval();
          const failure = new Error("no");
          const error = await refusal(() =>
            lg.fit(net, {
              train: { x: X, y: Y },
              epochs: 1,
              batchSize: 4,
              optimizer: noOptimizer,
              loss: () => {
                throw failure;
              },
            }),
          );
          expect(error).toBe(failure);
          expect(net.training).toBe(false);
          // and the net may be fitted again
          await lg.fit(net, { train: { x: X, y: Y }, epochs: 1, batchSize: 4, optimizer: noOptimizer });
        });
      });

      describe("signal", () => {
        const options = (net: lg.Layer) => ({
          train: { x: X, y: Y },
          epochs: 3,
          batchSize: 5,
          optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
        });

        it("aborted already: rejects with its reason and touches nothing", async () => {
          const net = makeNet();
          const before = stateBits(net);
          const reason = new Error("enough");
          const error = await refusal(() => lg.fit(net, { ...options(net), signal: AbortSignal.abort(reason) }));
          expect(error).toBe(reason);
          expect(stateBits(net)).toEqual(before);
        });

        it("without a reason is an AbortError, as everywhere in Node", async () => {
          const net = makeNet();
          const error = await refusal(() => lg.fit(net, { ...options(net), signal: AbortSignal.abort() }));
          expect(error).toMatchObject({ name: "AbortError" });
        });

        it("rejects after the current batch, whose step is done", async () => {
          const net = makeNet();
          const controller = new AbortController();
          const batches: number[] = [];
          const error = await refusal(() =>
            lg.fit(net, {
              ...options(net),
              shuffle: false,
              signal: controller.signal,
              onBatch: ({ batch }) => {
                batches.push(batch);
                if (batch === 2) controller.abort("stop");
              },
            }),
          );
          expect(error).toBe("stop");
          expect(batches).toEqual([1, 2]);
          const twoSteps = makeNet();
          const sgd = new lg.SGD(twoSteps.parameters(), { lr: 0.1 });
          for (const start of [0, 5]) {
            twoSteps.zeroGrad();
            const logits = twoSteps.forward(X.slice(start, start + 5));
            twoSteps.backwardParams(lg.crossEntropy(logits, Y.subarray(start, start + 5)).grad);
            sgd.step();
          }
          expect(valueBits(net)).toEqual(valueBits(twoSteps));
        });

        it("rejects at the last batch and in onEpoch too", async () => {
          for (const at of ["onBatch", "onEpoch"] as const) {
            const controller = new AbortController();
            const net = makeNet();
            const error = await refusal(() =>
              lg.fit(net, {
                ...options(net),
                epochs: 1,
                batchSize: SAMPLES,
                signal: controller.signal,
                [at]: () => controller.abort(at),
              }),
            );
            expect(error).toBe(at);
          }
        });

        it("from outside, by a timer, is heard between batches", async () => {
          const net = makeNet();
          const controller = new AbortController();
          setTimeout(() => controller.abort("late"), 0);
          let batches = 0;
          const error = await refusal(() =>
            lg.fit(net, {
              ...options(net),
              epochs: 1_000_000,
              signal: controller.signal,
              onBatch: () => {
                batches++;
                busy(1);
              },
            }),
          );
          expect(error).toBe("late");
          expect(batches).toBeLessThan(1000);
        });

        it("leaves the net usable", async () => {
          const net = makeNet();
          await refusal(() => lg.fit(net, { ...options(net), signal: AbortSignal.abort() }));
          expect(await lg.fit(net, options(net))).toHaveLength(3);
        });
      });

      it("a second fit on the same net is a StateError that disturbs nothing; afterwards it is fine", async () => {
        const net = makeNet();
        const alone = makeNet();
        const options = (of: lg.Layer) => ({
          train: { x: X, y: Y },
          epochs: 3,
          batchSize: 5,
          seed: 1,
          optimizer: new lg.SGD(of.parameters(), { lr: 0.1 }),
        });
        const want = await lg.fit(alone, options(alone));
        let second: unknown;
        const first = lg.fit(net, {
          ...options(net),
          onBatch: async ({ epoch, batch }) => {
            if (epoch === 2 && batch === 2) second = await refusal(() => lg.fit(net, options(net)));
          },
        });
        expectRefusal(await refusal(() => lg.fit(net, options(net))), lg.StateError, /is being fitted already/);
        const history = await first;
        expectRefusal(second, lg.StateError, /is being fitted already/);
        expect(history.map(({ loss }) => loss)).toEqual(want.map(({ loss }) => loss));
        expect(valueBits(net)).toEqual(valueBits(alone));
        await lg.fit(net, options(net));
      });

      it("two nets may be fitted at the same time, each as if alone", async () => {
        const run = (net: lg.Layer, seed: number) =>
          lg.fit(net, {
            train: { x: X, y: Y },
            epochs: 3,
            batchSize: 5,
            seed,
            optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
            onBatch: () => eventLoopTurn(),
          });
        const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
        const [a, b] = [makeNet(own), makeNet(own)];
        const initial = [a, b].map((net) => net.parameters().map(({ value }) => value.data.slice()));
        await Promise.all([run(a, 1), run(b, 2)]);
        const together = [a, b].map(valueBits);
        for (const [i, net] of [a, b].entries()) {
          net.parameters().forEach(({ value }, p) => {
            value.data.set(initial[i][p]);
          });
          await run(net, i + 1);
        }
        expect([a, b].map(valueBits)).toEqual(together);
        own.dispose();
      });

      describe("gives the event loop its turns", () => {
        it("between batches", async () => {
          const counter = countTurns();
          const seen: number[] = [];
          await lg.fit(makeNet(), {
            train: { x: X, y: Y },
            epochs: 2,
            batchSize: 5,
            optimizer: noOptimizer,
            onBatch: () => {
              seen.push(counter.turns);
              busy(10);
            },
          });
          counter.stop();
          // every batch takes 10 ms, so that there is a turn after each
          for (let i = 1; i < seen.length; i++) expect(seen[i]).toBeGreaterThan(seen[i - 1]);
        });

        it("while it tests", async () => {
          const counter = countTurns();
          const seen: number[] = [];
          const { rows, labels } = points(1500);
          const net = makeNet();
          await lg.fit(net, {
            train: { x: X, y: Y },
            test: { x: rows, y: labels },
            epochs: 1,
            batchSize: SAMPLES,
            optimizer: noOptimizer,
            loss: (output, target) => {
              if (!net.training) {
                seen.push(counter.turns);
                busy(10);
              }
              return lg.crossEntropy(output, target);
            },
          });
          counter.stop();
          expect(seen.length).toBeGreaterThan(2);
          for (let i = 1; i < seen.length; i++) expect(seen[i]).toBeGreaterThan(seen[i - 1]);
        });
      });

      it("predict and evaluate between its turns change nothing", async () => {
        const run = async (disturb: boolean) => {
          const net = makeNet();
          const history = await lg.fit(net, {
            train: { x: X, y: Y },
            epochs: 3,
            batchSize: 5,
            seed: 2,
            optimizer: new lg.Adam(net.parameters()),
            onBatch: async () => {
              if (!disturb) return;
              await eventLoopTurn();
              lg.predict(net, X.slice(0, 3));
              lg.evaluate(net, { x: X, y: Y }, { batchSize: 7 });
              expect(net.training).toBe(true);
            },
          });
          return { losses: history.map(({ loss }) => loss), values: valueBits(net) };
        };
        expect(await run(true)).toEqual(await run(false));
      });

      describe("refuses before anything is trained", () => {
        const CASES: [string, object, new (message: string) => lg.LanegradError, RegExp][] = [
          [
            "a label out of range, wherever it is",
            { train: { x: X, y: Y.map((label, i) => (i === SAMPLES - 1 ? CLASSES : label)) } },
            lg.ArgumentError,
            /label 3/,
          ],
          [
            "a negative label, wherever it is",
            { train: { x: X, y: Y.map((label, i) => (i === SAMPLES - 1 ? -1 : label)) } },
            lg.ArgumentError,
            /label -1/,
          ],
          ["samples of another width", { train: { x: [[1, 2, 3]], y: [0] } }, lg.ShapeError, /expected \[N, 4\]/],
          ["test samples of another width", { test: { x: [[1, 2, 3]], y: [0] } }, lg.ShapeError, /expected \[N, 4\]/],
          [
            "a test label out of range",
            { test: { x: X, y: Y.map((label, i) => (i === 3 ? 7 : label)) } },
            lg.ArgumentError,
            /label 7/,
          ],
          [
            "a loss that returns nothing",
            { loss: () => undefined },
            lg.ArgumentError,
            /loss.*got undefined, expected.*\{ loss, grad \}/,
          ],
          [
            "a loss that returns a number alone",
            { loss: () => 1 },
            lg.ArgumentError,
            /loss.*got 1, expected.*\{ loss, grad \}/,
          ],
          [
            "a loss with a gradient of another shape",
            { loss: (output: lg.Tensor) => ({ loss: 1, grad: output.reshape([output.size]) }) },
            lg.ShapeError,
            /expected \[5, 3\]/,
          ],
        ];

        it.each(CASES)("%s", async (_, changes, type, message) => {
          const net = makeNet();
          const before = valueBits(net);
          const error = await refusal(() =>
            lg.fit(net, {
              train: { x: X, y: Y },
              epochs: 1,
              batchSize: 5,
              shuffle: false,
              optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
              ...changes,
            }),
          );
          expectRefusal(error, type, message);
          expect(valueBits(net)).toEqual(before);
          expect(net.training).toBe(true);
        });
      });

      it("rejects, never throws", async () => {
        const promise = lg.fit(undefined as never, undefined as never);
        expect(promise).toBeInstanceOf(Promise);
        await expect(promise).rejects.toBeInstanceOf(lg.ArgumentError);
      });

      it("rejects with what a callback throws", async () => {
        const failure = new Error("callback");
        for (const name of ["onBatch", "onEpoch"]) {
          for (const callback of [
            () => {
              throw failure;
            },
            () => Promise.reject(failure),
          ]) {
            const net = makeNet();
            const error = await refusal(() =>
              lg.fit(net, {
                train: { x: X, y: Y },
                epochs: 1,
                batchSize: 5,
                optimizer: noOptimizer,
                [name]: callback,
              }),
            );
            expect(error).toBe(failure);
          }
        }
      });
    });

    describe("images", () => {
      const SIDE = 6;
      const PIXELS = SIDE * SIDE;

      /** Planes of noise with one quarter bright: which, is the class. */
      function quarters(count: number, seed: number): { bytes: Uint8Array; labels: Uint8Array } {
        const random = new Random(seed);
        const labels = Uint8Array.from({ length: count }, () => random.integer(0, 3));
        const bytes = Uint8Array.from({ length: count * PIXELS }, (_, i) => {
          const [row, column] = [Math.floor((i % PIXELS) / SIDE), i % SIDE];
          const quarter = (row < SIDE / 2 ? 0 : 2) + (column < SIDE / 2 ? 0 : 1);
          return random.integer(0, 120) + (quarter === labels[Math.floor(i / PIXELS)] ? 100 : 0);
        });
        return { bytes, labels };
      }

      const makeCnn = (own = lg.createEngine({ kernels: engine().kernels, seed: 8 })) =>
        new lg.Sequential(
          new lg.Conv2d(1, 4, 3, { padding: 1, engine: own }),
          new lg.BatchNorm2d(4, { engine: own }),
          new lg.PReLU({ numParameters: 4, engine: own }),
          new lg.MaxPool2d(2, { engine: own }),
          new lg.Flatten({ engine: own }),
          new lg.Dropout(0.2, { engine: own }),
          new lg.Linear(PIXELS, 4, { engine: own }),
        );
      const sampleShape = [1, SIDE, SIDE];
      const { bytes, labels } = quarters(22, 1);
      const floats = Float32Array.from(bytes, (byte) => byte / 255);
      const fitOnce = (net: lg.Sequential, train: lg.Dataset) =>
        lg.fit(net, {
          train,
          epochs: 2,
          batchSize: 5,
          optimizer: new lg.Adam(net.parameters(), { lr: 0.01 }),
          shuffle: false,
          // without one it is a draw, and Dropout's masks come after it
          seed: 1,
        });

      it("bytes with a sampleShape: the loop that one writes by hand, bit for bit, running statistics included", async () => {
        const net = makeCnn();
        const history = await fitOnce(net, { x: bytes, y: labels, sampleShape });
        const byHand = makeCnn();
        const adam = new lg.Adam(byHand.parameters(), { lr: 0.01 });
        const losses = [1, 2].map(() => {
          let sum = 0;
          for (let start = 0; start < 22; start += 5) {
            const size = Math.min(5, 22 - start);
            const values = floats.slice(start * PIXELS, (start + size) * PIXELS);
            using x = byHand.engine.tensor(values, [size, ...sampleShape]);
            byHand.zeroGrad();
            const { loss, grad } = lg.crossEntropy(byHand.forward(x), labels.subarray(start, start + size));
            byHand.backwardParams(grad);
            adam.step();
            sum += loss * size;
          }
          return sum / 22;
        });
        expect(lg.save(net)).toEqual(lg.save(byHand));
        expect(history.map(({ loss }) => loss)).toEqual(losses);
      });

      it("every form of the images gives the same bits", async () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 8 });
        const tensor = own.tensor(floats, [22, ...sampleShape]);
        const files: Uint8Array[] = [];
        for (const x of [bytes, floats, nested(tensor)]) {
          const net = makeCnn();
          await fitOnce(net, { x, y: labels, sampleShape });
          files.push(lg.save(net));
        }
        const net = makeCnn(own);
        await fitOnce(net, { x: tensor, y: labels });
        for (const file of files) expect(file).toEqual(lg.save(net));
        // and so do their outputs and losses
        const y = lg.predict(net, tensor);
        expect(y).toHaveLength(22 * 4);
        expect(lg.predict(net, nested(tensor))).toEqual(y);
        const result = lg.evaluate(net, { x: tensor, y: labels });
        for (const x of [bytes, floats]) expect(lg.evaluate(net, { x, y: labels, sampleShape })).toEqual(result);
        own.dispose();
      });

      it("learns, and tests by the running statistics", async () => {
        const net = makeCnn();
        const [train, test] = [quarters(300, 2), quarters(100, 3)];
        const history = await lg.fit(net, {
          train: { x: train.bytes, y: train.labels, sampleShape },
          test: { x: test.bytes, y: test.labels, sampleShape },
          epochs: 6,
          batchSize: 20,
          optimizer: new lg.Adam(net.parameters(), { lr: 0.02 }),
        });
        expect(history.at(-1)!.accuracy).toBeGreaterThan(0.9);
        const before = stateBits(net);
        const options = [{ batchSize: 100 }, { batchSize: 1 }, { batchSize: 7 }];
        const accuracies = options.map((o) => lg.evaluate(net, { x: test.bytes, y: test.labels, sampleShape }, o));
        // no sample depends on those beside it
        expect(new Set(accuracies.map(({ accuracy }) => accuracy)).size).toBe(1);
        expect(accuracies[0].accuracy).toBe(history.at(-1)!.accuracy);
        expect(stateBits(net)).toEqual(before);
      });

      it("flat images without a sampleShape are refused by what misses it", async () => {
        const own = lg.createEngine({ kernels: engine().kernels });
        const bare = new lg.Sequential(new lg.Conv2d(1, 4, 6, { engine: own }), new lg.Flatten({ engine: own }));
        const options = { epochs: 1, batchSize: 5, optimizer: noOptimizer };
        for (const x of [bytes, floats]) {
          const before = stateBits(bare);
          for (const call of [
            () => lg.fit(bare, { ...options, train: { x, y: labels } }),
            () => lg.evaluate(bare, { x, y: labels }),
          ]) {
            expectRefusal(await refusal(call), lg.ShapeError, /sampleShape/);
          }
          expectRefusal(await refusal(() => lg.predict(bare, x)), lg.ShapeError, /engine\.tensor\(data, shape\)/);
          // a sample that is no multiple of what there is
          const train = { x, y: labels, sampleShape: [1, 5, 5] };
          expectRefusal(await refusal(() => lg.fit(bare, { ...options, train })), lg.ShapeError, /multiple of 25/);
          expect(stateBits(bare)).toEqual(before);
          // [n] of the first Linear layer is no image
          const wholeNet = makeCnn(own);
          const untouched = stateBits(wholeNet);
          const error = await refusal(() => lg.fit(wholeNet, { ...options, train: { x, y: labels } }));
          expectRefusal(error, lg.ShapeError, /^fit: train: x is a flat array .*: expected sampleShape/);
          expect(stateBits(wholeNet)).toEqual(untouched);
          wholeNet.dispose();
        }
        own.dispose();
      });

      const makeNormed = (own = lg.createEngine({ kernels: engine().kernels, seed: 2 })) =>
        new lg.Sequential(
          new lg.Linear(4, 5, { engine: own }),
          new lg.BatchNorm1d(5, { engine: own }),
          new lg.Linear(5, CLASSES, { engine: own }),
        );

      it("a last short batch that would leave BatchNorm1d one value a channel is refused before anything is trained", async () => {
        const net = makeNormed();
        net.layers[0].eval();
        // 22 = 3 · 7 + 1
        const options = { train: { x: X, y: Y }, epochs: 2, batchSize: 7, shuffle: false };
        const error = await refusal(() =>
          lg.fit(net, { ...options, optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }) }),
        );
        expectRefusal(
          error,
          lg.ShapeError,
          /^fit: the last batch has 1 of 22 samples: BatchNorm1d\(5\): forward got \[1, 5\], expected at least two/,
        );
        // before anything is trained
        expect(valueBits(net)).toEqual(valueBits(makeNormed()));
        expect(net.layers.map(({ training }) => training)).toEqual([false, true, true]);
      });

      it("a label or a target that does not fit is refused before a running statistic moves", async () => {
        const net = makeNormed();
        const before = stateBits(net);
        const options = { epochs: 1, batchSize: 11, optimizer: noOptimizer };
        const wrongLabel = lg.fit(net, { ...options, train: { x: X, y: Y.map(() => CLASSES) } });
        expectRefusal(await refusal(() => wrongLabel), lg.ArgumentError, /^fit: train: y: /);
        const wrongTargets = lg.fit(net, {
          ...options,
          train: { x: X, y: new Float32Array(2 * Y.length) },
          loss: lg.mseLoss,
        });
        expectRefusal(await refusal(() => wrongTargets), lg.ShapeError, /^fit: train: y: got targets of \[2\]/);
        const wrongTest = lg.fit(net, { ...options, train: { x: X, y: Y }, test: { x: X, y: Y.map(() => -1) } });
        expectRefusal(await refusal(() => wrongTest), lg.ArgumentError, /^fit: test: y: /);
        expect(stateBits(net)).toEqual(before);
      });

      it("a test of one sample is fine for BatchNorm1d, since it is in eval mode", async () => {
        const net = makeNormed();
        const history = await lg.fit(net, {
          train: { x: X, y: Y },
          test: { x: X.slice(0, 1), y: Y.slice(0, 1) },
          epochs: 1,
          batchSize: 11,
          optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
        });
        expect(lg.evaluate(net, { x: X.slice(0, 1), y: Y.slice(0, 1) }).loss).toBe(history[0].testLoss);
      });
    });

    describe("evaluate", () => {
      it("is the mean over all samples, whatever the batch", () => {
        const net = makeNet();
        const { loss, accuracy } = lg.evaluate(net, { x: X, y: Y });
        const whole = lg.crossEntropy(net.forward(X), Y).loss;
        expect(Math.abs(loss - whole)).toBeLessThan(1e-6);
        const logits = nested(net.forward(X)) as number[][];
        const correct = logits.filter((row, i) => row.indexOf(Math.max(...row)) === Y[i]).length;
        expect(accuracy).toBe(correct / SAMPLES);
        for (const batchSize of [1, 3, 7, SAMPLES, 1000]) {
          const other = lg.evaluate(net, { x: X, y: Y }, { batchSize });
          expect(Math.abs(other.loss - whole)).toBeLessThan(1e-6);
          expect(other.accuracy).toBe(accuracy);
        }
      });

      it("runs in eval mode and restores each layer's own", () => {
        const net = makeNet();
        net.layers[1].eval();
        const modes: boolean[] = [];
        lg.evaluate(
          net,
          { x: X, y: Y },
          {
            loss: (output, labels) => {
              modes.push(net.training, ...net.layers.map(({ training }) => training));
              return lg.crossEntropy(output, labels);
            },
          },
        );
        expect(modes).toEqual([false, false, false, false]);
        expect([net, ...net.layers].map(({ training }) => training)).toEqual([true, true, false, true]);
      });

      it("restores the mode where it throws", async () => {
        const net = makeNet();
        const error = await refusal(() => lg.evaluate(net, { x: X, y: Y.map(() => 17) }));
        expectRefusal(error, lg.ArgumentError, /label 17/);
        expect(net.training).toBe(true);
        expect(net.layers.every(({ training }) => training)).toBe(true);
      });

      it("changes no parameter, gradient or memory in use", () => {
        const net = makeNet();
        net.backward(net.forward(X));
        lg.evaluate(net, { x: X, y: Y });
        net.forward(X);
        const before = stateBits(net);
        const { used } = net.engine.memory;
        lg.evaluate(net, { x: X, y: Y });
        expect(stateBits(net)).toEqual(before);
        expect(net.engine.memory.used).toBe(used);
      });

      it("accuracy is for labels only", () => {
        const loss = (output: lg.Tensor): lg.LossResult => ({ loss: 2, grad: output });
        const result = lg.evaluate(makeNet(), { x: X, y: X.map(() => [0.5]) }, { loss });
        expect(result).toEqual({ loss: 2, accuracy: Number.NaN });
      });

      it.each<[string, number[][], number[], number]>([
        ["the largest wins", [[1, 3, 2]], [1], 1],
        ["the first of equals", [[2, 2, 1]], [0], 1],
        ["not the second of equals", [[2, 2, 1]], [1], 0],
        ["negative values", [[-3, -1, -2]], [1], 1],
        ["infinities", [[Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY]], [2], 1],
        ["a NaN is the largest, as PyTorch's argmax has it", [[1, Number.NaN, 3]], [1], 1],
        [
          "a share",
          [
            [1, 0],
            [1, 0],
            [0, 1],
            [0, 1],
          ],
          [0, 1, 1, 1],
          0.75,
        ],
      ])("accuracy: %s", (_, outputs, labels, accuracy) => {
        const x = engine().tensor(outputs);
        const loss = (output: lg.Tensor): lg.LossResult => ({ loss: 0, grad: output });
        expect(lg.evaluate(new Echo(), { x, y: labels }, { loss, targets: "labels" }).accuracy).toBe(accuracy);
      });
    });

    describe("predict", () => {
      it("takes every form of x and gives the same outputs, copied out", () => {
        const net = makeNet();
        const want = net.forward(X).data.slice();
        const flat = Float32Array.from(X.flat());
        const tensor = net.engine.tensor(X);
        for (const x of [X, flat, tensor]) {
          const got = lg.predict(net, x);
          expect(bits(got)).toEqual(bits(want));
          expect(got.buffer).toBeInstanceOf(ArrayBuffer);
        }
        const kept = lg.predict(net, X);
        lg.predict(net, points(SAMPLES, 9).rows);
        expect(bits(kept)).toEqual(bits(want));
      });

      it("one sample: a flat list or a tensor [n]", () => {
        const net = makeNet();
        const want = bits(net.forward([X[3]]).data);
        expect(bits(lg.predict(net, X[3]))).toEqual(want);
        expect(bits(lg.predict(net, net.engine.tensor(X[3])))).toEqual(want);
        expect(bits(lg.predict(net, [X[3]]))).toEqual(want);
      });

      it("bytes become 0..1", () => {
        const net = makeNet();
        const bytes = Uint8Array.of(0, 1, 2, 255, 128, 64, 32, 16);
        const want = lg.predict(
          net,
          Float32Array.from(bytes, (byte) => byte / 255),
        );
        expect(bits(lg.predict(net, bytes))).toEqual(bits(want));
        expect(bits(lg.predict(net, Buffer.from(bytes)))).toEqual(bits(want));
      });

      it("more samples than a batch, in their order", () => {
        const net = makeNet();
        const { rows } = points(700, 5);
        const all = lg.predict(net, rows);
        expect(all).toHaveLength(700 * CLASSES);
        for (const i of [0, 255, 256, 511, 512, 699]) {
          const one = lg.predict(net, rows[i]);
          // one sample may take another path through the product
          one.forEach((value, j) => {
            expect(Math.abs(all[i * CLASSES + j] - value)).toBeLessThan(1e-5);
          });
        }
      });

      it("no samples give no outputs", () => {
        const net = makeNet();
        for (const x of [[], new Float32Array(0), new Uint8Array(0), net.engine.zeros([0, 4])]) {
          expect(lg.predict(net, x)).toEqual(new Float32Array(0));
        }
      });

      it("runs in eval mode and restores each layer's own, also where it throws", async () => {
        const net = makeNet();
        net.layers[0].eval();
        const modes = () => [net, ...net.layers].map(({ training }) => training);
        const before = modes();
        lg.predict(net, X);
        expect(modes()).toEqual(before);
        expectRefusal(await refusal(() => lg.predict(net, [[1, 2, 3]])), lg.ShapeError, /expected \[N, 4\]/);
        expect(modes()).toEqual(before);
      });

      it("ends the remembered forward and leaves gradients and memory in use alone", async () => {
        const net = makeNet();
        const dy = randomTensor(net.engine, [SAMPLES, CLASSES]);
        net.forward(X);
        net.backward(dy);
        lg.predict(net, X);
        const before = stateBits(net);
        const { used } = net.engine.memory;
        lg.predict(net, X);
        expect(stateBits(net)).toEqual(before);
        expect(net.engine.memory.used).toBe(used);
        expectRefusal(await refusal(() => net.backward(dy)), lg.StateError, /forward/);
      });
    });
  });
});
