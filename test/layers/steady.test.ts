import * as lg from "lanegrad";
import { afterEach, describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits } from "../support/state.js";

/** What was found out about a net once is not asked again at every step: here is what may happen between two steps nevertheless. */
const MESSAGES = ["backward", "backwardInput", "backwardParams"] as const;

describe("a net in a steady loop", () => {
  describeEngines((engine) => {
    const engines: lg.Engine[] = [];
    afterEach(() => {
      for (const own of engines.splice(0)) own.dispose();
    });

    /** Nets in a net, after a few steps on inputs of one shape. */
    const scene = () => {
      const own = lg.createEngine({ kernels: engine().kernels, seed: 1 });
      engines.push(own);
      const first = new lg.Linear(4, 6, { engine: own });
      const act = new lg.PReLU({ numParameters: 6, engine: own });
      const norm = new lg.BatchNorm1d(6, { engine: own });
      const dropout = new lg.Dropout(0.5, { engine: own });
      const inner = new lg.Sequential(norm, new lg.Sequential(dropout, new lg.Linear(6, 6, { engine: own })));
      const last = new lg.Linear(6, 2, { engine: own });
      const net = new lg.Sequential(new lg.Sequential(first, act), inner, last);
      const [x, dy] = [randomTensor(own, [5, 4], 1), randomTensor(own, [5, 2], 2)];
      const step = (): void => {
        net.forward(x);
        net.backward(dy);
      };
      for (let i = 0; i < 3; i++) step();
      return { own, first, act, norm, dropout, inner, last, net, x, dy, step };
    };
    type Scene = ReturnType<typeof scene>;
    const LAYERS = ["first", "act", "norm", "dropout", "inner", "last", "net"] as const;

    it.each(LAYERS)("finds that %s was disposed", async (which) => {
      const s = scene();
      s.net.forward(s.x);
      s[which].dispose();
      expectRefusal(await refusal(() => s.net.forward(s.x)), lg.StateError, /was disposed/);
      for (const message of MESSAGES) {
        expectRefusal(await refusal(() => s.net[message](s.dy)), lg.StateError, /was disposed/);
      }
    });

    it("finds that the engine was disposed", async () => {
      const s = scene();
      s.own.dispose();
      expectRefusal(await refusal(() => s.net.forward(s.x)), lg.EngineError, /engine was disposed/);
    });

    it.each<[string, (s: Scene) => unknown, RegExp]>([
      ["its input was overwritten", ({ x }) => x.fill_(1), /overwritten since/],
      ["its input was disposed", ({ x }) => x.dispose(), /disposed since/],
      [
        "a net inside was called",
        ({ inner, own }) => inner.forward(randomTensor(own, [5, 6], 3)),
        /was called by itself/,
      ],
      [
        "a layer was called",
        ({ dropout, own }) => dropout.forward(randomTensor(own, [5, 6], 3)),
        /was called by itself/,
      ],
      ["a layer was called in eval mode", ({ last, own }) => last.eval().forward(own.zeros([5, 6])), /in eval mode/],
      ["the net was called in eval mode", ({ net, x }) => net.eval().forward(x), /without a remembered forward/],
    ])("finds that %s since its forward, and writes nothing", async (_, between, pattern) => {
      const s = scene();
      s.net.forward(s.x);
      between(s);
      const before = stateBits(s.net);
      for (const message of MESSAGES) {
        expectRefusal(await refusal(() => s.net[message](s.dy)), lg.StateError, pattern);
        expect(stateBits(s.net)).toEqual(before);
      }
    });

    it.each<[string, (s: Scene, training: boolean) => void]>([
      ["by train and eval", ({ dropout }, training) => void (training ? dropout.train() : dropout.eval())],
      [
        "by its property",
        ({ dropout }, training) => {
          dropout.training = training;
        },
      ],
    ])("finds another mode of a layer inside, set %s", (_, set) => {
      const s = scene();
      set(s, false);
      const kept = [bits(s.net.forward(s.x).data), bits(s.net.forward(s.x).data)];
      expect(kept[0]).toEqual(kept[1]);
      set(s, true);
      const dropped = [bits(s.net.forward(s.x).data), bits(s.net.forward(s.x).data)];
      expect(dropped[0]).not.toEqual(dropped[1]);
    });

    it("gives the bits of a new net where shapes and modes change from step to step", () => {
      const s = scene();
      for (let i = 0; i < 8; i++) {
        const fresh = scene();
        for (const net of [s.net, fresh.net]) net[i % 3 === 1 ? "eval" : "train"]();
        fresh.net.loadStateDict(structuredCloneOf(s.net));
        const x = randomTensor(s.own, [2 + (i % 4), 4], i);
        // the dropout's draws differ from engine to engine
        s.dropout.training = false;
        fresh.dropout.training = false;
        expect(bits(s.net.forward(x).data)).toEqual(
          bits(fresh.net.forward(randomTensor(fresh.own, [...x.shape], i)).data),
        );
      }
    });
  });
});

const structuredCloneOf = (net: lg.Layer) =>
  Object.fromEntries(
    Object.entries(net.stateDict()).map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
  );

describe("an error's text", () => {
  it("is made when it is thrown: no layer is described in a step, on a tensor or a flat array", () => {
    const engine = lg.createEngine();
    const layers = [new lg.Linear(4, 6, { engine }), new lg.PReLU({ engine }), new lg.Linear(6, 2, { engine })];
    const net = new lg.Sequential(...layers);
    let described = 0;
    for (const layer of [net, ...layers]) {
      Object.defineProperty(layer, "describe", {
        value() {
          described++;
          return "a layer";
        },
      });
    }
    for (const x of [engine.zeros([3, 4]), new Float32Array(12), [[1, 2, 3, 4]]]) {
      const y = net.forward(x);
      for (const message of MESSAGES) net[message](new Float32Array(y.size));
    }
    expect(described).toBe(0);
    expect(() => net.forward(engine.zeros([3, 5]))).toThrow(/^a layer: forward got \[3, 5\]/);
  });
});
