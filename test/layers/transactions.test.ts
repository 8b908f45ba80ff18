import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import type { LinearMemory } from "../../src/memory.js";
import type { RandomGenerator } from "../../src/random.js";
import type { GradientFlags } from "../../src/tensor.js";
import { describeEngines } from "../support/engines.js";
import { Gain, Residual } from "../support/layers.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits } from "../support/state.js";

/**
 * A message that fails for want of memory, at each of its allocations in turn, leaves everything as it was: the same call, made again,
 * gives the bits of a net that never failed.
 */

interface Subject {
  readonly name: string;
  readonly make: (engine: lg.Engine) => lg.Layer;
  readonly sample: readonly number[];
  readonly outputs: number;
  /** A layer of the user's in it: what that remembers is its own, so a forward that failed there ends the one before. */
  readonly isForeign?: boolean;
}

/** A user's layer without parameters that takes memory in each message. */
class Twice extends lg.Layer {
  override forward(x: lg.Input): lg.Tensor {
    return (x as lg.Tensor).clone().add_(x as lg.Tensor);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return this.forward(dy);
  }
}

const norm = (engine: lg.Engine, channels: number) => new lg.BatchNorm1d(channels, { engine });
const dense = (engine: lg.Engine, n: number, k: number) => new lg.Linear(n, k, { engine });
const dropout = (engine: lg.Engine) => new lg.Dropout(0.5, { engine });
const slopes = (engine: lg.Engine, numParameters: number, constraint: lg.SlopeConstraint) =>
  new lg.PReLU({ numParameters, constraint, penalty: 0.5, engine });
const block = (engine: lg.Engine) =>
  new lg.Sequential(dense(engine, 4, 4), norm(engine, 4), slopes(engine, 1, "exp"), dropout(engine));

const images = (engine: lg.Engine) =>
  new lg.Sequential(
    new lg.Conv2d(1, 3, 3, { padding: 1, engine }),
    new lg.BatchNorm2d(3, { engine }),
    slopes(engine, 3, "square"),
    new lg.MaxPool2d(2, { engine }),
    new lg.Conv2d(3, 2, 2, { engine }),
    new lg.PReLU({ constraint: "exp", penalty: 0.1, engine }),
    new lg.Flatten({ engine }),
    dense(engine, 2, 3),
  );

const SUBJECTS: Subject[] = [
  { name: "Linear", make: (e) => dense(e, 4, 3), sample: [4], outputs: 3 },
  {
    name: "LinearPReLU under a constraint",
    make: (engine) => new lg.LinearPReLU(4, 3, { constraint: "exp", penalty: 0.5, engine }),
    sample: [4],
    outputs: 3,
  },
  { name: "PReLU under a constraint", make: (e) => slopes(e, 4, "square"), sample: [4], outputs: 4 },
  { name: "BatchNorm1d", make: (e) => norm(e, 4), sample: [4], outputs: 4 },
  {
    name: "a net",
    make: (e) =>
      new lg.Sequential(
        dense(e, 4, 6),
        slopes(e, 6, "exp"),
        norm(e, 6),
        dropout(e),
        slopes(e, 6, "none"),
        new lg.LinearPReLU(6, 5, { engine: e }),
        dense(e, 5, 2),
      ),
    sample: [4],
    outputs: 2,
  },
  {
    name: "a net of nets",
    make: (e) => new lg.Sequential(norm(e, 4), block(e), new lg.Sequential(block(e), norm(e, 4)), dense(e, 4, 2)),
    sample: [4],
    outputs: 2,
  },
  { name: "a convolutional net", make: images, sample: [1, 4, 4], outputs: 3 },
  {
    name: "a net with a user's layers",
    make: (e) =>
      new lg.Sequential(
        norm(e, 4),
        dropout(e),
        dense(e, 4, 4),
        new Gain(e, 4),
        norm(e, 4),
        new Twice(),
        block(e),
        dense(e, 4, 2),
      ),
    sample: [4],
    outputs: 2,
    isForeign: true,
  },
  {
    name: "a net with a user's block",
    make: (e) => new lg.Sequential(block(e), new Residual(block(e)), norm(e, 4), new Residual(block(e))),
    sample: [4],
    outputs: 4,
    isForeign: true,
  },
  {
    name: "a net in a net with a user's layer",
    make: (e) =>
      new lg.Sequential(block(e), new lg.Sequential(norm(e, 4), new Gain(e, 4), block(e)), new Twice(), dense(e, 4, 2)),
    sample: [4],
    outputs: 2,
    isForeign: true,
  },
];

/** A user's layer, y = f(x) of a layer inside, that goes wrong where it is told to. */
class Moody extends Residual {
  wrong: string | undefined;

  #pass<T>(message: string, before: () => T): T {
    const result = before();
    if (this.wrong === message) throw new RangeError("in a bad mood");
    return result;
  }

  override forward(x: lg.Input): lg.Tensor {
    return this.#pass("forward", () => super.forward(x));
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    return this.#pass("backwardInput", () => super.backwardInput(dy));
  }

  override backwardParams(dy: lg.Input): void {
    this.#pass("backwardParams", () => super.backwardParams(dy));
  }
}

const MESSAGES = ["backward", "backwardInput", "backwardParams"] as const;

/** Of what the types do not show. */
interface Inside {
  readonly linear: LinearMemory;
  readonly generator: RandomGenerator;
}

const inside = (engine: lg.Engine): Inside => engine as unknown as Inside;
const flagsOf = (tensor: lg.Tensor): GradientFlags => (tensor as unknown as { readonly flags: GradientFlags }).flags;

/** Makes the allocation after `count` others fail, as a full memory does, until it is taken back. */
function failAfter(engine: lg.Engine, count: number): { readonly hasFailed: boolean; restore(): void } {
  const { linear } = inside(engine);
  const allocate = linear.allocate;
  let left = count;
  let hasFailed = false;
  linear.allocate = (bytes) => {
    if (left-- > 0) return allocate.call(linear, bytes);
    hasFailed = true;
    throw new lg.MemoryError("out of linear memory, for a test");
  };
  return {
    get hasFailed() {
      return hasFailed;
    },
    restore() {
      linear.allocate = allocate;
    },
  };
}

/** The layer and all inside. */
const everyLayer = (layer: lg.Layer): lg.Layer[] => [
  layer,
  ...layer.children().flatMap(([, child]) => everyLayer(child)),
];

/** Everything that a failed call could have changed, and nobody asked for. */
const observed = (layer: lg.Layer, engine: lg.Engine) => ({
  gradients: layer.parameters().map(({ grad }) => {
    const flags = flagsOf(grad);
    // those that stand for zeros would be written by a look at them
    return { flags, values: flags.zeroPending ? undefined : grad.toArray() };
  }),
  values: valueBits(layer),
  generator: inside(engine).generator.save(),
  modes: everyLayer(layer).map(({ training }) => training),
});

/**
 * The call, made again and again with another of its allocations failing, until none fails: each failure is a MemoryError that leaves
 * everything as it was, as far as `check` can tell, too.
 */
async function failEach<T>(
  { own, layer, isForeign = false }: { own: lg.Engine; layer: lg.Layer; isForeign?: boolean },
  call: () => T,
  check: () => void = () => {},
): Promise<{ result: Awaited<T>; failures: number }> {
  for (let failures = 0; ; failures++) {
    const before = observed(layer, own);
    const { used } = own.memory;
    const fault = failAfter(own, failures);
    try {
      const result = await call();
      // no call may hide that memory ran out
      expect(fault.hasFailed).toBe(false);
      return { result, failures };
    } catch (error) {
      if (!fault.hasFailed) throw error;
      expect(error).toBeInstanceOf(lg.MemoryError);
    } finally {
      fault.restore();
    }
    expect(observed(layer, own)).toEqual(before);
    // a user's layer makes tensors of its own
    if (!isForeign) expect(own.memory.used).toBe(used);
    check();
  }
}

describe("a message that fails for want of memory", () => {
  describeEngines((engine) => {
    describe.each(SUBJECTS)("$name", ({ make, sample, outputs, isForeign = false }) => {
      const scene = () => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
        const layer = make(own);
        const random = (rows: number, seed: number): lg.Tensor => randomTensor(own, [rows, ...sample], seed);
        const upstream = (rows: number, seed: number): lg.Tensor => randomTensor(own, [rows, outputs], seed);
        const [x, dy] = [random(3, 1), upstream(3, 2)];
        layer.forward(x);
        layer.backward(dy);
        return { own, layer, x, dy, random, upstream, isForeign };
      };

      it.each(["train", "eval"] as const)("forward in %s mode", async (mode) => {
        const [failing, lucky] = [scene(), scene()];
        // more rows: every buffer is too small
        const results = [failing, lucky].map(({ layer, random }) => {
          layer[mode]();
          // an array, whose copy takes memory too
          const x = random(7, 3).toArray() as lg.NestedNumbers[];
          return () => layer.forward(x);
        });
        let endings = 0;
        const { result, failures } = await failEach(failing, results[0], () => {
          // what was remembered still is
          const gradients = stateBits(failing.layer);
          try {
            failing.layer.backwardInput(failing.dy);
          } catch (error) {
            if (!(isForeign && error instanceof lg.StateError)) throw error;
            endings++;
          }
          expect(stateBits(failing.layer)).toEqual(gradients);
        });
        expect(failures).toBeGreaterThan(0);
        if (isForeign) expect(endings).toBeGreaterThan(0);
        expect(bits(result.data)).toEqual(bits(results[1]().data));
        expect(stateBits(failing.layer)).toEqual(stateBits(lucky.layer));
        expect(inside(failing.own).generator.save()).toEqual(inside(lucky.own).generator.save());
        if (mode === "eval") return;
        const dx = [failing, lucky].map(({ layer, upstream }) => bits(layer.backward(upstream(7, 4)).data));
        expect(dx[0]).toEqual(dx[1]);
        expect(stateBits(failing.layer)).toEqual(stateBits(lucky.layer));
        for (const { own } of [failing, lucky]) own.dispose();
      });

      it.each([
        ["backward", "gradients"],
        ["backward", "none"],
        ["backwardInput", "gradients"],
        ["backwardParams", "none"],
      ] as const)("%s on %s", async (message, gradients) => {
        const [failing, lucky] = [scene(), scene()];
        const calls = [failing, lucky].map(({ layer, random, upstream }) => {
          layer.forward(random(7, 3));
          if (gradients === "none") layer.zeroGrad();
          // of a shape that the layer's own copy has not had
          const dy = upstream(7, 4).toArray() as lg.NestedNumbers[];
          return () => layer[message](dy);
        });
        const { result, failures } = await failEach(failing, calls[0]);
        expect(failures).toBeGreaterThan(0);
        const want = calls[1]();
        if (want !== undefined) expect(bits(result!.data)).toEqual(bits(want.data));
        expect(stateBits(failing.layer)).toEqual(stateBits(lucky.layer));
        for (const { own } of [failing, lucky]) own.dispose();
      });
    });
  });
});

describe("another call that fails for want of memory", () => {
  describeEngines((engine) => {
    const image = Array.from({ length: 4 }, (_, i) => [i, 1, -i, 2]);
    const batch = Array.from({ length: 5 }, () => [image]);

    it.each<[string, (net: lg.Sequential) => unknown]>([
      ["jacobian", (net) => lg.jacobian(net, batch.slice(3)).input.toArray()],
      ["gradCheck", (net) => lg.gradCheck(net, batch.slice(3)).worst],
      ["predict", (net) => lg.predict(net, batch)],
      ["evaluate", (net) => lg.evaluate(net, { x: batch, y: [0, 1, 2, 1, 0] })],
      ["a step", (net) => new lg.Adam(net.parameters(), { lr: 0 }).step()],
    ])("%s", async (_, call) => {
      const [failing, lucky] = [0, 1].map(() => {
        const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
        const layer = images(own);
        layer.backward(layer.forward(randomTensor(own, [3, 1, 4, 4], 1)));
        // one layer in another mode than the rest
        layer.layers[1].eval();
        // what was taken before a failure stays the layers'
        return { own, layer, isForeign: true };
      });
      const { result, failures } = await failEach(failing, () => call(failing.layer));
      expect(failures).toBeGreaterThan(0);
      expect(result).toEqual(await call(lucky.layer));
      expect(observed(failing.layer, failing.own)).toEqual(observed(lucky.layer, lucky.own));
      for (const { own } of [failing, lucky]) own.dispose();
    });
  });
});

describe("a message that fails in a user's layer", () => {
  describeEngines((engine) => {
    const scene = () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
      const moody = new Moody(block(own));
      const net = new lg.Sequential(
        block(own),
        norm(own, 4),
        new lg.Sequential(dropout(own), moody),
        block(own),
        dense(own, 4, 2),
      );
      const [x, dy] = [randomTensor(own, [5, 4], 1), randomTensor(own, [5, 2], 2)];
      net.forward(x);
      net.backward(dy);
      return { own, net, moody, x, dy };
    };
    const sameBits = (a: ReturnType<typeof scene>, b: ReturnType<typeof scene>): void => {
      expect(stateBits(a.net)).toEqual(stateBits(b.net));
      expect(inside(a.own).generator.save()).toEqual(inside(b.own).generator.save());
    };

    it("forward: no statistic has moved, no draw was made; backward asks for a forward", async () => {
      const [failing, lucky] = [scene(), scene()];
      const { own, net, moody, x, dy } = failing;
      const before = observed(net, own);
      moody.wrong = "forward";
      expect(await refusal(() => net.forward(x))).toBeInstanceOf(RangeError);
      expect(observed(net, own)).toEqual(before);
      for (const message of MESSAGES) {
        expectRefusal(await refusal(() => net[message](dy)), lg.StateError, /a forward that failed in a user's layer/);
      }
      moody.wrong = undefined;
      const dx = [failing, lucky].map((s) => {
        s.net.forward(s.x);
        return bits(s.net.backward(s.dy).data);
      });
      expect(dx[0]).toEqual(dx[1]);
      sameBits(failing, lucky);
    });

    it.each([
      ["backward", "backwardParams"],
      ["backward", "backwardInput"],
      ["backwardParams", "backwardInput"],
      ["backwardInput", "backwardInput"],
    ] as const)("%s where %s throws: gradients are as they were, new or not", async (message, wrong) => {
      for (const isNew of [true, false]) {
        const [failing, lucky] = [scene(), scene()];
        for (const { net } of [failing, lucky]) if (isNew) net.zeroGrad();
        const { own, net, moody, dy } = failing;
        const before = observed(net, own);
        moody.wrong = wrong;
        expect(await refusal(() => net[message](dy))).toBeInstanceOf(RangeError);
        expect(observed(net, own)).toEqual(before);
        moody.wrong = undefined;
        for (const { net, dy } of [failing, lucky]) net[message](dy);
        sameBits(failing, lucky);
      }
    });

    it("backward of the layer by itself: its two messages are one", async () => {
      const { own, moody, x } = scene();
      moody.forward(x);
      const before = observed(moody, own);
      moody.wrong = "backwardInput";
      expect(await refusal(() => moody.backward(x))).toBeInstanceOf(RangeError);
      expect(observed(moody, own)).toEqual(before);
    });

    it.each<[string, (own: lg.Engine) => lg.Tensor, new (message: string) => lg.LanegradError]>([
      ["too wide", (own) => own.zeros([5, 7]), lg.ShapeError],
      ["no tensor", () => undefined as never, lg.ArgumentError],
      ["of another engine", () => engine().zeros([5, 4]), lg.EngineError],
      [
        "disposed",
        (own) => {
          const y = own.zeros([5, 4]);
          y.dispose();
          return y;
        },
        lg.StateError,
      ],
    ])("what it returns is %s: refused by what follows, and undone", async (_, answer, type) => {
      class Odd extends lg.Layer {
        isOdd = false;
        override forward(x: lg.Input): lg.Tensor {
          return this.isOdd ? answer(own) : (x as lg.Tensor);
        }
        override backwardInput(dy: lg.Input): lg.Tensor {
          return this.isOdd ? answer(own) : (dy as lg.Tensor);
        }
      }
      const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
      const odd = new Odd();
      const net = new lg.Sequential(norm(own, 4), dropout(own), odd, norm(own, 4), dense(own, 4, 4));
      const [x, dy] = [randomTensor(own, [5, 4], 1), randomTensor(own, [5, 4], 2)];
      net.forward(x);
      net.backward(dy);
      const before = observed(net, own);
      odd.isOdd = true;
      expect(await refusal(() => net.backward(dy))).toBeInstanceOf(type);
      expect(observed(net, own)).toEqual(before);
      expect(await refusal(() => net.forward(x))).toBeInstanceOf(type);
      expect(observed(net, own)).toEqual(before);
      own.dispose();
    });
  });
});

describe("memory that a net took", () => {
  describeEngines((engine) => {
    const scene = () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 3 });
      const net = new lg.Sequential(dense(own, 4, 6), slopes(own, 6, "exp"), norm(own, 6), dense(own, 6, 2));
      const run = (rows: number): void => {
        net.forward(randomTensor(own, [rows, 4], 1));
        net.backward(randomTensor(own, [rows, 2], 2));
      };
      run(3);
      return { own, net, run };
    };

    it.each<[string, (net: lg.Sequential, own: lg.Engine) => void]>([
      ["a layer was called by itself", (net, own) => net.layers[2].forward(randomTensor(own, [9, 6], 4))],
      ["a layer was in eval mode", (net) => net.layers[2].eval()],
      ["the net was in eval mode", (net, own) => net.eval().forward(randomTensor(own, [8, 4], 4))],
    ])("is taken again where %s since: nothing runs before it is there", async (_, between) => {
      const { own, net, run } = scene();
      between(net, own);
      for (const layer of everyLayer(net)) layer.training = true;
      const x = randomTensor(own, [10, 4], 5);
      await failEach({ own, layer: net }, () => net.forward(x));
      // and is there from then on
      run(10);
      const fault = failAfter(own, 0);
      net.forward(x);
      fault.restore();
      expect(fault.hasFailed).toBe(false);
      own.dispose();
    });
  });
});
