import { runInNewContext } from "node:vm";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { describeEngines } from "../support/engines.js";
import { collectGarbage } from "../support/garbage.js";
import { expectRefusal, refusal } from "../support/state.js";

describe("tidy", () => {
  describeEngines((engine) => {
    it("disposes what its calls make, however they make it, and returns what the function does", () => {
      const { used } = engine().memory;
      const made: lg.Tensor[] = [];
      const note = (t: lg.Tensor): lg.Tensor => {
        made.push(t);
        return t;
      };
      const linear = new lg.Linear(2, 2, { engine: engine() });
      linear.backward(lg.mseLoss(linear.forward([[1, 2]]), [[1, 2]]).grad);
      const held = engine().memory.used;
      const result = lg.tidy(() => {
        const a = note(engine().tensor([[1, 2]]));
        note(engine().zeros([3, 2]));
        note(a.clone());
        note(a.reshape([2, 1]));
        const product = note(lg.matmul(a, note(a.reshape([2, 1]))));
        const { input, params } = lg.jacobian(linear, [[1, 2]]);
        for (const t of [input, ...Object.values(params)]) note(t);
        return product.data[0];
      });
      expect(result).toBe(5);
      expect(made).toHaveLength(9);
      expect(made.every((t) => t.disposed)).toBe(true);
      expect(engine().memory.used).toBe(held);
      linear.dispose();
      expect(engine().memory.used).toBe(used);
    });

    it("leaves layers, nets, optimizers and losses what is theirs", () => {
      const net = new lg.Sequential(new lg.Linear(2, 3, { engine: engine() }), new lg.PReLU({ engine: engine() }));
      const adam = new lg.Adam(net.parameters(), { lr: 0.1 });
      const step = (): number => {
        net.zeroGrad();
        const { loss, grad } = lg.crossEntropy(net.forward([[1, 2]]), [1]);
        net.backward(grad);
        adam.step();
        return loss;
      };
      const first = lg.tidy(step);
      const inner = lg.tidy(() => new lg.Linear(2, 2, { engine: engine() }));
      for (let i = 0; i < 5; i++) expect(lg.tidy(step)).toBeLessThan(first);
      expect(inner.forward([[1, 2]]).shape).toEqual([1, 2]);
      const state = adam.stateDict();
      lg.tidy(() => adam.loadStateDict(state));
      expect(step()).toBeLessThan(first);
      inner.dispose();
      net.dispose();
    });

    it("keeps what it returns: tensors in arrays and plain objects, nested, cyclic or deep", () => {
      const make = (): lg.Tensor => engine().tensor([1, 2, 3]);
      const { used } = engine().memory;
      const one = lg.tidy(() => {
        make();
        return make();
      });
      expect(one.toArray()).toEqual([1, 2, 3]);
      const nested = lg.tidy(() => {
        make();
        return {
          list: [make(), null, "text", 3],
          inside: { t: make() },
          bare: Object.assign(Object.create(null), { t: make() }),
        };
      });
      const kept = [nested.list[0] as lg.Tensor, nested.inside.t, nested.bare.t as lg.Tensor];
      expect(kept.every((t) => !t.disposed)).toBe(true);
      interface Ring {
        t: lg.Tensor;
        self?: Ring;
        list: unknown[];
      }
      const ring = lg.tidy(() => {
        make();
        const made: Ring = { t: make(), list: [] };
        made.self = made;
        made.list.push(made.list, made);
        return made;
      });
      expect(ring.t.disposed).toBe(false);
      const deep = lg.tidy(() => {
        let value: unknown = make();
        for (let i = 0; i < 100_000; i++) value = [value];
        return value as unknown[];
      });
      let value: unknown = deep;
      while (Array.isArray(value)) value = value[0];
      const foreign = lg.tidy(() => runInNewContext("({ list: [t] })", { t: make() }) as { list: lg.Tensor[] });
      for (const t of [one, ...kept, ring.t, value as lg.Tensor, foreign.list[0]]) {
        expect(t.data[2]).toBe(3);
        t.dispose();
      }
      expect(engine().memory.used).toBe(used);
    });

    it("keeps a handle whose other handle goes", () => {
      const { used } = engine().memory;
      const handle = lg.tidy(() => engine().tensor([1, 2, 3, 4]).reshape([2, 2]));
      expect(handle.toArray()).toEqual([
        [1, 2],
        [3, 4],
      ]);
      handle.dispose();
      expect(engine().memory.used).toBe(used);
    });

    it("keeps a loss's gradient that it returns", async () => {
      const own = lg.createEngine({ kernels: engine().kernels });
      const { used } = own.memory;
      await (async () => {
        const { loss, grad } = lg.tidy(() => lg.mseLoss(own.tensor([1, 3]), [0, 1]));
        expect(loss).toBe(2.5);
        expect(grad.toArray()).toEqual([1, 2]);
        // the target's copy may still be there, the output may not
        expect(own.memory.used).toBeLessThanOrEqual(used + 2 * 64);
      })();
      await collectGarbage(() => own.memory.used === used);
      expect(own.memory.used).toBe(used);
      own.dispose();
    });

    it("nests: what the inner one returns belongs to the outer one", () => {
      const { used } = engine().memory;
      const seen: lg.Tensor[] = [];
      const result = lg.tidy(() => {
        const [a, b] = lg.tidy(() => {
          seen.push(engine().zeros([5]));
          return [engine().zeros([2]), engine().tensor([7])];
        });
        expect(seen[0].disposed).toBe(true);
        seen.push(a);
        expect(a.disposed).toBe(false);
        return b;
      });
      expect(seen[1].disposed).toBe(true);
      expect(result.data[0]).toBe(7);
      result.dispose();
      expect(engine().memory.used).toBe(used);
      // nothing is noted any more
      const after = engine().zeros([1]);
      lg.tidy(() => {});
      expect(after.disposed).toBe(false);
      after.dispose();
    });

    it("disposes everything where the function throws, and the error passes", () => {
      const { used } = engine().memory;
      const error = new Error("mine");
      const run = (): unknown =>
        lg.tidy(() => {
          engine().zeros([4]);
          try {
            lg.tidy(() => {
              engine().zeros([8]);
              throw error;
            });
          } finally {
            engine().zeros([2]);
          }
        });
      expect(run).toThrow(error);
      expect(engine().memory.used).toBe(used);
    });

    it("takes tensors of several engines, and what was disposed inside, an engine too", () => {
      const other = lg.createEngine({ kernels: engine().kernels });
      const { used } = engine().memory;
      const before = other.memory.used;
      lg.tidy(() => {
        engine().zeros([4]).dispose();
        engine().zeros([4]);
        other.zeros([4]);
      });
      expect(engine().memory.used).toBe(used);
      expect(other.memory.used).toBe(before);
      lg.tidy(() => {
        other.zeros([4]);
        other.dispose();
        return engine().zeros([1]);
      }).dispose();
      expect(engine().memory.used).toBe(used);
    });

    it("makes a synchronous loop run for ever", () => {
      const own = lg.createEngine({ kernels: engine().kernels, maximumMemory: 2 ** 21 });
      for (let i = 0; i < 2000; i++) {
        const sum = lg.tidy(() => own.zeros([1000]).add_(own.zeros([1000]).fill_(i)).data[999]);
        expect(sum).toBe(i);
      }
      own.dispose();
    });
  });

  it("refuses promises and thenables, and disposes all", async () => {
    const engine = lg.createEngine({ kernels: "js" });
    for (const fn of [
      async () => {
        const t = engine.zeros([4]);
        await null;
        return t.data;
      },
      // biome-ignore lint/suspicious/noThenProperty: what is to be told
      () => ({ t: engine.zeros([4]), then() {} }),
      () => Promise.reject(new Error("nobody waits for it")),
    ]) {
      expectRefusal(
        await refusal(() => lg.tidy(fn as () => unknown)),
        lg.ArgumentError,
        /promise, expected a synchronous/,
      );
      expect(engine.memory.used).toBe(0);
    }
    engine.dispose();
  });

  it("refuses what is no function, and results that cannot be read", async () => {
    const engine = lg.createEngine({ kernels: "js" });
    for (const value of [undefined, null, {}, 3, "f"]) {
      expectRefusal(await refusal(() => lg.tidy(value as never)), lg.ArgumentError, /expected a function/);
    }
    const results: (() => unknown)[] = [
      () => ({
        get t() {
          throw new Error("not for you");
        },
      }),
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return [proxy];
      },
    ];
    for (const result of results) {
      const run = (): unknown =>
        lg.tidy(() => {
          engine.zeros([4]);
          return result();
        });
      expectRefusal(await refusal(run), lg.ArgumentError, /tidy: what the function returned/);
      expect(engine.memory.used).toBe(0);
    }
    engine.dispose();
  });
});
