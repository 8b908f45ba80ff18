import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { KERNEL_SETS, openEngine } from "../support/engines.js";
import { expectRefusal, refusal } from "../support/state.js";

const MIB = 2 ** 20;

/** A view over an engine's memory that nothing but a test holds beyond the engine's life. */
const viewOf = (engine: lg.Engine): Float32Array => engine.zeros([1]).data;

let lastMark = 100;

/** Whether an engine's memory is the one under a view: growing one shared memory gives all of them new buffer objects. */
function liesUnder(engine: lg.Engine, view: Float32Array): boolean {
  const here = new Float32Array(viewOf(engine).buffer, view.byteOffset, 1);
  here[0] = ++lastMark;
  return view[0] === lastMark;
}

describe.each(KERNEL_SETS)("a disposed engine's memory, %s", (kernels) => {
  it("serves the next engine with the same maximum, and no other", () => {
    const first = lg.createEngine({ kernels, maximumMemory: 33 * MIB });
    const view = viewOf(first);
    first.dispose();
    first.dispose();
    const other = lg.createEngine({ kernels, maximumMemory: 34 * MIB });
    expect(liesUnder(other, view)).toBe(false);
    const next = lg.createEngine({ kernels, maximumMemory: 33 * MIB });
    expect(liesUnder(next, view)).toBe(true);
    const another = lg.createEngine({ kernels, maximumMemory: 33 * MIB });
    expect(liesUnder(another, view)).toBe(false);
    for (const engine of [other, next, another]) engine.dispose();
  });

  it("computes the same in the next, whatever was left in it", () => {
    const run = (): unknown => {
      const engine = lg.createEngine({ kernels, maximumMemory: 35 * MIB, seed: 3 });
      const { used } = engine.memory;
      const net = new lg.Sequential(
        new lg.Conv2d(1, 4, 3, { engine }),
        new lg.ELU({ engine }),
        new lg.BatchNorm2d(4, { engine }),
        new lg.MaxPool2d(2, { engine }),
        new lg.Flatten({ engine }),
        new lg.Dropout(0.2, { engine }),
        new lg.LinearPReLU(36, 20, { engine }),
        new lg.Linear(20, 3, { engine }),
      );
      const adam = new lg.Adam(net.parameters());
      const x = engine.zeros([5, 1, 8, 8]).fill_(0.3);
      const losses = Array.from({ length: 4 }, () => {
        net.zeroGrad();
        const { loss, grad } = lg.crossEntropy(net.forward(x), [0, 1, 2, 0, 1]);
        net.backward(grad);
        adam.step();
        return loss;
      });
      const result = { used, losses, weights: net.parameters().map(({ value }) => [...value.data]) };
      // what nothing may take for zeros
      engine.zeros([4 * MIB]).fill_(Number.NaN);
      engine.dispose();
      return result;
    };
    const fresh = run();
    expect(run()).toEqual(fresh);
    expect(run()).toEqual(fresh);
  });

  it("is no way back to the engine", async () => {
    const engine = lg.createEngine({ kernels, maximumMemory: 36 * MIB });
    const t = engine.tensor([1, 2, 3]);
    const layer = new lg.Linear(2, 2, { engine });
    engine.dispose();
    const next = lg.createEngine({ kernels, maximumMemory: 36 * MIB });
    const values = next.tensor([4, 5, 6]);
    const { used } = next.memory;
    for (const use of [
      () => t.data,
      () => t.fill_(1),
      () => t.clone(),
      () => layer.forward([[1, 2]]),
      () => engine.zeros([1]),
      () => engine.memory,
    ]) {
      expectRefusal(await refusal(use), lg.EngineError, /disposed/);
    }
    t.dispose();
    layer.dispose();
    expect(next.memory.used).toBe(used);
    expect(values.toArray()).toEqual([4, 5, 6]);
    next.dispose();
  });

  it("that was never an engine's, since its kernels did not fit, serves the next too", async () => {
    const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
    const first = lg.createEngine({ kernels, maximumMemory: 37 * MIB });
    const view = viewOf(first);
    first.dispose();
    await refusal(() => lg.createEngine({ module, maximumMemory: 37 * MIB }));
    const next = lg.createEngine({ kernels, maximumMemory: 37 * MIB });
    expect(liesUnder(next, view)).toBe(true);
    next.dispose();
  });

  it("of a large one is not kept", () => {
    const first = lg.createEngine({ kernels });
    first.zeros([20 * MIB]);
    first.dispose();
    const next = lg.createEngine({ kernels });
    expect(next.memory.reserved).toBeLessThan(64 * MIB);
    next.dispose();
  });
});

describe("setDefaultEngine", () => {
  it("makes an engine the default one and returns the one before", () => {
    const before = lg.defaultEngine();
    const mine = openEngine("js");
    expect(lg.setDefaultEngine(mine)).toBe(before);
    expect(lg.defaultEngine()).toBe(mine);
    expect(lg.tensor([1]).engine).toBe(mine);
    expect(new lg.Linear(1, 1).forward([[1]]).engine).toBe(mine);
    expect(lg.setDefaultEngine(mine)).toBe(mine);
    expect(lg.setDefaultEngine(before)).toBe(mine);
    expect(lg.defaultEngine()).toBe(before);
    mine.dispose();
  });

  it("refuses what is no engine and a disposed one, and changes nothing", async () => {
    const before = lg.defaultEngine();
    const gone = openEngine("js");
    gone.dispose();
    expectRefusal(await refusal(() => lg.setDefaultEngine(gone)), lg.EngineError, /disposed/);
    for (const value of [undefined, null, {}, "js", new Proxy(before, {})]) {
      expectRefusal(
        await refusal(() => lg.setDefaultEngine(value as never)),
        lg.ArgumentError,
        /setDefaultEngine: got .*, expected an Engine/,
      );
    }
    expect(lg.defaultEngine()).toBe(before);
  });
});
