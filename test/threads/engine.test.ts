import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import * as lg from "lanegrad";
import { describe, expect, test } from "vitest";
import { hasRelaxedSimd } from "../support/engines.js";
import { train, trajectories } from "../support/trajectory.js";
import { isWideRun } from "../support/wide.js";

const sets = ["simd", ...(hasRelaxedSimd ? (["relaxed-simd"] as const) : [])] as const;
const THREADS = [2, 3, 5];

/** A hash of each tensor's bits: comparing them one by one would take longer than the training. */
const bitsOf = (net: lg.Layer): string[] =>
  Object.values(net.stateDict()).map(({ data }) => createHash("sha1").update(data.slice()).digest("hex"));

/** Some steps of a net whose large calls are cut, from every group of kernels. */
function trainImages(engine: lg.Engine): string[] {
  const net = new lg.Sequential(
    new lg.Conv2d(3, 20, 3, { padding: 1, engine }),
    new lg.PReLU({ numParameters: 20, engine }),
    new lg.BatchNorm2d(20, { engine }),
    new lg.MaxPool2d(2, { engine }),
    new lg.Conv2d(20, 33, 3, { padding: 1, stride: 2, engine }),
    new lg.ELU({ engine }),
    new lg.Flatten({ engine }),
    new lg.Dropout(0.3, { engine }),
    new lg.LinearPReLU(33 * 8 * 8, 300, { engine }),
    new lg.BatchNorm1d(300, { engine }),
    new lg.Linear(300, 10, { engine }),
  );
  const optimizer = new lg.AdamW(net.parameters());
  const x = lg.init.kaimingNormal_(engine.zeros([19, 3, 32, 32]), { fanIn: 2 });
  const labels = Array.from({ length: 19 }, (_, i) => i % 10);
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    const { grad } = lg.crossEntropy(net.forward(x), labels);
    net.backward(grad);
    lg.clipGradNorm(net.parameters(), 1);
    optimizer.step();
  }
  return bitsOf(net);
}

describe.each(sets)("%s", (kernels) => {
  test("any number of threads gives the same bits", async () => {
    const alone = lg.createEngine({ kernels });
    const expected = trainImages(alone);
    alone.dispose();
    for (const threads of THREADS) {
      const engine = lg.createEngine({ kernels, threads });
      await engine.ready;
      expect(engine.threads).toBe(threads);
      expect(engine.wide, engine.wideReason).toBe(isWideRun);
      expect(trainImages(engine)).toEqual(expected);
      engine.dispose();
    }
  });

  test("golden trajectories, too", async () => {
    const alone = lg.createEngine({ kernels });
    const engine = lg.createEngine({ kernels, threads: 3 });
    await engine.ready;
    for (const golden of trajectories.slice(0, 4)) {
      expect(train(golden, engine, "backward")).toEqual(train(golden, alone, "backward"));
    }
    alone.dispose();
    engine.dispose();
  });
});

describe("an engine with several threads", () => {
  test("has one with js kernels", async () => {
    const engine = lg.createEngine({ kernels: "js", threads: 4 });
    await engine.ready;
    expect(engine.threads).toBe(1);
    engine.dispose();
  });

  test("two at once, each with its own", async () => {
    const engines = [2, 3].map((threads) => lg.createEngine({ kernels: "simd", threads }));
    await Promise.all(engines.map(({ ready }) => ready));
    expect(engines.map(({ threads }) => threads)).toEqual([2, 3]);
    const [a, b] = engines.map(trainImages);
    expect(a).toEqual(b);
    engines[0].dispose();
    expect(engines[0].threads).toBe(1);
    expect(trainImages(engines[1])).toHaveLength(a.length);
    engines[1].dispose();
  });

  test("may be disposed while they start, and ready settles", async () => {
    const engine = lg.createEngine({ threads: 3 });
    const { ready } = engine;
    engine.dispose();
    await ready;
    expect(engine.disposed).toBe(true);
  });

  test("20 made and disposed, started or not, leave no thread behind", async () => {
    const before = threadsOfProcess();
    for (let i = 0; i < 20; i++) {
      const engine = lg.createEngine({ threads: 2 });
      if (i % 4 === 0) await engine.ready;
      engine.dispose();
    }
    await expect.poll(() => threadsOfProcess(), { timeout: 5000 }).toBeLessThanOrEqual(before + 1);
  });

  test("hands its memory on when it is disposed, unless a thread that has not started may still write to it", async () => {
    const memoryOf = (engine: lg.Engine) => engine.zeros([1]).data.buffer;
    const open = (threads: number) => lg.createEngine({ kernels: "simd", threads, maximumMemory: 201 << 20 });
    const early = open(3);
    const first = memoryOf(early);
    early.dispose();
    const engine = open(2);
    expect(memoryOf(engine)).not.toBe(first);
    await engine.ready;
    const second = memoryOf(engine);
    engine.dispose();
    const next = open(1);
    expect(memoryOf(next)).toBe(second);
    next.dispose();
  });
});

/** Threads of this process as Linux counts them; elsewhere 0. */
const threadsOfProcess = (): number => (existsSync(TASKS) ? readdirSync(TASKS).length : 0);
const TASKS = "/proc/self/task";

describe("a process with live engines", () => {
  const run = promisify(execFile);
  const program = (rest: string): string[] => [
    "--input-type=module",
    "-e",
    `import { createEngine, matmul } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
     const engine = createEngine({ threads: 3 });
     const a = engine.zeros([400, 400]);
     ${rest}`,
  ];

  test.each([
    ["by itself, before they have started", "matmul(a, a);"],
    ["by itself", "await engine.ready; matmul(a, a); console.log(engine.threads);"],
    ["by process.exit", "await engine.ready; matmul(a, a); console.log(engine.threads); process.exit(0);"],
    ["with an error of its own", "await engine.ready; console.log(engine.threads); process.exitCode = 0;"],
  ])("ends %s", async (_, rest) => {
    const { stdout, stderr } = await run(process.execPath, program(rest), { timeout: 20_000 });
    expect(stderr).toBe("");
    expect(stdout).toBe(rest.includes("console") ? "3\n" : "");
  });

  test("a worker thread may have threads of its own", async () => {
    const [, , text] = program(`
      import { parentPort } from "node:worker_threads";
      await engine.ready;
      matmul(a, a);
      parentPort.postMessage(engine.threads);`);
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`));
    const threads = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    expect(threads).toBe(3);
    await worker.terminate();
  });
});
