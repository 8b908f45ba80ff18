import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import { expectRefusal, refusal, stateBits, valueBits, wrong } from "../support/state.js";

const noOptimizer = { step: () => {} };

/** y = x in rows of another shape, which may be several for a sample. */
class Reshape extends lg.Layer {
  #inputShape: readonly number[] = [];

  constructor(readonly rowShape: number[]) {
    super();
  }
  override forward(x: lg.Input): lg.Tensor {
    const { shape, size, data, engine } = x as lg.Tensor;
    this.#inputShape = shape;
    const rows = size / this.rowShape.reduce((product, length) => product * length, 1);
    return engine.tensor(data.slice(), [rows, ...this.rowShape]);
  }
  override backwardInput(dy: lg.Input): lg.Tensor {
    const { data, engine } = dy as lg.Tensor;
    return engine.tensor(data.slice(), [...this.#inputShape]);
  }
}

describe("targets", () => {
  describeEngines((engine) => {
    const own = () => lg.createEngine({ kernels: engine().kernels, seed: 3 });

    /** What the loss is given, batch by batch. */
    async function seen(net: lg.Layer, train: lg.Dataset, options: Partial<lg.FitOptions> = {}): Promise<unknown[]> {
      const given: unknown[] = [];
      const loss = (output: lg.Tensor, target: lg.Tensor | Int32Array): lg.LossResult => {
        given.push(target instanceof lg.Tensor ? { shape: target.shape, values: [...target.data] } : target.slice());
        return { loss: 0, grad: output };
      };
      await lg.fit(net, { train, epochs: 1, batchSize: 2, shuffle: false, optimizer: noOptimizer, loss, ...options });
      return given;
    }

    it("a loss of the user's gets what `targets` says, whatever the values are", async () => {
      const e = own();
      const net = new lg.Linear(2, 1, { engine: e });
      const x = [
        [0, 0],
        [1, 1],
      ];
      const forms = (values: number[]): lg.Targets[] => [
        values,
        values.map((value) => [value]),
        Float32Array.from(values),
        Float64Array.from(values),
        e.tensor(values),
        e.tensor(values, [2, 1]),
      ];
      for (const values of [
        [1, 2],
        [1.5, 2],
      ]) {
        for (const y of forms(values)) expect(await seen(net, { x, y })).toEqual([{ shape: [2, 1], values }]);
      }
      for (const y of [Int32Array.of(1, 2), Uint16Array.of(1, 2)]) {
        expect(await seen(net, { x, y })).toEqual([{ shape: [2, 1], values: [1, 2] }]);
      }
      // as x is
      for (const y of [Uint8Array.of(0, 51), Uint8ClampedArray.of(0, 51)]) {
        expect(await seen(net, { x, y })).toEqual([{ shape: [2, 1], values: [0, Math.fround(0.2)] }]);
      }
      const labels: lg.Targets[] = [
        ...forms([1, 2]),
        Uint8Array.of(1, 2),
        Int32Array.of(1, 2),
        BigInt64Array.of(1n, 2n),
        [Int8Array.of(1), [2]],
      ];
      for (const y of labels) {
        expect(await seen(net, { x, y }, { targets: "labels" })).toEqual([Int32Array.of(1, 2)]);
      }
      // what a loss of one's own ignores, say
      expect(await seen(net, { x, y: [-100, 2 ** 31 - 1] }, { targets: "labels" })).toEqual([
        Int32Array.of(-100, 2 ** 31 - 1),
      ]);
      e.dispose();
    });

    it.each<[string, number[], number[]]>([
      ["[N, 1]", [1], [1]],
      ["[N, 3]", [3], [3]],
      ["[N]", [], [1]],
      ["[N, 1, 3]", [1, 3], [3]],
    ])("mseLoss and a function around it are one, with outputs %s", async (_, rowShape, [width]) => {
      const values = new Random(5).values(5 * width, 0, 1);
      const x = Array.from({ length: 5 }, (__, i) => [i, 1 - i]);
      const run = async (y: lg.Targets, loss: lg.Loss) => {
        const e = own();
        const net = new lg.Sequential(new lg.Linear(2, width, { engine: e }), new Reshape(rowShape));
        const optimizer = new lg.SGD(net.parameters(), { lr: 0.05 });
        const options = { epochs: 2, batchSize: 2, optimizer, loss, seed: 1 };
        const history = await lg.fit(net, { train: { x, y }, test: { x, y }, ...options });
        const result = {
          values: valueBits(net),
          losses: history.map((record) => [record.loss, record.testLoss]),
          evaluated: lg.evaluate(net, { x, y }, { loss }),
        };
        e.dispose();
        return result;
      };
      const around: lg.Loss = (output, target) => lg.mseLoss(output, target);
      const want = await run([...values], lg.mseLoss);
      expect(want.losses[0][0]).toBeGreaterThan(0);
      for (const y of [[...values], values, Float64Array.from(values)]) {
        expect(await run(y, around)).toEqual(want);
        expect(await run(y, lg.mseLoss)).toEqual(want);
      }
      const bytes = Uint8Array.from(values, (value) => 255 * value);
      const scaled = Float32Array.from(bytes, (byte) => byte / 255);
      expect(await run(bytes, around)).toEqual(await run(scaled, lg.mseLoss));
      const whole = Int16Array.from(values, (value) => 10 * value);
      expect(await run(whole, around)).toEqual(await run([...whole], lg.mseLoss));
    });

    it("targets with axes of their own keep them, and a loss of ours refuses those that are not the outputs'", async () => {
      const e = own();
      const net = new lg.Linear(2, 2, { engine: e });
      const x = [
        [0, 0],
        [1, 1],
      ];
      const y = [[[1, 2]], [[3, 4]]];
      expect(await seen(net, { x, y })).toEqual([{ shape: [2, 1, 2], values: [1, 2, 3, 4] }]);
      expect(await seen(net, { x, y: [[1], [2]] })).toEqual([{ shape: [2, 1], values: [1, 2] }]);
      for (const loss of [lg.mseLoss, lg.bceWithLogits]) {
        const call = () => lg.fit(net, { train: { x, y }, epochs: 1, batchSize: 2, optimizer: noOptimizer, loss });
        const message = /^fit: train: y: got targets of \[1, 2\], expected \[2\] for each sample/;
        expectRefusal(await refusal(call), lg.ShapeError, message);
        expectRefusal(await refusal(() => lg.evaluate(net, { x, y }, { loss })), lg.ShapeError, /targets of \[1, 2\]/);
      }
      e.dispose();
    });

    it("a function around crossEntropy trains as crossEntropy does with targets: labels, and says so where it is left out", async () => {
      const x = Array.from({ length: 6 }, (_, i) => [i / 6, 1 - i / 3]);
      const y = Uint8Array.of(0, 1, 2, 0, 1, 2);
      const around: lg.Loss = (output, target) => lg.crossEntropy(output, target);
      const run = async (options: Partial<lg.FitOptions>) => {
        const e = own();
        const net = new lg.Linear(2, 3, { engine: e });
        const optimizer = new lg.SGD(net.parameters(), { lr: 0.1 });
        const history = await lg.fit(net, {
          train: { x, y },
          test: { x, y },
          epochs: 2,
          batchSize: 4,
          optimizer,
          seed: 1,
          ...options,
        });
        return { values: valueBits(net), accuracy: history.map(({ accuracy }) => accuracy) };
      };
      expect(await run({ loss: around, targets: "labels" })).toEqual(await run({}));
      const error = await refusal(() => run({ loss: around }));
      expectRefusal(error, lg.ArgumentError, /got the label 0\.0039.*targets: "labels"/);
      const net = new lg.Linear(2, 3, { engine: engine() });
      const want = lg.evaluate(net, { x, y });
      expect(want.accuracy).toBeGreaterThanOrEqual(0);
      expect(lg.evaluate(net, { x, y }, { loss: around, targets: "labels" })).toEqual(want);
      for (const targets of ["label", true, null, 1]) {
        const what = /targets: got .* expected "labels" or "values"/;
        expectRefusal(await refusal(() => run({ targets: wrong(targets) })), lg.ArgumentError, what);
        const call = () => lg.evaluate(net, { x, y }, { targets: wrong(targets) });
        expectRefusal(await refusal(call), lg.ArgumentError, what);
      }
    });

    describe("labels", () => {
      const X = [
        [1, 0],
        [0, 1],
      ];
      const attempts = (net: lg.Layer, y: lg.Targets, x: lg.Samples = X): [string, () => unknown][] => {
        const rest = { epochs: 1, batchSize: 1, shuffle: false };
        const optimizer = () => new lg.SGD(net.parameters(), { lr: 0.1 });
        return [
          ["fit", () => lg.fit(net, { train: { x, y }, optimizer: optimizer(), ...rest })],
          [
            "fit: test",
            () => lg.fit(net, { train: { x, y: [0, 0] }, test: { x, y }, optimizer: optimizer(), ...rest }),
          ],
          ["evaluate", () => lg.evaluate(net, { x, y }, { batchSize: 1 })],
        ];
      };

      it.each<[string, lg.Targets, RegExp]>([
        ["2^32 + 1", [0, 4294967297], /got the label 4294967297 at 1, expected an integer in 0\.\.2/],
        ["2^32", [0, 2 ** 32], /got the label 4294967296 at 1/],
        ["1e300", [0, 1e300], /got the label 1e\+300 at 1/],
        ["a bigint of 2^32 + 1", BigInt64Array.of(0n, 4294967297n), /got the label 4294967297n at 1/],
        ["a bigint of 2^64 - 1", BigUint64Array.of(0n, 2n ** 64n - 1n), /got the label 18446744073709551615n at 1/],
        ["a large float", Float64Array.of(0, 4294967297), /got the label 4294967297 at 1/],
        ["one too many", Uint32Array.of(0, 3), /got the label 3 at 1/],
        ["a negative one", Int8Array.of(0, -1), /got the label -1 at 1/],
        ["a fraction", [0, 0.5], /got the label 0\.5 at 1.*mseLoss or bceWithLogits/],
        ["NaN", [0, Number.NaN], /got the label NaN at 1/],
        ["a string", wrong([0, "1"]), /got the label "1" at 1/],
        ["a hole", wrong([0, undefined]), /got the label undefined at 1/],
        ["a boolean", wrong([0, true]), /got the label true at 1/],
      ])("%s is refused before it is converted", async (_, y, message) => {
        const net = new lg.Linear(2, 3, { engine: engine() });
        const before = stateBits(net);
        for (const [what, call] of attempts(net, y)) {
          const error = await refusal(call);
          expectRefusal(error, lg.ArgumentError, message);
          expect((error as Error).message).toContain(`${what}`);
          expect(stateBits(net)).toEqual(before);
        }
        net.dispose();
      });

      it("one-hot rows and rows of probabilities get a hint", async () => {
        const net = new lg.Linear(2, 3, { engine: engine() });
        const rows: lg.Targets[] = [
          [
            [0, 1, 0],
            [1, 0, 0],
          ],
          [Float32Array.of(0, 0.5, 0.5), Float32Array.of(1, 0, 0)],
          engine().tensor([
            [0, 1, 0],
            [1, 0, 0],
          ]),
          [0, 1, 0, 1, 0, 0],
        ];
        for (const y of rows) {
          for (const [, call] of attempts(net, y)) {
            expectRefusal(await refusal(call), lg.ShapeError, /3 labels for each sample, expected 1.*argmax/);
          }
        }
        const deep = [[[0]], [[1]]];
        for (const [, call] of attempts(net, deep))
          expectRefusal(await refusal(call), lg.ArgumentError, /got the label \[0\]/);
        const ragged = [[0], [1, 2]];
        for (const [, call] of attempts(net, ragged)) expectRefusal(await refusal(call), lg.ShapeError, /ragged/);
        net.dispose();
      });

      it("are as many as the net has rows of output for a sample", async () => {
        const e = own();
        // three positions a sample, two classes
        const net = new lg.Sequential(new lg.Linear(2, 6, { engine: e }), new Reshape([2]));
        const x = new Random(1).values(10);
        const flat = [0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        const nested = Array.from({ length: 5 }, (_, i) => flat.slice(3 * i, 3 * i + 3));
        const forms: lg.Targets[] = [
          flat,
          nested,
          nested.map((row) => Uint8Array.from(row)),
          Int32Array.from(flat),
          e.tensor(nested),
        ];
        const want = lg.evaluate(net, { x, y: flat }, { batchSize: 2 });
        const logits = net.forward(x);
        expect(want.loss).toBeCloseTo(lg.crossEntropy(logits, flat).loss, 6);
        const right = lg.argmax(logits) as number[];
        expect(want.accuracy).toBe(right.filter((label, i) => label === flat[i]).length / 15);
        const initial = net.parameters().map(({ value }) => value.data.slice());
        const fitted: unknown[] = [];
        for (const y of forms) {
          net.parameters().forEach(({ value }, i) => {
            value.data.set(initial[i]);
          });
          expect(lg.evaluate(net, { x, y }, { batchSize: 2 })).toEqual(want);
          const optimizer = new lg.SGD(net.parameters(), { lr: 0.1 });
          await lg.fit(net, { train: { x, y }, epochs: 2, batchSize: 2, optimizer, seed: 1 });
          fitted.push(valueBits(net));
        }
        for (const other of fitted.slice(1)) expect(other).toEqual(fitted[0]);
        for (const y of [[0, 1, 0, 1, 0], Array.from({ length: 10 }, () => 0)]) {
          const before = stateBits(net);
          const optimizer = new lg.SGD(net.parameters(), { lr: 0.1 });
          const call = () => lg.fit(net, { train: { x, y }, epochs: 1, batchSize: 2, optimizer });
          expectRefusal(await refusal(call), lg.ShapeError, /[12] labels for each sample, expected 3/);
          expect(stateBits(net)).toEqual(before);
          expectRefusal(await refusal(() => lg.evaluate(net, { x, y })), lg.ShapeError, /expected 3/);
        }
        e.dispose();
      });
    });

    it("accuracy of bceWithLogits is the share on the target's side of 0.5", async () => {
      const x = engine().tensor([[2], [-1], [0], [3], [Number.NaN], [Number.POSITIVE_INFINITY]]);
      const net = new Reshape([1]);
      const accuracy = (y: lg.Targets) => lg.evaluate(net, { x, y }, { loss: lg.bceWithLogits, batchSize: 4 }).accuracy;
      // 0 is 0.5, which is not above it; NaN is on no side
      expect(accuracy([1, 0, 0, 0, 0, 1])).toBe(4 / 6);
      expect(accuracy(Float32Array.of(0.6, 0.5, 1, 0.51, 1, 0.2))).toBe(3 / 6);
      expect(accuracy(Uint8Array.of(255, 0, 255, 0, 0, 255))).toBe(3 / 6);
      const both = engine().tensor([
        [1, -1],
        [1, 1],
      ]);
      const wide = lg.evaluate(
        new Reshape([2]),
        {
          x: both,
          y: [
            [1, 0],
            [0, 1],
          ],
        },
        { loss: lg.bceWithLogits },
      );
      expect(wide.accuracy).toBe(3 / 4);
      expect(lg.evaluate(net, { x, y: [1, 0, 0, 0, 0, 1] }, { loss: lg.mseLoss }).accuracy).toBeNaN();
      const layer = new lg.Linear(1, 1, { engine: engine() });
      const data = { x: [[2], [-1]], y: [1, 0] };
      const [record] = await lg.fit(layer, {
        train: data,
        test: data,
        epochs: 1,
        batchSize: 2,
        optimizer: noOptimizer,
        loss: lg.bceWithLogits,
      });
      expect(record.accuracy).toBe(lg.evaluate(layer, data, { loss: lg.bceWithLogits }).accuracy);
      layer.dispose();
    });
  });
});
