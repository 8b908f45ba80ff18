import { isDeepStrictEqual } from "node:util";
import * as lg from "lanegrad";
import { beforeAll, describe, expect, it } from "vitest";
import { describeEngines } from "./engines.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits, wrong } from "./state.js";

/**
 * Layers, a net, optimizers and tensors in the middle of training: every layer has run forward and backward, so that gradients
 * are not zero and a forward is remembered. On engines of its own, so that a row cannot disturb another.
 */
export class Scene {
  readonly engine: lg.Engine;
  readonly other = lg.createEngine({ kernels: "js" });
  readonly linear: lg.Linear;
  readonly fused: lg.LinearPReLU;
  readonly prelu: lg.PReLU;
  readonly relu: lg.ReLU;
  readonly net: lg.Sequential;
  readonly reluFirst: lg.Sequential;
  readonly conv: lg.Conv2d;
  readonly norm1d: lg.BatchNorm1d;
  readonly norm2d: lg.BatchNorm2d;
  readonly pool: lg.MaxPool2d;
  readonly flatten: lg.Flatten;
  readonly dropout: lg.Dropout;
  readonly cnn: lg.Sequential;
  readonly sgd: lg.SGD;
  readonly adam: lg.Adam;
  readonly x: lg.Tensor;
  readonly a: lg.Tensor;
  readonly b: lg.Tensor;
  readonly foreign: lg.Tensor;
  /** [2, 3, 4, 5], for the layers of images, and the same shape on another engine. */
  readonly images: lg.Tensor;
  readonly foreignImages: lg.Tensor;
  readonly #inputs: Map<lg.Layer, lg.Tensor>;
  readonly #outputShapes: (readonly number[])[];

  constructor(kernels: lg.Engine["kernels"]) {
    const engine = lg.createEngine({ kernels, seed: 5 });
    this.engine = engine;
    this.linear = new lg.Linear(4, 3, { engine });
    this.fused = new lg.LinearPReLU(4, 3, { engine });
    this.prelu = new lg.PReLU({ numParameters: 4, engine });
    this.relu = new lg.ReLU({ engine });
    this.net = new lg.Sequential(
      new lg.Linear(4, 3, { engine }),
      new lg.PReLU({ numParameters: 3, engine }),
      new lg.LinearPReLU(3, 2, { engine }),
    );
    this.reluFirst = new lg.Sequential(new lg.ReLU({ engine }), new lg.Linear(4, 3, { engine }));
    this.conv = new lg.Conv2d(3, 2, [3, 2], { padding: [1, 0], engine });
    this.norm1d = new lg.BatchNorm1d(4, { engine });
    this.norm2d = new lg.BatchNorm2d(3, { engine });
    this.pool = new lg.MaxPool2d(2, { engine });
    this.flatten = new lg.Flatten({ engine });
    this.dropout = new lg.Dropout(0.5, { engine });
    // normalises before it can know whether the last layer takes the plane
    this.cnn = new lg.Sequential(
      new lg.BatchNorm2d(3, { engine }),
      new lg.Conv2d(3, 2, 3, { padding: 1, engine }),
      new lg.PReLU({ numParameters: 2, engine }),
      new lg.Dropout(0.25, { engine }),
      new lg.MaxPool2d(2, { engine }),
      new lg.Flatten({ engine }),
      new lg.Linear(8, 2, { engine }),
    );
    this.sgd = new lg.SGD(this.linear.parameters(), { lr: 0.1, momentum: 0.9 });
    this.adam = new lg.Adam(this.net.parameters());
    this.x = randomTensor(engine, [2, 4], 1);
    this.a = randomTensor(engine, [2, 3], 2);
    this.b = randomTensor(engine, [3, 2], 3);
    this.foreign = randomTensor(this.other, [2, 4], 4);
    this.images = randomTensor(engine, [2, 3, 4, 5], 6);
    this.foreignImages = randomTensor(this.other, [2, 3, 4, 5], 7);
    const dense = [this.linear, this.fused, this.prelu, this.relu, this.net, this.reluFirst, this.norm1d];
    const spatial = [this.conv, this.norm2d, this.pool, this.flatten, this.dropout, this.cnn];
    this.#inputs = new Map<lg.Layer, lg.Tensor>([
      ...dense.map((layer) => [layer, this.x] as const),
      ...spatial.map((layer) => [layer, this.images] as const),
    ]);
    const send = (): (readonly number[])[] =>
      [...this.#inputs].map(([layer, x]) => {
        const y = layer.forward(x);
        layer.backward(y);
        return y.shape;
      });
    send();
    lg.crossEntropy(this.net.forward(this.x), [0, 1]);
    this.sgd.step();
    this.adam.step();
    this.#outputShapes = send();
  }

  /** Bytes in use on every engine that a call may reach. */
  memory(): number[] {
    return [this.engine, this.other, lg.defaultEngine()].map(({ memory }) => memory.used);
  }

  /** Parameters, gradients and tensors, then what the remembered forwards, the optimizers and the generator give from here. */
  witness(): unknown {
    const { engine, x, a, b, foreign, images, foreignImages } = this;
    const layers = [...this.#inputs.keys()];
    const states = layers.map(stateBits);
    const tensors = [x, a, b, foreign, images, foreignImages].map(({ data }) => bits(data));
    const modes = layers.map(({ training }) => training);
    const rates = [this.sgd, this.adam].map(({ lr, groups }) => [lr, groups.length]);
    const messages = layers.map((layer, i) => {
      const dy = randomTensor(engine, [...this.#outputShapes[i]], 9);
      return bits(layer.backward(dy).data);
    });
    const after = layers.map(stateBits);
    this.sgd.step();
    this.adam.step();
    const trained = layers.map(valueBits);
    const draws = valueBits(new lg.Linear(2, 2, { engine }));
    return { states, tensors, modes, rates, messages, after, trained, draws };
  }

  dispose(): void {
    this.engine.dispose();
    this.other.dispose();
  }
}

export interface Row {
  readonly name: string;
  readonly call: (scene: Scene) => unknown;
  readonly error: new (message: string) => lg.LanegradError;
  readonly message: RegExp;
}

export const row = (name: string, error: Row["error"], message: RegExp, call: Row["call"]): Row => ({
  name,
  call,
  error,
  message,
});

/** Sizes are integers >= 1; each of these is none, and the message shows it. */
export const NO_SIZES: [unknown, string][] = [
  [0, "0"],
  [-3, "-3"],
  [1.5, "1\\.5"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["4", '"4"'],
  [null, "null"],
  [4n, "4n"],
];

export const sizeRows = (what: string, pattern: string, call: (scene: Scene, size: never) => unknown): Row[] =>
  NO_SIZES.map(([size, shown]) =>
    row(
      `${what} ${shown.replaceAll("\\", "")}`,
      lg.ArgumentError,
      new RegExp(`${pattern}.*got ${shown}, expected`),
      (s) => call(s, wrong(size)),
    ),
  );

/** What is not finite and >= 0. */
export const NO_RATES: [unknown, string][] = [
  [-0.1, "-0\\.1"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["0.1", '"0\\.1"'],
  [null, "null"],
];

export const MESSAGES = ["backward", "backwardInput", "backwardParams"] as const;

/** A forward of zeros in this shape. */
export const zerosThrough = (pick: (scene: Scene) => lg.Layer, shape: number[]) => (scene: Scene) => {
  using zeros = scene.engine.zeros(shape);
  return pick(scene).forward(zeros);
};

/** Declares a test for each row, by the groups' names: the call is refused, and everything is as if it had not been made. */
export function describeWrongCalls(groups: Record<string, Row[]>): void {
  describe("a wrong call says what is wrong and leaves everything as it was", () => {
    describeEngines((engine) => {
      let untouched: unknown;
      beforeAll(() => {
        const scene = new Scene(engine().kernels);
        untouched = scene.witness();
        scene.dispose();
      });

      describe.each(Object.entries(groups))("%s", (_, rows) => {
        it.each(rows)("$name", async ({ call, error, message }) => {
          const scene = new Scene(engine().kernels);
          try {
            const memory = scene.memory();
            expectRefusal(await refusal(() => call(scene)), error, message);
            expect(scene.memory()).toEqual(memory);
            const witness = scene.witness();
            // Vitest says what differs, but takes ten times as long to say that nothing does
            if (!isDeepStrictEqual(witness, untouched)) expect(witness).toStrictEqual(untouched);
          } finally {
            scene.dispose();
          }
        });
      });
    });
  });
}
