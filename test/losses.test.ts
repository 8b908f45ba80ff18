import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { firstDifference } from "./support/compare.js";
import { describeEngines, openEngine } from "./support/engines.js";
import { bits, expectRefusal, nested, randomTensor, refusal, wrong } from "./support/state.js";

const { POSITIVE_INFINITY: INF, NaN: NAN } = Number;

const near = (got: number, want: number): boolean => Math.abs(got - want) <= 2e-6 * Math.max(1, Math.abs(want));

const expectNear = (got: ArrayLike<number>, want: ArrayLike<number>): void =>
  expect(firstDifference(got, want, near)).toBeUndefined();

/** A copy of what a loss returned: its grad is overwritten by the next one. */
const copied = ({ loss, grad }: lg.LossResult) => ({ loss, shape: [...grad.shape], grad: bits(grad.data) });

type PairLoss = typeof lg.mseLoss;

const PAIRS: [name: string, loss: PairLoss][] = [
  ["mseLoss", lg.mseLoss],
  ["bceWithLogits", lg.bceWithLogits],
];

describe("losses", () => {
  describeEngines((engine) => {
    const logits = () =>
      engine().tensor([
        [1, 2, 0.5],
        [-1, 0, 3],
      ]);

    describe("crossEntropy", () => {
      it("is the mean, or the sum, over samples", () => {
        const rows = nested(logits()) as number[][];
        const losses = rows.map((row, i) => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[[2, 0][i]]);
        const mean = lg.crossEntropy(logits(), [2, 0]);
        const sum = lg.crossEntropy(logits(), [2, 0], { reduction: "sum" });
        expectNear([mean.loss, sum.loss], [(losses[0] + losses[1]) / 2, losses[0] + losses[1]]);
        expectNear(
          sum.grad.data,
          mean.grad.data.map((value) => 2 * value),
        );
        expect(mean.grad.shape).toEqual([2, 3]);
      });

      it("smooths labels as (1 - s) · onehot + s / K", () => {
        const s = 0.3;
        const rows = nested(logits()) as number[][];
        const labels = [2, 0];
        let want = 0;
        const grad = rows.flatMap((row, i) => {
          const total = row.reduce((sum, z) => sum + Math.exp(z), 0);
          return row.map((z, k) => {
            const target = (k === labels[i] ? 1 - s : 0) + s / 3;
            want -= (target * (z - Math.log(total))) / 2;
            return (Math.exp(z) / total - target) / 2;
          });
        });
        const got = lg.crossEntropy(logits(), labels, { labelSmoothing: s });
        expectNear([got.loss], [want]);
        expectNear(got.grad.data, grad);
        expect(copied(lg.crossEntropy(logits(), labels, { labelSmoothing: 0 }))).toEqual(
          copied(lg.crossEntropy(logits(), labels)),
        );
        // all mass spread evenly: the label does not matter
        expect(copied(lg.crossEntropy(logits(), [0, 1], { labelSmoothing: 1 })).grad).toEqual(
          copied(lg.crossEntropy(logits(), labels, { labelSmoothing: 1 })).grad,
        );
      });

      test.each<[string, (engine: lg.Engine) => lg.Labels]>([
        ["number[]", () => [2, 0]],
        ["Int32Array", () => Int32Array.of(2, 0)],
        ["Uint8Array", () => Uint8Array.of(2, 0)],
        ["Int8Array", () => Int8Array.of(2, 0)],
        ["Uint8ClampedArray", () => Uint8ClampedArray.of(2, 0)],
        ["Uint16Array", () => Uint16Array.of(2, 0)],
        ["Uint32Array", () => Uint32Array.of(2, 0)],
        // PyTorch's own type of labels
        ["BigInt64Array", () => wrong(BigInt64Array.of(2n, 0n))],
        ["Float32Array", () => Float32Array.of(2, 0)],
        ["Float64Array", () => Float64Array.of(2, 0)],
        ["Tensor", (engine) => engine.tensor([2, 0])],
        ["an array with -0", () => [2, -0]],
      ])("takes labels in %s", (_name, labels) => {
        const want = copied(lg.crossEntropy(logits(), [2, 0]));
        expect(copied(lg.crossEntropy(logits(), labels(engine())))).toEqual(want);
      });

      it("takes one sample [K] with one label, bare or in an array", () => {
        const row = engine().tensor([1, 2, 0.5]);
        const want = lg.crossEntropy(engine().tensor([[1, 2, 0.5]]), [1]);
        for (const label of [1, [1], Int32Array.of(1)]) {
          const got = lg.crossEntropy(row, label);
          expect(got.loss).toBe(want.loss);
          expect(got.grad.shape).toEqual([3]);
          expect(bits(got.grad.data)).toEqual(bits(want.grad.data));
        }
      });

      it("takes nested arrays, on the default engine", () => {
        const rows = nested(logits()) as number[][];
        const got = lg.crossEntropy(rows, [2, 0]);
        expect(got.grad.engine).toBe(lg.defaultEngine());
        expectNear([got.loss], [lg.crossEntropy(logits(), [2, 0]).loss]);
      });

      it("does not overflow: logits of any size", () => {
        const huge = lg.crossEntropy(engine().tensor([[3e38, -3e38, 0]]), [0]);
        expect(huge.loss).toBe(0);
        expect([...huge.grad.data].map(Math.abs)).toEqual([0, 0, 0]);
        const far = lg.crossEntropy(engine().tensor([[1e4, -1e4, 0]]), [1]);
        expect(far.loss).toBe(2e4);
        expect([...far.grad.data]).toEqual([1, -1, 0]);
        const equal = lg.crossEntropy(engine().tensor([[1e30, 1e30]]), [1]);
        expectNear([equal.loss, ...equal.grad.data], [Math.LN2, 0.5, -0.5]);
      });

      it("a class at -Infinity has no probability", () => {
        const masked = engine().tensor([[-INF, 0, 0]]);
        const got = lg.crossEntropy(masked, [1]);
        expectNear([got.loss, ...got.grad.data], [Math.LN2, 0, -0.5, 0.5]);
        expect(lg.crossEntropy(masked, [0]).loss).toBe(INF);
      });

      it("NaN propagates within its row", () => {
        const got = lg.crossEntropy(
          engine().tensor([
            [NAN, 0, 1],
            [0, 0, 0],
          ]),
          [1, 0],
        );
        expect(got.loss).toBeNaN();
        expect([...got.grad.data.subarray(0, 3)]).toEqual([NAN, NAN, NAN]);
        expect(got.grad.data.subarray(3).every(Number.isFinite)).toBe(true);
      });

      it("one class: nothing to lose, nothing to learn", () => {
        const got = lg.crossEntropy(engine().tensor([[7], [-3]]), [0, 0]);
        expect(got.loss).toBe(0);
        expect([...got.grad.data].map(Math.abs)).toEqual([0, 0]);
      });

      it("no samples: the sum is 0, the mean is refused", async () => {
        const none = engine().zeros([0, 3]);
        const { loss, grad } = lg.crossEntropy(none, [], { reduction: "sum" });
        expect(loss).toBe(0);
        expect(grad.shape).toEqual([0, 3]);
        expectRefusal(await refusal(() => lg.crossEntropy(none, [])), lg.ShapeError, /no samples/);
      });

      test.each<[string, unknown, new (m: string) => lg.LanegradError, RegExp]>([
        ["a label of K", [0, 3], lg.ArgumentError, /label 3 at 1/],
        ["a negative label, as ignore_index would be", [0, -100], lg.ArgumentError, /label -100 at 1/],
        ["a fractional label", [0.5, 0], lg.ArgumentError, /label 0\.5 at 0/],
        ["a NaN label", [0, NAN], lg.ArgumentError, /label NaN at 1/],
        ["a label of text", ["0", 0], lg.ArgumentError, /label "0" at 0/],
        ["a missing label", [0, undefined], lg.ArgumentError, /label undefined at 1/],
        ["bigints out of range", BigInt64Array.of(0n, 3n), lg.ArgumentError, /label 3n? at 1/],
        ["fewer labels", [0], lg.ShapeError, /1 labels, expected 2/],
        ["more labels", [0, 1, 2], lg.ShapeError, /3 labels, expected 2/],
        ["one label for two rows", 1, lg.ShapeError, /1 labels, expected 2/],
        [
          "labels one-hot",
          [
            [0, 0, 1],
            [1, 0, 0],
          ],
          lg.ArgumentError,
          /label \[0, 0, 1\] at 0/,
        ],
        ["no labels", undefined, lg.ArgumentError, /got undefined as labels/],
        ["null", null, lg.ArgumentError, /got null as labels/],
        ["text", "01", lg.ArgumentError, /got "01" as labels/],
        ["an object", { length: 2, 0: 0, 1: 1 }, lg.ArgumentError, /as labels/],
      ])("refuses %s", async (_name, labels, type, message) => {
        const output = logits();
        const { used } = engine().memory;
        expectRefusal(await refusal(() => lg.crossEntropy(output, wrong(labels))), type, message);
        expect(engine().memory.used).toBe(used);
        output.dispose();
      });

      test.each<[string, unknown, RegExp]>([
        ["labelSmoothing below 0", { labelSmoothing: -0.1 }, /labelSmoothing: got -0\.1/],
        ["labelSmoothing above 1", { labelSmoothing: 1.1 }, /labelSmoothing: got 1\.1/],
        ["labelSmoothing NaN", { labelSmoothing: NAN }, /labelSmoothing: got NaN/],
        ["labelSmoothing as text", { labelSmoothing: "0.1" }, /labelSmoothing: got "0\.1"/],
        ["reduction none", { reduction: "none" }, /reduction: got "none"/],
        ["reduction null", { reduction: null }, /reduction: got null/],
        ["options null", null, /got null/],
        ["options as text", "sum", /got "sum"/],
      ])("refuses %s", async (_name, options, message) => {
        const output = logits();
        const { used } = engine().memory;
        const error = await refusal(() => lg.crossEntropy(output, [0, 1], wrong(options)));
        expectRefusal(error, lg.ArgumentError, message);
        expect(engine().memory.used).toBe(used);
        output.dispose();
      });

      it("refuses logits that are no [N, K] or [K]", async () => {
        const cases: [unknown, new (m: string) => lg.LanegradError, RegExp][] = [
          [engine().zeros([2, 3, 4]), lg.ShapeError, /\[2, 3, 4\]/],
          [engine().zeros([]), lg.ShapeError, /\[\]/],
          [engine().zeros([2, 0]), lg.ShapeError, /\[2, 0\]/],
          [new Float32Array(6), lg.ShapeError, /engine\.tensor\(data, shape\)/],
          [[[1, 2], [3]], lg.ShapeError, /ragged/],
          [undefined, lg.ArgumentError, /undefined/],
        ];
        const used = () => [engine(), lg.defaultEngine()].map(({ memory }) => memory.used);
        const before = used();
        for (const [output, type, message] of cases) {
          expectRefusal(await refusal(() => lg.crossEntropy(wrong(output), [0, 1])), type, message);
        }
        // nested arrays that were placed before the labels were refused are freed
        expect(await refusal(() => lg.crossEntropy([[1, 2]], [2]))).toBeInstanceOf(lg.ArgumentError);
        expect(used()).toEqual(before);
      });
    });

    describe.each(PAIRS)("%s", (_name, loss) => {
      const y = () =>
        engine().tensor([
          [0.5, -1, 2],
          [0, 3, -0.25],
        ]);
      const rows = [
        [1, 0, 0.5],
        [0, 1, 0.25],
      ];

      test.each<[string, (engine: lg.Engine) => lg.Target]>([
        ["nested arrays", () => rows],
        ["a Float32Array in a row", () => Float32Array.from(rows.flat())],
        ["a Float64Array in a row", () => Float64Array.from(rows.flat())],
        ["a Tensor", (engine) => engine.tensor(rows)],
      ])("takes targets in %s", (_form, target) => {
        const want = copied(loss(y(), rows));
        expect(want.shape).toEqual([2, 3]);
        const given = target(engine());
        expect(copied(loss(y(), given))).toEqual(want);
        // and leaves them as they are
        const after = given instanceof lg.Tensor ? given.toArray() : given;
        expect(Array.isArray(after) ? after : [...(after as Float32Array)]).toEqual(
          Array.isArray(after) ? rows : rows.flat(),
        );
      });

      it("takes one sample [K] and a target in a flat array", () => {
        const one = loss(engine().tensor([0.5, -1, 2]), rows[0]);
        expect(one.grad.shape).toEqual([3]);
        expect(one.loss).toBe(loss(engine().tensor([[0.5, -1, 2]]), [rows[0]]).loss);
      });

      it("takes outputs of any rank, also a scalar", () => {
        const values = Float32Array.from(rows.flat());
        const flat = loss(engine().tensor(values, [6]), values).loss;
        for (const shape of [
          [2, 3],
          [1, 2, 3],
          [6, 1],
        ]) {
          expect(loss(engine().tensor(values, shape), engine().tensor(values, shape)).loss).toBe(flat);
        }
        expect(loss(engine().tensor([2], []), engine().tensor([2], [])).grad.shape).toEqual([]);
      });

      it("mean is over all values, sum is over all values", () => {
        const [mean, sum] = (["mean", "sum"] as const).map((reduction) => loss(y(), rows, { reduction }));
        expectNear([6 * mean.loss], [sum.loss]);
        expectNear(
          mean.grad.data.map((value) => 6 * value),
          sum.grad.data,
        );
        expect(copied(loss(y(), rows, { reduction: undefined }))).toEqual(copied(mean));
      });

      it("nothing: the sum is 0, the mean is refused", async () => {
        const none = engine().zeros([0, 3]);
        expect(loss(none, engine().zeros([0, 3]), { reduction: "sum" })).toMatchObject({ loss: 0 });
        expectRefusal(await refusal(() => loss(none, engine().zeros([0, 3]))), lg.ShapeError, /mean/);
      });

      it("NaN stays in its element, and in the loss", () => {
        const values = y();
        values.data[1] = NAN;
        const got = loss(values, rows);
        expect(got.loss).toBeNaN();
        expect([...got.grad.data].map(Number.isNaN)).toEqual([false, true, false, false, false, false]);
      });

      test.each<[string, (engine: lg.Engine) => unknown, new (m: string) => lg.LanegradError, RegExp]>([
        ["a target of another shape", (engine) => engine.zeros([3, 2]), lg.ShapeError, /\[3, 2\], expected \[2, 3\]/],
        ["a target that would broadcast", (engine) => engine.zeros([1, 3]), lg.ShapeError, /\[1, 3\]/],
        ["a target of another rank", (engine) => engine.zeros([6]), lg.ShapeError, /\[6\]/],
        ["fewer values", () => new Float32Array(5), lg.ShapeError, /5 values/],
        ["nested arrays of another shape", () => [[1, 2, 3]], lg.ShapeError, /\[1, 3\]/],
        [
          "ragged arrays",
          () => [
            [1, 2, 3],
            [4, 5],
          ],
          lg.ShapeError,
          /ragged/,
        ],
        [
          "arrays of text",
          () => [
            ["a", 1, 2],
            [1, 2, 3],
          ],
          lg.ArgumentError,
          /"a"/,
        ],
        ["bigints", () => BigInt64Array.of(0n, 0n, 0n, 0n, 0n, 0n), lg.ArgumentError, /./],
        ["a number", () => 1, lg.ArgumentError, /got 1 as a target/],
        ["nothing", () => undefined, lg.ArgumentError, /undefined/],
        ["an ArrayBuffer", () => new ArrayBuffer(24), lg.ArgumentError, /as a target/],
      ])("refuses %s, and writes nothing", async (_what, target, type, message) => {
        const output = y();
        const { grad } = loss(output, rows);
        const before = bits(grad.data);
        const given = target(engine());
        const { used } = engine().memory;
        expectRefusal(await refusal(() => loss(output, wrong(given))), type, message);
        expect(bits(grad.data)).toEqual(before);
        expect(engine().memory.used).toBe(used);
      });

      it("refuses wrong options, engines and disposed tensors", async () => {
        const output = y();
        const foreign = openEngine("js");
        const gone = y();
        gone.dispose();
        const { used } = engine().memory;
        const cases: [() => unknown, new (m: string) => lg.LanegradError, RegExp][] = [
          [() => loss(output, rows, wrong({ reduction: "none" })), lg.ArgumentError, /reduction: got "none"/],
          [() => loss(output, rows, wrong(3)), lg.ArgumentError, /got 3/],
          [() => loss(output, foreign.zeros([2, 3])), lg.EngineError, /engine/],
          [() => loss(output, gone), lg.StateError, /disposed/],
          [() => loss(gone, rows), lg.StateError, /disposed/],
          [() => loss(wrong(new Float32Array(6)), rows), lg.ShapeError, /engine\.tensor\(data, shape\)/],
          [() => loss(wrong(undefined), rows), lg.ArgumentError, /undefined/],
        ];
        for (const [call, type, message] of cases) expectRefusal(await refusal(call), type, message);
        expect(engine().memory.used).toBe(used);
        foreign.dispose();
      });

      it("the target may be the output itself, or its last gradient", () => {
        const output = y();
        const other = y();
        expect(copied(loss(output, output))).toEqual(copied(loss(other, y())));
        const { grad } = loss(output, rows);
        const want = copied(loss(other, grad.clone()));
        expect(copied(loss(output, grad))).toEqual(want);
      });
    });

    it("mseLoss is (y - t)², its gradient 2 (y - t)", () => {
      const { loss, grad } = lg.mseLoss(engine().tensor([[3, -1]]), [[1, 1]]);
      expect(loss).toBe(4);
      expect([...grad.data]).toEqual([2, -2]);
      const large = lg.mseLoss(engine().tensor([[1e18, 0]]), [[-1e18, 0]], { reduction: "sum" });
      expectNear([large.loss / 4e36], [1]);
      expectNear([large.grad.data[0] / 4e18], [1]);
    });

    it("bceWithLogits does not overflow", () => {
      const z = [0, 100, -100, 1e4, -1e4, 3e38, -3e38];
      for (const [target, want] of [
        [0, [Math.LN2, 100, 0, 1e4, 0, Math.fround(3e38), 0]],
        [1, [Math.LN2, 0, 100, 0, 1e4, 0, Math.fround(3e38)]],
      ] as const) {
        z.forEach((value, i) => {
          const { loss, grad } = lg.bceWithLogits(engine().tensor([value]), [target]);
          expectNear([loss], [want[i]]);
          const sigmoid = value === 0 ? 0.5 : value > 0 ? 1 : 0;
          expect(Math.abs(grad.data[0] - (sigmoid - target))).toBeLessThan(1e-30);
        });
      }
    });

    describe("a loss's grad belongs to its first argument", () => {
      const ALL: [string, (output: lg.Tensor, flip: boolean) => lg.LossResult][] = [
        ["crossEntropy", (output, flip) => lg.crossEntropy(output, flip ? [1, 0] : [0, 2])],
        ["mseLoss", (output, flip) => lg.mseLoss(output, new Float32Array(6).fill(flip ? 1 : 0))],
        ["bceWithLogits", (output, flip) => lg.bceWithLogits(output, new Float32Array(6).fill(flip ? 1 : 0))],
      ];

      it.each(ALL)("%s: overwritten by the next on the same tensor, untouched by one on another", (_name, loss) => {
        const [first, second] = [logits(), logits()];
        const { grad } = loss(first, false);
        const before = bits(grad.data);
        const other = loss(second, true).grad;
        expect(other).not.toBe(grad);
        expect(bits(grad.data)).toEqual(before);
        const again = loss(first, true).grad;
        expect(again).toBe(grad);
        expect(bits(grad.data)).toEqual(bits(other.data));
        expect(bits(first.data)).toEqual(bits(logits().data));
      });

      it.each(ALL)(
        "%s: other losses on the same tensor share it, and a steady loop allocates nothing",
        (_name, loss) => {
          const output = logits();
          for (const [, each] of ALL) each(output, false);
          const { grad } = loss(output, false);
          const { used, peak } = engine().memory;
          for (let step = 0; step < 100; step++) for (const [, each] of ALL) expect(each(output, true).grad).toBe(grad);
          expect(engine().memory).toMatchObject({ used, peak });
        },
      );

      it.each(ALL)("%s: goes with that tensor", async (_name, loss) => {
        const { used } = engine().memory;
        const output = logits();
        const { grad } = loss(output, false);
        output.dispose();
        expectRefusal(await refusal(() => grad.data), lg.StateError, /disposed/);
        expect(engine().memory.used).toBe(used);
      });

      it.each(ALL)("%s: of a layer's output goes when that changes its shape", async (_name, loss) => {
        const layer = new lg.Linear(3, 3, { engine: engine() });
        const { grad } = loss(layer.forward(randomTensor(engine(), [2, 3])), false);
        layer.forward(randomTensor(engine(), [2, 3], 2));
        expect(grad.data.length).toBe(6);
        layer.forward(randomTensor(engine(), [5, 3]));
        expectRefusal(await refusal(() => grad.data), lg.StateError, /disposed/);
        layer.dispose();
      });
    });
  });
});
