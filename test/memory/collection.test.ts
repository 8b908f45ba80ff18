import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as lg from "lanegrad";
import { describe, expect, it } from "vitest";
import { KERNEL_SETS, openEngine } from "../support/engines.js";
import { collectGarbage } from "../support/garbage.js";
import { nested, randomTensor } from "../support/state.js";

const FLOATS = 1 << 16;

// Engines live as long as the file: what happens when one of them is dropped is a test of its own, in a process of its own.
const engines: lg.Engine[] = [];
const newEngine = (kernels: (typeof KERNEL_SETS)[number]): lg.Engine => {
  const engine = openEngine(kernels);
  engines.push(engine);
  return engine;
};

describe.each(KERNEL_SETS)("what is dropped, %s", (kernels) => {
  it("comes back at a turn of the event loop: tensors, handles, layers, nets, losses, optimizers", async () => {
    const engine = newEngine(kernels);
    const { used } = engine.memory;
    (() => {
      for (let i = 0; i < 8; i++) engine.zeros([FLOATS]).reshape([FLOATS / 2, 2]);
      const net = new lg.Sequential(
        new lg.Linear(64, 32, { engine }),
        new lg.PReLU({ engine }),
        new lg.LinearPReLU(32, 10, { engine }),
      );
      const adam = new lg.Adam(net.parameters());
      const { grad } = lg.crossEntropy(net.forward(nested(randomTensor(engine, [16, 64]))), new Uint8Array(16));
      net.backward(grad);
      adam.step();
      lg.predict(net, randomTensor(engine, [2, 64]));
    })();
    expect(engine.memory.used).toBeGreaterThan(used + 8 * FLOATS * 4);
    await collectGarbage(() => engine.memory.used === used);
    expect(engine.memory.used).toBe(used);
  });

  it("a view that is held keeps its tensor", async () => {
    const engine = newEngine(kernels);
    const { used } = engine.memory;
    const view = (() => engine.tensor(new Float32Array(FLOATS).fill(3)).data)();
    (() => engine.zeros([FLOATS]))();
    await collectGarbage(() => engine.memory.used === used + FLOATS * 4);
    expect(engine.memory.used).toBe(used + FLOATS * 4);
    engine.zeros([FLOATS]).fill_(5);
    expect(view.every((value) => value === 3)).toBe(true);
  });

  it("a dropped handle leaves the others their storage", async () => {
    const engine = newEngine(kernels);
    const { used } = engine.memory;
    const handle = (() => engine.tensor(new Float32Array(FLOATS).fill(3)).reshape([FLOATS / 4, 4]))();
    (() => engine.zeros([FLOATS]))();
    await collectGarbage(() => engine.memory.used === used + FLOATS * 4);
    expect(engine.memory.used).toBe(used + FLOATS * 4);
    engine.zeros([FLOATS]).fill_(5);
    expect(handle.data.every((value) => value === 3)).toBe(true);
  });

  it("what a held layer or logits own stays", async () => {
    const engine = newEngine(kernels);
    const layer = new lg.Linear(4, 4, { engine });
    const logits = randomTensor(engine, [2, 4]);
    const { used } = engine.memory;
    const y = (() => {
      engine.zeros([FLOATS]);
      lg.crossEntropy(logits, [0, 1]);
      return layer.forward(randomTensor(engine, [2, 4]));
    })();
    const values = y.data.slice();
    // the input is dropped too, but the layer remembers it; y, the copied labels and the loss's gradient take 64 bytes each
    await collectGarbage(() => engine.memory.used <= used + 4 * 64);
    expect(engine.memory.used).toBe(used + 4 * 64);
    layer.backward([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ]);
    expect([...y.data]).toEqual([...values]);
  });

  it("a disposed tensor is not freed again when it is collected", async () => {
    const engine = newEngine(kernels);
    (() => {
      for (let i = 0; i < 8; i++) {
        const t = engine.zeros([FLOATS]);
        const handle = t.reshape([1, FLOATS]);
        t.dispose();
        handle.dispose();
      }
    })();
    const kept = engine.tensor(new Float32Array(FLOATS).fill(7));
    const { used } = engine.memory;
    await collectGarbage(() => false);
    expect(engine.memory.used).toBe(used);
    engine.zeros([FLOATS]).fill_(1);
    expect(kept.data.every((value) => value === 7)).toBe(true);
  });
});

/**
 * V8 (seen with Node 20) posts one task for all registries with dead targets. A registry that dies itself before the task runs
 * leaves it with nothing to do, and then no finalizer runs in this process ever again.
 */
const DROP_AN_ENGINE = `
  import { createEngine } from "./src/index.ts";
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const engine = createEngine({ kernels: "js" });
  await (async () => {
    const dropped = createEngine({ kernels: "js" });
    (() => { for (let i = 0; i < 10; i++) dropped.zeros([100]); })();
    await turn();
    gc();
  })();
  gc();
  gc();
  (() => { for (let i = 0; i < 10; i++) engine.zeros([100]); })();
  for (let i = 0; i < 20 && engine.memory.used > 0; i++) {
    await turn();
    gc();
  }
  console.log(engine.memory.used);
`;

it("what is dropped comes back also after an engine was dropped", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "--expose-gc", "--input-type=module", "--eval", DROP_AN_ENGINE],
    { cwd: fileURLToPath(new URL("../..", import.meta.url)) },
  );
  expect(stdout.trim()).toBe("0");
});
