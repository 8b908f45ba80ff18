import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { Random } from "../support/random.js";
import {
  bits,
  copyParameters,
  expectRefusal,
  gradientBits,
  nested,
  randomTensor,
  refusal,
  stateBits,
} from "../support/state.js";

interface Subject {
  readonly name: string;
  readonly make: (engine: lg.Engine) => lg.Layer;
  /** The shape of a sample, and of its output, so that each layer may be fed with what it returns; default [4]. */
  readonly sample?: readonly number[];
  /** Normalises over its batch in training mode: other values in eval mode, and a batch of 0 is refused. */
  readonly isNormalization?: boolean;
}

const PLANES = [2, 3, 4];

const LAYERS: Subject[] = [
  { name: "Linear", make: (engine) => new lg.Linear(4, 4, { engine }) },
  { name: "LinearPReLU", make: (engine) => new lg.LinearPReLU(4, 4, { engine }) },
  { name: "PReLU", make: (engine) => new lg.PReLU({ numParameters: 4, engine }) },
  { name: "ReLU", make: (engine) => new lg.ReLU({ engine }) },
  {
    name: "a fused net",
    make: (engine) => new lg.Sequential(new lg.Linear(4, 4, { engine }), new lg.PReLU({ numParameters: 4, engine })),
  },
  {
    name: "a net",
    make: (engine) =>
      new lg.Sequential(new lg.LinearPReLU(4, 5, { engine }), new lg.Linear(5, 4, { engine }), new lg.ReLU({ engine })),
  },
  { name: "Conv2d", make: (engine) => new lg.Conv2d(2, 2, 3, { padding: 1, engine }), sample: PLANES },
  { name: "Conv2d, 1x1", make: (engine) => new lg.Conv2d(2, 2, 1, { bias: false, engine }), sample: PLANES },
  { name: "MaxPool2d", make: (engine) => new lg.MaxPool2d(3, { stride: 1, padding: 1, engine }), sample: PLANES },
  { name: "Flatten", make: (engine) => new lg.Flatten({ engine }) },
  // other masks are in the tests of Dropout
  { name: "Dropout of nothing", make: (engine) => new lg.Dropout(0, { engine }) },
  {
    name: "a fused convolutional net",
    make: (engine) => new lg.Sequential(new lg.Conv2d(2, 2, 3, { padding: 1, engine }), new lg.PReLU({ engine })),
    sample: PLANES,
  },
  {
    name: "a convolutional net",
    make: (engine) =>
      new lg.Sequential(
        new lg.Conv2d(2, 3, [3, 1], { padding: [1, 0], engine }),
        new lg.ELU({ engine }),
        new lg.MaxPool2d(3, { stride: 1, padding: 1, engine }),
        new lg.Conv2d(3, 2, 1, { engine }),
      ),
    sample: PLANES,
  },
  { name: "BatchNorm1d", make: (engine) => new lg.BatchNorm1d(2, { engine }), sample: [2, 3], isNormalization: true },
  { name: "BatchNorm2d", make: (engine) => new lg.BatchNorm2d(2, { engine }), sample: PLANES, isNormalization: true },
  {
    name: "a net with BatchNorm",
    make: (engine) =>
      new lg.Sequential(
        new lg.Conv2d(2, 2, 1, { engine }),
        new lg.BatchNorm2d(2, { engine }),
        new lg.PReLU({ numParameters: 2, engine }),
      ),
    sample: PLANES,
    isNormalization: true,
  },
];

const MESSAGES = ["backward", "backwardInput", "backwardParams"] as const;

describe("buffers, and what a layer remembers", () => {
  describeEngines((engine) => {
    describe.each(LAYERS)("$name", ({ name, make, sample = [4], isNormalization = false }) => {
      const random = (rows: number, seed: number): lg.Tensor => randomTensor(engine(), [rows, ...sample], seed);
      const scene = () => ({ layer: make(engine()), x: random(3, 1), dy: random(3, 2) });
      const shown = [3, ...sample].join(", ");

      it("1: remembers the last forward for any number of messages", () => {
        const { layer, x, dy } = scene();
        layer.forward(x);
        const dx = bits(layer.backward(dy).data);
        const once = stateBits(layer);
        layer.zeroGrad();
        expect(bits(layer.backwardInput(dy).data)).toEqual(dx);
        expect(bits(layer.backwardInput(dy).data)).toEqual(dx);
        layer.backwardParams(dy);
        expect(stateBits(layer)).toEqual(once);
        layer.backwardParams(dy);
        layer.parameters().forEach(({ name, grad }) => {
          const doubled = new Float32Array(once[`${name}.grad`].buffer).map((value) => value + value);
          // the second sum adds in another order: as close as roundings of its terms
          grad.data.forEach((value, i) => {
            expect(Math.abs(value - doubled[i])).toBeLessThanOrEqual(1e-5);
          });
        });
      });

      it("1: a later forward takes the place of the one before", () => {
        const { layer, x, dy } = scene();
        const later = random(3, 3);
        layer.forward(later);
        const want = bits(layer.backward(dy).data);
        const gradients = gradientBits(layer);
        layer.zeroGrad();
        layer.forward(x);
        layer.forward(later);
        expect(bits(layer.backward(dy).data)).toEqual(want);
        expect(gradientBits(layer)).toEqual(gradients);
      });

      it.each(MESSAGES)("1: %s without a forward, or after one in eval mode, is a StateError", async (message) => {
        const { layer, x, dy } = scene();
        const refused = async () =>
          expectRefusal(await refusal(() => layer[message](dy)), lg.StateError, /without a remembered forward/);
        await refused();
        layer.eval();
        layer.forward(x);
        await refused();
        layer.train();
        layer.forward(x);
        layer[message](dy);
        layer.eval();
        layer.forward(x);
        layer.train();
        await refused();
      });

      it(`1: eval mode gives ${isNormalization ? "other" : "the same"} values`, () => {
        const { layer, x } = scene();
        const trained = bits(layer.forward(x).data);
        const evaluated = bits(layer.eval().forward(x).data);
        if (isNormalization) expect(evaluated).not.toEqual(trained);
        else expect(evaluated).toEqual(trained);
      });

      it("2: x and dy are never modified, and arrays may be after the call", () => {
        const { layer, x, dy } = scene();
        const [xBits, dyBits] = [bits(x.data), bits(dy.data)];
        const y = bits(layer.forward(x).data);
        const dx = bits(layer.backward(dy).data);
        expect(bits(x.data)).toEqual(xBits);
        expect(bits(dy.data)).toEqual(dyBits);

        const rows = nested(x);
        const upstream = nested(dy);
        expect(bits(layer.forward(rows).data)).toEqual(y);
        expect(rows).toEqual(nested(x));
        // whatever is in there now
        rows.splice(0, rows.length, 7);
        expect(bits(layer.backward(upstream).data)).toEqual(dx);
        expect(upstream).toEqual(nested(dy));
      });

      it("2: an input that another call overwrote is a StateError that writes nothing", async () => {
        const { layer, dy } = scene();
        const before = new lg.ELU({ engine: engine() });
        const h = before.forward(random(3, 4));
        const y = layer.forward(h);
        layer.backward(dy);
        const state = stateBits(layer);
        const values = bits(y.data);
        before.forward(random(3, 5));
        for (const message of MESSAGES) {
          expectRefusal(await refusal(() => layer[message](dy)), lg.StateError, /overwritten since/);
          expect(stateBits(layer)).toEqual(state);
        }
        expect(bits(y.data)).toEqual(values);
      });

      it.each<[string, (x: lg.Tensor, other: lg.Tensor) => unknown]>([
        ["fill_", (x) => x.fill_(1)],
        ["add_", (x, other) => x.add_(other)],
        [
          "matmul",
          (x, other) =>
            lg.matmul(other.reshape([other.size, 1]), engine().tensor([[2]]), { out: x.reshape([x.size, 1]) }),
        ],
        ["an initialisation", (x) => lg.init.kaimingNormal_(x, { seed: 1 })],
        ["dispose", (x) => x.dispose()],
        ["a write through another handle", (x) => x.reshape([x.size]).fill_(2)],
      ])("2: an input that %s changed is a StateError that writes nothing", async (_, change) => {
        const { layer } = scene();
        const x = random(4, 6);
        const other = random(4, 7);
        layer.forward(x);
        layer.backward(other);
        const state = stateBits(layer);
        change(x, other);
        for (const message of MESSAGES) {
          const error = await refusal(() => layer[message](other));
          expectRefusal(error, lg.StateError, /the input of the last forward was (overwritten|disposed) since/);
          expect(stateBits(layer)).toEqual(state);
        }
      });

      it("2: what is done to its output does not reach what it remembers", () => {
        const { layer, x, dy } = scene();
        layer.forward(x);
        const dx = bits(layer.backward(dy).data);
        const gradients = gradientBits(layer);
        const changes: ((y: lg.Tensor) => unknown)[] = [
          (y) => y.add_(y.clone(), 3),
          (y) => y.fill_(Number.NaN),
          (y) => y.reshape([y.size]).data.fill(-7),
          // as another layer's input and output
          (y) => new lg.ReLU({ engine: engine() }).eval().forward(y),
        ];
        for (const change of changes) {
          layer.zeroGrad();
          change(layer.forward(x));
          expect(bits(layer.backward(dy).data)).toEqual(dx);
          expect(gradientBits(layer)).toEqual(gradients);
        }
      });

      it("3: what it returns is one object while the shape stays", () => {
        const { layer, x, dy } = scene();
        const y = layer.forward(x);
        const dx = layer.backward(dy);
        const first = bits(y.data);
        const kept = y.clone();
        const other = random(3, 8);
        expect(layer.forward(other)).toBe(y);
        expect(layer.backward(dy)).toBe(dx);
        expect(layer.backwardInput(dy)).toBe(dx);
        expect(layer.forward(nested(other))).toBe(y);
        const evaluated = layer.eval().forward(other);
        expect(layer.forward(nested(other))).toBe(evaluated);
        // the last layers of a net in eval mode may work in the place of what is before them
        if (!(layer instanceof lg.Sequential)) expect(evaluated).toBe(y);
        expect(bits(evaluated.data)).not.toEqual(first);
        expect(bits(kept.data)).toEqual(first);
      });

      it("3: a message of another kind leaves what it returned alone", () => {
        const { layer, x, dy } = scene();
        const y = layer.forward(x);
        const yBits = bits(y.data);
        const dx = layer.backward(dy);
        const dxBits = bits(dx.data);
        layer.backwardParams(random(3, 9));
        expect(bits(y.data)).toEqual(yBits);
        expect(bits(dx.data)).toEqual(dxBits);
      });

      it("3: another shape disposes the old object, never hands out its memory", async () => {
        const { layer, x, dy } = scene();
        const y = layer.forward(x);
        const dx = layer.backward(dy);
        layer.backward(layer.forward(random(2, 10)));
        for (const old of [y, dx]) {
          expect(old.disposed).toBe(true);
          for (const use of [
            () => old.data,
            () => old.toArray(),
            () => old.clone(),
            () => old.reshape([old.size]),
            () => old.fill_(0),
            () => layer.forward(old),
            () => lg.matmul(old, old),
          ]) {
            expectRefusal(await refusal(use), lg.StateError, new RegExp(`tensor \\[${shown}\\] was disposed`));
          }
        }
        const again = layer.forward(x);
        expect(again).not.toBe(y);
        expect(again.shape).toEqual([3, ...sample]);
      });

      it("3: shapes back and forth give the values of the shape", () => {
        const { layer } = scene();
        const sizes = [3, 1, 7, 7, 2, 0, 16, 3].filter((rows) => rows > 0 || !isNormalization);
        sizes.forEach((rows, i) => {
          const [x, dy] = [random(rows, 100 + i), random(rows, 200 + i)];
          const lone = make(engine());
          copyParameters(layer, lone);
          expect(bits(layer.forward(x).data)).toEqual(bits(lone.forward(x).data));
          expect(bits(layer.backwardInput(dy).data)).toEqual(bits(lone.backwardInput(dy).data));
        });
      });

      it("3: its tensors are not the caller's to dispose", async () => {
        const { layer, x, dy } = scene();
        const y = layer.forward(x);
        const dx = layer.backward(dy);
        for (const own of [y, dx, ...layer.parameters().flatMap(({ value, grad }) => [value, grad])]) {
          expectRefusal(await refusal(() => own.dispose()), lg.StateError, /belongs to a layer/);
          expect(own.disposed).toBe(false);
          expect(own.data.length).toBe(own.size);
        }
      });

      it("3: a handle of another shape keeps its values when the layer moves on", () => {
        const { layer, x } = scene();
        const y = layer.forward(x);
        const values = bits(y.data);
        const handle = y.reshape([y.size]);
        layer.forward(random(2, 12));
        layer.forward(random(3, 13));
        expect(bits(handle.data)).toEqual(values);
        handle.dispose();
        expect(layer.forward(x).shape).toEqual([3, ...sample]);
      });

      it("fed with what it returned it gives the same as fed with a copy", () => {
        const { layer, x } = scene();
        const fresh = make(engine());
        copyParameters(layer, fresh);
        const want = bits(fresh.forward(fresh.forward(x).clone()).data);
        expect(bits(layer.forward(layer.forward(x)).data)).toEqual(want);
      });

      it("sent back what it returned (dy = y, dy = dx) it gives the same as for a copy", () => {
        const { layer, x } = scene();
        const fresh = make(engine());
        copyParameters(layer, fresh);
        const y = layer.forward(x);
        const copy = fresh.forward(x).clone();
        expect(bits(layer.backward(y).data)).toEqual(bits(fresh.backward(copy).data));
        expect(bits(y.data)).toEqual(bits(copy.data));
        const dx = fresh.backwardInput(copy).clone();
        expect(bits(layer.backward(layer.backwardInput(y)).data)).toEqual(bits(fresh.backward(dx).data));
        expect(stateBits(layer)).toEqual(stateBits(fresh));
      });

      it("5: gradients after zeroGrad are zeros for everyone who reads them, and the next message overwrites them", () => {
        const { layer, x, dy } = scene();
        layer.forward(x);
        layer.backward(dy);
        const gradients = stateBits(layer);
        const readers: ((grad: lg.Tensor) => Iterable<lg.NestedNumbers>)[] = [
          (grad) => grad.data,
          (grad) => grad.toArray() as number[],
          (grad) => grad.clone().data,
          (grad) => grad.reshape([grad.size]).data,
          (grad) => engine().zeros(grad.shape).add_(grad).data,
          (grad) => new lg.ReLU({ engine: engine() }).forward(grad).data,
        ];
        for (const read of readers) {
          layer.zeroGrad();
          for (const { grad } of layer.parameters())
            expect(([...read(grad)] as unknown[]).flat(4)).toEqual(Array(grad.size).fill(0));
          layer.zeroGrad();
          layer.backwardParams(dy);
          expect(stateBits(layer)).toEqual(gradients);
        }
      });

      it("5: gradients of NaN are gone after zeroGrad", () => {
        const { layer, x, dy } = scene();
        layer.forward(x);
        layer.backwardParams(dy);
        const gradients = stateBits(layer);
        for (const { grad } of layer.parameters()) grad.fill_(Number.NaN);
        layer.zeroGrad();
        layer.backwardParams(dy);
        expect(stateBits(layer)).toEqual(gradients);
      });

      it("5: what is written to a gradient after zeroGrad counts", () => {
        const { layer, x, dy } = scene();
        layer.forward(x);
        layer.backwardParams(dy);
        const gradients = layer.parameters().map(({ grad }) => grad.data.slice());
        layer.zeroGrad();
        for (const { grad } of layer.parameters()) grad.fill_(4);
        layer.backwardParams(dy);
        layer.parameters().forEach(({ grad }, p) => {
          grad.data.forEach((value, i) => {
            expect(Math.abs(value - (gradients[p][i] + 4))).toBeLessThanOrEqual(1e-5);
          });
        });
      });

      it("5: a step after zeroGrad skips what has no gradient, and sees zeros where one was fetched", () => {
        const { layer, x, dy } = scene();
        if (layer.parameters().length === 0) return;
        const sgd = new lg.SGD(layer.parameters(), { lr: 0.5, weightDecay: 0.5 });
        layer.forward(x);
        layer.backwardParams(dy);
        sgd.zeroGrad();
        const before = layer.parameters().map(({ value }) => bits(value.data));
        sgd.step();
        expect(layer.parameters().map(({ value }) => bits(value.data))).toEqual(before);
        const want = layer.parameters().map(({ value, grad }) => {
          expect(grad.data.every((g) => g === 0)).toBe(true);
          return value.data.map((p) => p - 0.5 * (0.5 * p));
        });
        sgd.step();
        layer.parameters().forEach(({ value }, p) => {
          expect([...value.data]).toEqual([...want[p]]);
        });
      });

      it("6: a write to a parameter's data counts from the next call on", () => {
        const { layer, x, dy } = scene();
        const fresh = make(engine());
        layer.forward(x);
        const donor = make(engine());
        donor.parameters().forEach(({ value }, i) => {
          value.data.set(new Random(20 + i).values(value.size));
        });
        copyParameters(donor, layer);
        copyParameters(donor, fresh);
        expect(bits(layer.forward(x).data)).toEqual(bits(fresh.forward(x).data));
        expect(bits(layer.backward(dy).data)).toEqual(bits(fresh.backward(dy).data));
      });

      it("7: a steady loop allocates nothing, for every form of x and dy that it takes", () => {
        const { layer, x, dy } = scene();
        const takesFlat = /^Linear|^a (fused )?net$/.test(name);
        const rows = nested(x);
        const upstream = nested(dy);
        const step = (): unknown[] => {
          layer.zeroGrad();
          const objects: unknown[] = [layer.forward(rows), layer.backward(upstream)];
          objects.push(layer.forward(x), layer.backwardInput(dy));
          layer.backwardParams(dy);
          if (takesFlat) objects.push(layer.forward(x.data), layer.backward(dy.data));
          return objects;
        };
        const objects = step();
        const { used, peak } = engine().memory;
        for (let i = 0; i < 20; i++) {
          step().forEach((object, k) => {
            expect(object).toBe(objects[k]);
          });
        }
        expect(engine().memory).toMatchObject({ used, peak });
      });

      it("a batch of 0 gives an empty output and adds nothing", async () => {
        const { layer, x, dy } = scene();
        const empty = engine().zeros([0, ...sample]);
        layer.forward(x);
        layer.backwardParams(dy);
        const state = stateBits(layer);
        if (isNormalization) {
          expectRefusal(await refusal(() => layer.forward(empty)), lg.ShapeError, /at least two values a channel/);
          expect(stateBits(layer)).toEqual(state);
        } else {
          const y = layer.forward(empty);
          expect(y.shape).toEqual([0, ...sample]);
          expect(y.toArray()).toEqual([]);
          expect(layer.backward(empty).shape).toEqual([0, ...sample]);
          layer.backwardParams(empty);
          expect(stateBits(layer)).toEqual(state);
          // where gradients are only marked as zero, adding nothing has to leave zeros
          layer.zeroGrad();
          layer.backwardParams(empty);
          for (const { grad } of layer.parameters()) expect([...grad.data]).toEqual(Array(grad.size).fill(0));
        }
        expect(layer.eval().forward(empty).shape).toEqual([0, ...sample]);
      });

      // statistics of one value are none
      if (!isNormalization) {
        it("a single sample goes through without its axis N, alike in every form", () => {
          const { layer } = scene();
          const single = randomTensor(engine(), [...sample], 14);
          const batch = single.reshape([1, ...sample]);
          const dy = randomTensor(engine(), [...sample], 15);
          const want = bits(layer.forward(batch).data);
          const wantDx = bits(layer.backward(dy.reshape([1, ...sample])).data);
          const gradients = stateBits(layer);
          for (const x of [single, nested(single)]) {
            layer.zeroGrad();
            const y = layer.forward(x);
            expect(y.shape).toEqual(sample);
            expect(bits(y.data)).toEqual(want);
            const dx = layer.backward(x === single ? dy : nested(dy));
            expect(dx.shape).toEqual(sample);
            expect(bits(dx.data)).toEqual(wantDx);
            expect(stateBits(layer)).toEqual(gradients);
          }
        });
      }

      it("dispose gives back every byte, and any use afterwards is a StateError", async () => {
        const { x, dy } = scene();
        const { used } = engine().memory;
        const layer = make(engine());
        layer.forward(nested(x));
        layer.backward(nested(dy));
        lg.mseLoss(layer.forward(x), dy);
        using other = random(2, 3);
        layer.forward(other).data.fill(0);
        const parameters = layer.parameters();
        const state = Object.values(layer.stateDict());
        const y = layer.forward(x);
        layer.dispose();
        layer.dispose();
        for (const tensor of [y, ...state, ...parameters.map(({ grad }) => grad)]) {
          expectRefusal(await refusal(() => tensor.data), lg.StateError, /was disposed/);
        }
        for (const use of [
          () => layer.forward(x),
          () => layer.backward(dy),
          () => layer.backwardInput(dy),
          () => layer.backwardParams(dy),
        ]) {
          expectRefusal(await refusal(use), lg.StateError, /was disposed/);
        }
        if (parameters.length > 0) expectRefusal(await refusal(() => layer.zeroGrad()), lg.StateError, /was disposed/);
        other.dispose();
        expect(engine().memory.used).toBe(used);
      });

      it("`using` disposes it", async () => {
        const { x } = scene();
        const { used } = engine().memory;
        {
          using layer = make(engine());
          layer.forward(x);
        }
        expect(engine().memory.used).toBe(used);
      });
    });

    describe("2, 3: a net fed with what it returned", () => {
      it("goes back right, or says that the input is gone and writes nothing", async () => {
        const net = new lg.Sequential(
          new lg.LinearPReLU(4, 5, { engine: engine() }),
          new lg.Linear(5, 4, { engine: engine() }),
        );
        const fresh = new lg.Sequential(
          new lg.LinearPReLU(4, 5, { engine: engine() }),
          new lg.Linear(5, 4, { engine: engine() }),
        );
        copyParameters(net, fresh);
        const x = randomTensor(engine(), [3, 4], 1);
        const dy = randomTensor(engine(), [3, 4], 2);
        const untouched = stateBits(net);
        fresh.forward(fresh.forward(x).clone());
        fresh.backward(dy);
        net.forward(net.forward(x));
        const error = await refusal(() => net.backward(dy));
        if (error === undefined) {
          expect(stateBits(net)).toEqual(stateBits(fresh));
        } else {
          expectRefusal(error, lg.StateError, /overwritten/);
          expect(stateBits(net)).toEqual(untouched);
        }
      });
    });

    describe("4: a loss's gradient", () => {
      it("is one object for one tensor, overwritten by the next loss on it", () => {
        const logits = randomTensor(engine(), [3, 4], 1);
        const { grad } = lg.crossEntropy(logits, [0, 1, 2]);
        const first = bits(grad.data);
        const second = lg.crossEntropy(logits, [3, 3, 3]);
        expect(second.grad).toBe(grad);
        expect(bits(grad.data)).not.toEqual(first);
        expect(lg.crossEntropy(logits, [0, 1, 2]).grad).toBe(grad);
        expect(bits(grad.data)).toEqual(first);
      });

      it("is untouched by a loss on another tensor", () => {
        const one = randomTensor(engine(), [3, 4], 1);
        const { grad } = lg.crossEntropy(one, [0, 1, 2]);
        const values = bits(grad.data);
        const other = lg.crossEntropy(randomTensor(engine(), [3, 4], 2), [0, 1, 2]);
        const view = lg.crossEntropy(one.clone(), [1, 1, 1]);
        expect(other.grad).not.toBe(grad);
        expect(view.grad).not.toBe(grad);
        expect(bits(grad.data)).toEqual(values);
      });

      it("leaves the logits alone and goes with them", async () => {
        const { used } = engine().memory;
        const logits = randomTensor(engine(), [3, 4], 1);
        const values = bits(logits.data);
        const { grad } = lg.crossEntropy(logits, [0, 1, 2]);
        expect(bits(logits.data)).toEqual(values);
        expectRefusal(await refusal(() => grad.dispose()), lg.StateError, /belongs to/);
        logits.dispose();
        expectRefusal(await refusal(() => grad.data), lg.StateError, /was disposed/);
        expect(engine().memory.used).toBe(used);
      });
    });

    describe("8: twice, and engines", () => {
      it("nothing of another engine enters a call", async () => {
        const other = lg.createEngine({ kernels: "js" });
        const here = randomTensor(engine(), [2, 2], 1);
        const there = randomTensor(other, [2, 2], 1);
        const layer = new lg.Linear(2, 2, { engine: engine() });
        layer.forward(here);
        const { used } = engine().memory;
        for (const call of [
          () => layer.forward(there),
          () => layer.backward(there),
          () => here.add_(there),
          () => lg.matmul(here, there),
          () => lg.matmul(there, here),
          () => lg.matmul(here, here, { out: there }),
          () => new lg.Sequential(layer, new lg.ReLU({ engine: other })),
          () => new lg.Sequential(new lg.ReLU({ engine: other }), new lg.Sequential(layer)),
        ]) {
          expectRefusal(await refusal(call), lg.EngineError, /engine/);
        }
        expect(engine().memory.used).toBe(used);
        other.dispose();
      });

      it("a disposed engine refuses all its tensors, layers and optimizers", async () => {
        const gone = lg.createEngine({ kernels: engine().kernels });
        const x = randomTensor(gone, [2, 4], 1);
        const net = new lg.Sequential(new lg.Linear(4, 4, { engine: gone }), new lg.ReLU({ engine: gone }));
        const layer = new lg.LinearPReLU(4, 4, { engine: gone });
        const optimizer = new lg.SGD(layer.parameters(), { lr: 1 });
        layer.backward(layer.forward(x));
        net.backward(net.forward(x));
        gone.dispose();
        gone.dispose();
        for (const use of [
          () => gone.zeros([1]),
          () => gone.tensor([1]),
          () => gone.memory,
          () => gone.warmUp(),
          () => x.data,
          () => x.toArray(),
          () => x.clone(),
          () => x.reshape([8]),
          () => x.fill_(0),
          () => x.add_(x),
          () => lg.matmul(x, x, { transposeB: true }),
          () => lg.crossEntropy(x, [0, 0]),
          () => lg.init.zeros_(x),
          () => new lg.Linear(4, 4, { engine: gone }),
          () => new lg.PReLU({ engine: gone }),
          () => new lg.ReLU({ engine: gone }),
          () => new lg.Sequential(layer),
          () => new lg.SGD(layer.parameters(), { lr: 1 }),
          () => layer.forward([1, 2, 3, 4]),
          () => layer.backward([[1, 2, 3, 4]]),
          () => layer.zeroGrad(),
          () => layer.slopes(),
          () => net.forward(new Float32Array(4)),
          () => net.backwardParams(new Float32Array(8)),
          () => optimizer.step(),
          () => optimizer.zeroGrad(),
          () => lg.predict(net, [[1, 2, 3, 4]]),
          () => lg.evaluate(net, { x: [[1, 2, 3, 4]], y: [0] }),
          () => lg.fit(net, { train: { x: [[1, 2, 3, 4]], y: [0] }, epochs: 1, batchSize: 1, optimizer }),
        ]) {
          expectRefusal(await refusal(use), lg.EngineError, /engine was disposed/);
        }
        // what was there may still be let go
        x.dispose();
        layer.dispose();
        net.dispose();
      });
    });

    describe("memory runs out", () => {
      /** An engine of 2 MiB with so many bytes left, whatever its kernels' work area takes. */
      const tightEngine = (free: number): { tight: lg.Engine; ballast: lg.Tensor } => {
        const tight = lg.createEngine({ kernels: engine().kernels, maximumMemory: 2 ** 21 });
        // the first page is no one's to allocate
        const ballast = tight.zeros([(2 ** 21 - 2 ** 16 - tight.memory.used - free) / 4]);
        return { tight, ballast };
      };
      const OUT = /out of linear memory: \d+ bytes were asked for, \d+ are in use, 2097152 are allowed .*dispose/;

      it("the message says how much was asked, used and allowed", async () => {
        const { tight } = tightEngine(4096);
        const memory = { ...tight.memory };
        const error = await refusal(() => tight.zeros([1025]));
        expectRefusal(error, lg.MemoryError, OUT);
        // in blocks of 64 bytes
        expect((error as Error).message).toContain(`4160 bytes were asked for, ${memory.used} are in use`);
        expect(tight.memory).toEqual(memory);
        expect(tight.zeros([1024]).size).toBe(1024);
      });

      it.each<[string, (layer: lg.Layer, rows: number) => unknown]>([
        ["forward of arrays", (layer, rows) => layer.forward(new Float32Array(rows))],
        ["forward in eval mode", (layer, rows) => layer.eval().forward(new Float32Array(rows))],
      ])("%s leaves the layer as it was", async (_, forward) => {
        const { tight } = tightEngine(2 ** 17);
        // one input and many outputs: the copy of x fits, y does not
        const layer = new lg.LinearPReLU(1, 512, { engine: tight });
        const twin = new lg.LinearPReLU(1, 512, { engine: engine() });
        copyParameters(layer, twin);
        const [x, dy] = [[[0.5], [-0.25]], nested(randomTensor(engine(), [2, 512], 1))];
        const y = layer.forward(x);
        twin.forward(x);
        const values = bits(y.data);
        const { used } = tight.memory;
        expectRefusal(await refusal(() => forward(layer, 1024)), lg.MemoryError, OUT);
        layer.train();
        expect(tight.memory.used).toBe(used);
        expect(bits(y.data)).toEqual(values);
        expect(bits(layer.backward(dy).data)).toEqual(bits(twin.backward(dy).data));
        expect(stateBits(layer)).toEqual(stateBits(twin));
        tight.dispose();
      });

      it("backward leaves the gradients as they were and may be asked again", async () => {
        const { tight, ballast } = tightEngine(50_000);
        // x, s and y fit, dx [16, 512] does not
        const layer = new lg.LinearPReLU(512, 1, { engine: tight });
        layer.forward(randomTensor(tight, [16, 512], 1));
        const state = stateBits(layer);
        const { used } = tight.memory;
        const dy = Array.from({ length: 16 }, () => [1]);
        for (const message of ["backward", "backwardInput"] as const) {
          expectRefusal(await refusal(() => layer[message](dy)), lg.MemoryError, OUT);
          expect(stateBits(layer)).toEqual(state);
          expect(tight.memory.used).toBe(used);
        }
        ballast.dispose();
        layer.backward(dy);
        expect(stateBits(layer)).not.toEqual(state);
        tight.dispose();
      });

      it("a layer that does not fit leaves nothing behind", async () => {
        const { tight } = tightEngine(400_000);
        const { used } = tight.memory;
        for (const make of [
          // the weight fits, its gradient does not
          () => new lg.Linear(256, 300, { engine: tight }),
          () => new lg.LinearPReLU(256, 300, { engine: tight }),
          () => new lg.PReLU({ numParameters: 70_000, engine: tight }),
          () => new lg.Conv2d(256, 300, 1, { engine: tight }),
          // its statistics and weight fit, its bias does not
          () => new lg.BatchNorm1d(21_000, { engine: tight }),
        ]) {
          expectRefusal(await refusal(make), lg.MemoryError, OUT);
          expect(tight.memory.used).toBe(used);
        }
        tight.dispose();
      });

      it("an optimizer's first step changes nothing", async () => {
        const { tight } = tightEngine(300_000);
        // state for the first layers fits, for the last it does not
        const net = new lg.Sequential(
          new lg.Linear(64, 2, { engine: tight }),
          new lg.Linear(2, 64, { engine: tight }),
          new lg.Linear(64, 400, { engine: tight }),
        );
        net.backwardParams(net.forward(randomTensor(tight, [2, 64], 1)));
        const state = stateBits(net);
        const { used } = tight.memory;
        for (const optimizer of [
          new lg.Adam(net.parameters()),
          new lg.SGD(net.parameters(), { lr: 1, momentum: 0.9 }),
        ]) {
          expectRefusal(await refusal(() => optimizer.step()), lg.MemoryError, OUT);
          expect(stateBits(net)).toEqual(state);
          expect(tight.memory.used).toBe(used);
        }
        tight.dispose();
      });

      it("a loss changes nothing", async () => {
        const { tight, ballast } = tightEngine(200_000);
        const logits = randomTensor(tight, [1, 30_000], 1);
        const { used } = tight.memory;
        expectRefusal(await refusal(() => lg.crossEntropy(logits, [0])), lg.MemoryError, OUT);
        expect(tight.memory.used).toBe(used);
        ballast.dispose();
        expect(lg.crossEntropy(logits, [0]).grad.shape).toEqual([1, 30_000]);
        tight.dispose();
      });

      it("a matmul and a clone change nothing", async () => {
        const { tight } = tightEngine(8192);
        const a = randomTensor(tight, [1024, 1], 1);
        const { used } = tight.memory;
        for (const call of [() => lg.matmul(a, a, { transposeB: true }), () => [a.clone(), a.clone()]]) {
          expectRefusal(await refusal(call), lg.MemoryError, OUT);
        }
        expect(tight.memory.used).toBe(used + 4096);
        tight.dispose();
      });
    });
  });
});

describe("what x, dy and targets may be", () => {
  describeEngines((engine) => {
    const DENSE: [string, () => lg.Layer][] = [
      ["Linear", () => new lg.Linear(3, 2, { engine: engine() })],
      ["LinearPReLU", () => new lg.LinearPReLU(3, 2, { engine: engine() })],
      ["a net", () => new lg.Sequential(new lg.Linear(3, 2, { engine: engine() }), new lg.PReLU({ engine: engine() }))],
      [
        "a nested net",
        () => new lg.Sequential(new lg.Sequential({ a: new lg.LinearPReLU(3, 2, { engine: engine() }) })),
      ],
    ];

    it.each(DENSE)("%s: a Float32Array is always a batch", (_, make) => {
      const layer = make();
      const values = new Random(1).values(6);
      const want = bits(layer.forward(engine().tensor(values, [2, 3])).data);
      const y = layer.forward(values);
      expect(y.shape).toEqual([2, 2]);
      expect(bits(y.data)).toEqual(want);
      expect(layer.backward(new Float32Array(4)).shape).toEqual([2, 3]);
      expect(layer.forward(values.subarray(0, 3)).shape).toEqual([1, 2]);
      expect(layer.forward(new Float32Array(0)).shape).toEqual([0, 2]);
      expect(layer.backward(new Float32Array(0)).shape).toEqual([0, 3]);
    });

    it.each(DENSE)("%s: a flat number[] is one sample", (_, make) => {
      const layer = make();
      expect(layer.forward([1, 2, 3]).shape).toEqual([2]);
      expect(layer.backward([1, 2]).shape).toEqual([3]);
      expect(layer.forward([[1, 2, 3]]).shape).toEqual([1, 2]);
      expect(layer.backward([[1, 2]]).shape).toEqual([1, 3]);
    });

    it.each(DENSE)("%s: a Float32Array over the engine's own memory is copied like any other", (_, make) => {
      const layer = make();
      const x = randomTensor(engine(), [2, 3], 4);
      const want = bits(layer.forward(x).data);
      expect(bits(layer.forward(x.data).data)).toEqual(want);
      // the layer's own output as its input, through a view
      const square = new lg.Linear(3, 3, { engine: engine() });
      const twin = new lg.Linear(3, 3, { engine: engine() });
      copyParameters(square, twin);
      expect(bits(square.forward(square.forward(x).data).data)).toEqual(
        bits(twin.forward(twin.forward(x).clone()).data),
      );
    });

    it.each<[shape: number[], channels: number]>([
      [[4], 4],
      [[3, 4], 4],
      [[2, 3, 5], 3],
      [[2, 3, 4, 5], 3],
      [[0, 3, 2], 3],
      [[2, 3, 0], 3],
      [[2, 4], 1],
      [[], 1],
      [[7], 1],
      [[2, 3, 4], 1],
    ])("PReLU takes %j with %i slopes, along axis 1 (0 of one sample)", (shape, channels) => {
      const layer = new lg.PReLU({ numParameters: channels, engine: engine() });
      const slopes = layer.parameters()[0].value.data;
      slopes.forEach((_, c) => {
        slopes[c] = (c + 1) / 8;
      });
      const x = randomTensor(engine(), shape, 5);
      const dy = randomTensor(engine(), shape, 6);
      const inner = shape.slice(2).reduce((size, length) => size * length, 1);
      const channelOf = (i: number): number => Math.floor(i / inner) % channels;
      const y = layer.forward(x);
      expect(y.shape).toEqual(shape);
      expect([...y.data]).toEqual([...x.data].map((v, i) => (v > 0 ? v : Math.fround(slopes[channelOf(i)] * v))));
      const dx = layer.backward(dy);
      expect(dx.shape).toEqual(shape);
      const want = new Float64Array(channels);
      x.data.forEach((v, i) => {
        if (!(v > 0)) want[channelOf(i)] += v * dy.data[i];
      });
      const got = layer.parameters()[0].grad.data;
      want.forEach((sum, c) => {
        expect(Math.abs(got[c] - sum)).toBeLessThanOrEqual(1e-5);
      });
    });

    it.each<[string, ArrayLike<number>]>([
      ["number[]", [0, 2, 1]],
      ["Uint8Array", Uint8Array.of(0, 2, 1)],
      ["Uint8ClampedArray", Uint8ClampedArray.of(0, 2, 1)],
      ["Int8Array", Int8Array.of(0, 2, 1)],
      ["Uint16Array", Uint16Array.of(0, 2, 1)],
      ["Int16Array", Int16Array.of(0, 2, 1)],
      ["Uint32Array", Uint32Array.of(0, 2, 1)],
      ["Int32Array", Int32Array.of(0, 2, 1)],
      ["Float32Array", Float32Array.of(0, 2, 1)],
      ["Float64Array", Float64Array.of(0, 2, 1)],
      ["Buffer", Buffer.from([0, 2, 1])],
    ])("labels in a %s", (_, labels) => {
      const logits = randomTensor(engine(), [3, 3], 1);
      const { loss, grad } = lg.crossEntropy(logits, [0, 2, 1]);
      const want = bits(grad.data);
      const got = lg.crossEntropy(logits, labels);
      expect(got.loss).toBe(loss);
      expect(bits(got.grad.data)).toEqual(want);
    });

    it("labels in a tensor, and one number for one sample", () => {
      const logits = randomTensor(engine(), [3, 3], 1);
      const { loss } = lg.crossEntropy(logits, [0, 2, 1]);
      expect(lg.crossEntropy(logits, engine().tensor([0, 2, 1])).loss).toBe(loss);
      const sample = randomTensor(engine(), [3], 2);
      const one = lg.crossEntropy(sample, [1]);
      expect(one.grad.shape).toEqual([3]);
      expect(lg.crossEntropy(sample, 1).loss).toBe(one.loss);
    });

    it("labels of 64-bit integers, PyTorch's own type", () => {
      const logits = randomTensor(engine(), [3, 3], 1);
      const { loss } = lg.crossEntropy(logits, [0, 2, 1]);
      const labels = BigInt64Array.of(0n, 2n, 1n) as unknown as ArrayLike<number>;
      expect(lg.crossEntropy(logits, labels).loss).toBe(loss);
    });

    it("a batch of 0 has a sum and no mean", async () => {
      const empty = engine().zeros([0, 3]);
      const { loss, grad } = lg.crossEntropy(empty, [], { reduction: "sum" });
      expect(loss).toBe(0);
      expect(grad.shape).toEqual([0, 3]);
      expectRefusal(await refusal(() => lg.crossEntropy(empty, [])), lg.ShapeError, /no samples/);
    });
  });
});
