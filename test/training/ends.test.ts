import * as lg from "lanegrad";
import { describe, expect, it, vi } from "vitest";
import { describeEngines } from "../support/engines.js";
import { eventLoopTurn } from "../support/garbage.js";
import { bits, expectRefusal, refusal, stateBits, valueBits, wrong } from "../support/state.js";

const N = 6;
const X = Array.from({ length: N }, (_, i) => [i / N, 1 - i / N]);
const Y = [0, 1, 2, 0, 1, 2];

type Carrier = { history: lg.EpochRecord[] };

/** An AbortSignal of another realm, as jsdom's is. */
class ForeignSignal extends EventTarget {
  aborted = false;
  reason: unknown;
  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}

describe("how a training ends", () => {
  describeEngines((engine) => {
    const own = () => lg.createEngine({ kernels: engine().kernels, seed: 1 });
    const makeNet = (e = own()) =>
      new lg.Sequential(
        new lg.Linear(2, 4, { engine: e }),
        new lg.BatchNorm1d(4, { engine: e }),
        new lg.ReLU({ engine: e }),
        new lg.Linear(4, 3, { engine: e }),
      );
    const options = (net: lg.Layer) => ({
      train: { x: X, y: Y } as lg.Dataset,
      epochs: 3,
      batchSize: 2,
      shuffle: false,
      optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
    });

    describe("at a loss that is not finite", () => {
      /** The net before the batch that fails, whatever was in it. */
      async function diverge(changes: (net: lg.Sequential) => Partial<lg.FitOptions>) {
        const net = makeNet();
        // gradients that are there already
        net.backward(lg.crossEntropy(net.forward(X), Y).grad);
        const given = changes(net);
        let before = stateBits(net);
        const error = await refusal(() =>
          lg.fit(net, {
            ...options(net),
            ...given,
            onBatch: async (info) => {
              await given.onBatch?.(info);
              before = stateBits(net);
            },
          }),
        );
        expect(stateBits(net)).toEqual(before);
        expect(net.training).toBe(true);
        return error as lg.StateError & Carrier;
      }

      it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%s in x", async (value) => {
        const x = X.map((row) => [...row]);
        const error = await diverge(() => ({
          train: { x, y: X.map(() => [0, 0, 0]) },
          loss: (output, target) => ({ ...lg.mseLoss(output, target), loss: output.data.reduce((a, b) => a + b) }),
          onBatch: ({ epoch, batch }) => {
            if (epoch === 2 && batch === 1) x[3][1] = value;
          },
        }));
        expectRefusal(
          error,
          lg.StateError,
          /^fit: epoch 2, batch 2 of 3: the loss is .*: x of sample 3; .*allowNonFinite/,
        );
        expect(error.history).toHaveLength(1);
        expect(error.history[0]).toMatchObject({ epoch: 1, lr: 0.1 });
      });

      it("in x, which a shuffled order is looked up for", async () => {
        const x = X.map((row, i) => (i === 4 ? [Number.NaN, 0] : row));
        const error = await diverge(() => ({ train: { x, y: Y }, shuffle: true, seed: 5 }));
        expectRefusal(error, lg.StateError, /epoch 1, batch \d of 3: .*x of sample 4;/);
        expect(error.history).toEqual([]);
      });

      it("in y", async () => {
        const y = X.map((_, i) => [0, i === 5 ? Number.NaN : 1, 0]);
        const error = await diverge(() => ({ train: { x: X, y }, loss: lg.mseLoss }));
        expectRefusal(error, lg.StateError, /epoch 1, batch 3 of 3: the loss is NaN.* y of sample 5;/);
      });

      it("in the weights, by name", async () => {
        const error = await diverge((net) => ({
          onBatch: ({ epoch, batch }) => {
            if (epoch === 1 && batch === 2) net.parameters()[4].value.data[7] = Number.NEGATIVE_INFINITY;
          },
        }));
        expectRefusal(
          error,
          lg.StateError,
          /batch 3 of 3: the loss is NaN.*weights: 3\.weight \[3, 4\] has -Infinity at 7/,
        );
      });

      it("in a training that diverges", async () => {
        const e = own();
        const net = new lg.Linear(1, 1, { engine: e });
        const optimizer = new lg.SGD(net.parameters(), { lr: 0.3 });
        const x = Array.from({ length: 8 }, (_, i) => [100 * i]);
        const y = x.map(([value]) => 3 * value);
        let last = valueBits(net);
        const train = { x, y };
        const onBatch = () => {
          last = valueBits(net);
        };
        const error = await refusal(() =>
          lg.fit(net, { train, epochs: 1000, batchSize: 8, optimizer, loss: lg.mseLoss, onBatch }),
        );
        expectRefusal(error, lg.StateError, /^fit: epoch \d+, batch 1 of 1: the loss is (Infinity|NaN)/);
        const { history } = error as Carrier & Error;
        expect(history.length).toBeGreaterThan(0);
        expect(history.every(({ loss }) => Number.isFinite(loss))).toBe(true);
        expect(valueBits(net)).toEqual(last);
        const [{ loss }, ...rest] = await lg.fit(net, {
          train,
          epochs: 3,
          batchSize: 8,
          optimizer,
          loss: lg.mseLoss,
          allowNonFinite: true,
        });
        expect(loss).not.toSatisfy(Number.isFinite);
        expect(rest).toHaveLength(2);
        e.dispose();
      });

      it("only there", async () => {
        const error = await diverge(() => ({ loss: (output) => ({ loss: Number.NaN, grad: output }) }));
        expectRefusal(error, lg.StateError, /the loss is NaN, and only the loss: data and weights are finite;/);
        const overflow = await diverge((net) => {
          net.parameters()[4].value.data.fill(3e38);
          return {};
        });
        expectRefusal(
          overflow,
          lg.StateError,
          /only the loss: data and weights are finite, but the net's outputs are not;/,
        );
      });

      it("a test loss that is not finite is a record like any other", async () => {
        const net = makeNet();
        const test = { x: X.map(() => [Number.NaN, 0]), y: Y };
        const history = await lg.fit(net, { ...options(net), test });
        expect(history.map(({ testLoss }) => testLoss)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
      });
    });

    it("where a batch fails before its step nothing has changed: gradients, statistics and mode either", async () => {
      const losses: [lg.Loss, RegExp][] = [
        [
          () => {
            throw new Error("mine");
          },
          /^mine$/,
        ],
        [
          () => wrong(Promise.resolve({ loss: 1 })),
          /fit: loss: got an object \(Promise\), expected the function to return/,
        ],
        [(output) => wrong({ loss: "1", grad: output }), /fit: loss: got an object .*expected/],
        [(output) => wrong({ loss: 1, grad: output.data }), /with a Float32Array as grad, expected/],
        [(output) => ({ loss: 1, grad: output.reshape([output.size]) }), /a gradient of \[6\], expected \[2, 3\]/],
        [() => ({ loss: 1, grad: lg.defaultEngine().zeros([2, 3]) }), /loss: grad: got a tensor of another engine/],
        [
          (output) => {
            const grad = output.clone();
            grad.dispose();
            return { loss: 1, grad };
          },
          /was disposed/,
        ],
        [
          (output) => ({
            loss: 1,
            get grad(): lg.Tensor {
              throw new Error(String(output.size));
            },
          }),
          /fit: loss: reading it failed: 6/,
        ],
      ];
      for (const [loss, message] of losses) {
        const net = makeNet();
        net.layers[3].eval();
        net.backward(lg.crossEntropy(net.train().forward(X), Y).grad);
        net.layers[0].eval();
        const before = stateBits(net);
        const modes = net.layers.map(({ training }) => training);
        const error = (await refusal(() => lg.fit(net, { ...options(net), loss }))) as Error;
        expect(error.message).toMatch(message);
        expect(stateBits(net)).toEqual(before);
        expect(net.layers.map(({ training }) => training)).toEqual(modes);
      }
    });

    describe("as done, where a callback returns false", () => {
      it("onEpoch", async () => {
        for (const make of [(v: boolean) => v, (v: boolean) => Promise.resolve(v)]) {
          const net = makeNet();
          const history = await lg.fit(net, { ...options(net), onEpoch: ({ epoch }) => make(epoch < 2) });
          expect(history.map(({ epoch }) => epoch)).toEqual([1, 2]);
        }
      });

      it("onBatch: the history is that of the epochs before", async () => {
        const net = makeNet();
        const seen: number[][] = [];
        const history = await lg.fit(net, {
          ...options(net),
          onBatch: async ({ epoch, batch }) => {
            seen.push([epoch, batch]);
            await eventLoopTurn();
            return !(epoch === 2 && batch === 2);
          },
        });
        expect(history.map(({ epoch }) => epoch)).toEqual([1]);
        expect(seen.at(-1)).toEqual([2, 2]);
      });

      it("nothing else than false ends it", async () => {
        for (const value of [undefined, null, 0, "", true, Number.NaN]) {
          const net = makeNet();
          expect(await lg.fit(net, { ...options(net), onBatch: () => value, onEpoch: () => value })).toHaveLength(3);
        }
      });
    });

    describe("by a signal, whose reason carries the history", () => {
      it("an object, a frozen one and a primitive, which carry nothing, included", async () => {
        for (const at of ["onBatch", "onEpoch"] as const) {
          for (const reason of [
            new Error("enough"),
            { mine: true },
            "enough",
            0,
            null,
            Object.freeze(new Error("hard")),
          ]) {
            const net = makeNet();
            const controller = new AbortController();
            const error = await refusal(() =>
              lg.fit(net, {
                ...options(net),
                signal: controller.signal,
                [at]: ({ epoch }: { epoch: number }) => {
                  if (epoch === 2) controller.abort(reason);
                },
              }),
            );
            expect(error).toBe(reason);
            if (Object.isFrozen(reason)) continue;
            const epochs = (error as Carrier).history.map(({ epoch }) => epoch);
            expect(epochs).toEqual(at === "onBatch" ? [1] : [1, 2]);
            // it does not show
            expect(Object.keys(error as object)).not.toContain("history");
          }
        }
      });

      it("one that was given before the start carries none, and the net is not looked at", async () => {
        const net = makeNet();
        const before = stateBits(net);
        const error = await refusal(() => lg.fit(net, { ...options(net), signal: AbortSignal.abort() }));
        expect(error).toMatchObject({ name: "AbortError", history: [] });
        expect(stateBits(net)).toEqual(before);
      });

      it("of another realm", async () => {
        const net = makeNet();
        const signal = new ForeignSignal();
        const error = await refusal(() =>
          lg.fit(net, {
            ...options(net),
            signal: signal as AbortSignal,
            onBatch: () => {
              signal.aborted = true;
              signal.reason = "foreign";
            },
          }),
        );
        expect(error).toBe("foreign");
        expect(await lg.fit(net, { ...options(net), signal: new ForeignSignal() as AbortSignal })).toHaveLength(3);
        for (const none of [null, "signal", { aborted: false }, new EventTarget(), new AbortController()]) {
          const call = () => lg.fit(net, { ...options(net), signal: wrong(none) });
          expectRefusal(await refusal(call), lg.ArgumentError, /fit: signal: got .* expected an AbortSignal/);
        }
      });

      it("is heard while the epoch is tested", async () => {
        const net = makeNet();
        const controller = new AbortController();
        let tests = 0;
        const error = await refusal(() =>
          lg.fit(net, {
            ...options(net),
            test: { x: Array.from({ length: 2000 }, () => [0, 0]), y: new Uint8Array(2000) },
            signal: controller.signal,
            loss: (output, target) => {
              if (!net.training) {
                tests++;
                if (tests === 1) setImmediate(() => controller.abort("now"));
                const end = performance.now() + 10;
                while (performance.now() < end);
              }
              return lg.crossEntropy(output, target);
            },
            targets: "labels",
          }),
        );
        expect(error).toBe("now");
        expect(tests).toBeLessThan(8);
        expect(net.training).toBe(true);
      });
    });

    describe("before it begins, said by name", () => {
      it("an optimizer without a parameter of the net; one of them is enough", async () => {
        const net = makeNet();
        const other = makeNet();
        const before = stateBits(net);
        for (const make of [
          (of: lg.Layer) => new lg.Adam(of.parameters()),
          (of: lg.Layer) => new lg.SGD([{ params: of.parameters() }], { lr: 0.1 }),
        ]) {
          const call = () => lg.fit(net, { ...options(net), optimizer: make(other) });
          expectRefusal(
            await refusal(call),
            lg.ArgumentError,
            /fit: optimizer: .*without a parameter of Sequential\(Linear\(2, 4\)/,
          );
          expect(stateBits(net)).toEqual(before);
        }
        const head = new lg.SGD(net.layers[3].parameters(), { lr: 0.1 });
        expect(await lg.fit(net, { ...options(net), optimizer: head })).toHaveLength(3);
        expect(await lg.fit(net, { ...options(net), optimizer: { step: () => {} } })).toHaveLength(3);
      });

      it("fits over shared layers, and over shared parameters", async () => {
        const e = own();
        const [front, head, other] = [
          new lg.Linear(2, 4, { engine: e }),
          new lg.Linear(4, 3, { engine: e }),
          new lg.Linear(4, 3, { engine: e }),
        ];
        /** Does not say what is inside it. */
        class Hiding extends lg.Layer {
          override forward(x: lg.Input): lg.Tensor {
            return front.forward(x);
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return front.backwardInput(dy);
          }
          override backwardParams(dy: lg.Input): void {
            front.backwardParams(dy);
          }
          override parameters(): lg.Parameter[] {
            return front.parameters();
          }
        }
        const body = new lg.Sequential(front, new lg.ReLU({ engine: e }));
        const net = new lg.Sequential({ body, head });
        const y = X.map(() => [0, 0, 0, 0]);
        const start = (of: lg.Layer, changes: Partial<lg.FitOptions> = {}) =>
          lg.fit(of, { ...options(of), ...changes });
        const values = { train: { x: X, y }, loss: lg.mseLoss };
        const cases: [lg.Layer, Partial<lg.FitOptions>, RegExp][] = [
          [net, {}, /^fit: Sequential\(.*\) is being fitted already/],
          [body, values, /^fit: Sequential\(Linear\(2, 4\), ReLU\(\)\) is being fitted already/],
          [front, values, /^fit: Linear\(2, 4\) is being fitted already/],
          [
            new lg.Sequential(front, other),
            {},
            /^fit: Linear\(2, 4\), which is in Sequential\(.*\), is being fitted already/,
          ],
          [new Hiding(), values, /^fit: the parameter weight of Hiding is being fitted already/],
        ];
        const refused: unknown[] = [];
        const fitting = start(net, {
          epochs: 1,
          onBatch: async ({ batch }) => {
            if (batch === 1) for (const [of, changes] of cases) refused.push(await refusal(() => start(of, changes)));
          },
        });
        expect(await fitting).toHaveLength(1);
        expect(refused).toHaveLength(cases.length);
        for (const [i, [, , message]] of cases.entries()) expectRefusal(refused[i], lg.StateError, message);
        // and the other way round: a child first
        const inside: unknown[] = [];
        await start(new Hiding(), {
          ...values,
          epochs: 1,
          batchSize: N,
          onBatch: async () => inside.push(await refusal(() => start(net))),
        });
        expectRefusal(inside[0], lg.StateError, /Linear|parameter body\.0\.weight .* is being fitted already/);
        for (const [of, changes] of cases) expect(await start(of, changes)).toHaveLength(3);
        e.dispose();
      });

      it("a net that was disposed, before or on the way, and a disposed engine", async () => {
        class Own extends lg.Layer {
          constructor(readonly inner: lg.Linear) {
            super();
          }
          override forward(x: lg.Input): lg.Tensor {
            return this.inner.forward(x);
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return this.inner.backwardInput(dy);
          }
          override backwardParams(dy: lg.Input): void {
            this.inner.backwardParams(dy);
          }
          override parameters(): lg.Parameter[] {
            return this.inner.parameters();
          }
        }
        for (const make of [
          (e: lg.Engine) => makeNet(e),
          (e: lg.Engine) => new Own(new lg.Linear(2, 3, { engine: e })),
        ]) {
          const e = own();
          const net = make(e);
          const given = options(net);
          const during = await refusal(() => lg.fit(net, { ...given, onBatch: () => net.dispose() }));
          expectRefusal(during, lg.StateError, /(Sequential|Own).* was disposed/);
          expectRefusal(await refusal(() => lg.fit(net, given)), lg.StateError, /(Sequential|Own).* was disposed/);
          const inTest = make(e);
          let tested = false;
          const test = { x: X, y: Y };
          const loss: lg.Loss = (output, target) => {
            if (!inTest.training && !tested) setImmediate(() => inTest.dispose());
            tested ||= !inTest.training;
            const end = performance.now() + 10;
            while (performance.now() < end);
            return lg.crossEntropy(output, target);
          };
          const call = () => lg.fit(inTest, { ...options(inTest), test, loss, targets: "labels" });
          expectRefusal(await refusal(call), lg.StateError, /disposed/);
          const last = make(e);
          const engineGone = await refusal(() => lg.fit(last, { ...options(last), onBatch: () => e.dispose() }));
          expectRefusal(engineGone, lg.EngineError, /the engine was disposed/);
        }
      });
    });
  });

  it("values of another copy of the library are said to be of one", async () => {
    vi.resetModules();
    const other = await import("lanegrad");
    const engine = lg.createEngine({ kernels: "js" });
    const net = new lg.Linear(2, 3, { engine });
    const foreign = other.tensor(X);
    const before = stateBits(net);
    const given = {
      train: { x: X, y: Y },
      epochs: 1,
      batchSize: 2,
      optimizer: new lg.SGD(net.parameters(), { lr: 0.1 }),
    };
    const theirs = new other.Linear(2, 3);
    const cases: [string, object][] = [
      ["Linear", { net: theirs }],
      ["Tensor", { train: { x: foreign, y: Y } }],
      ["Tensor", { train: { x: X, y: foreign } }],
      ["Tensor", { train: { x: X, y: foreign }, targets: "values" }],
      ["Tensor", { loss: () => ({ loss: 1, grad: other.tensor([[1]]) }) }],
      ["Optimizer", { optimizer: new other.SGD(theirs.parameters(), { lr: 0.1 }) }],
    ];
    for (const [kind, { net: of = net, ...changes }] of cases as [string, { net?: lg.Layer }][]) {
      const error = await refusal(() => lg.fit(of, { ...given, ...changes }));
      expectRefusal(error, lg.ArgumentError, new RegExp(`an? ${kind} of another copy of lanegrad`));
      expect(stateBits(net)).toEqual(before);
    }
    expect(bits(net.weight.value.data)).toBeDefined();
    engine.dispose();
  });
});
