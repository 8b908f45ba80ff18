// The worker loads the library from its file, so these tests are over dist/.
import { execFile } from "node:child_process";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as sources from "lanegrad";
import { describe, expect, it } from "vitest";
import * as lg from "../../dist/index.js";

const FILE = new URL("../support/worker-module.mjs", import.meta.url);
const { default: make } = await import(FILE.href);
const LIBRARY = new URL("../../dist/index.js", import.meta.url).href;
const moduleOf = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;

type Options = Record<string, unknown>;
type Carrier = Error & { code?: string; history?: lg.EpochRecord[] };

const rejection = (promise: Promise<unknown>): Promise<Carrier> =>
  promise.then(
    () => expect.unreachable("it resolved"),
    (error) => error,
  );
const failure = (act: string) => rejection(lg.fitInWorker(FILE, { act }));

/** The same training in this thread, on an engine as new as the worker's. */
async function trainHere(options: Options, callbacks: Partial<lg.FitOptions> = {}) {
  const engine = lg.createEngine();
  const before = lg.setDefaultEngine(engine);
  try {
    const { net, fit } = await make(options, { lg, signal: new AbortController().signal, report: () => {} });
    const history = await lg.fit(net, { ...fit, ...callbacks });
    return { state: lg.save(net), history };
  } finally {
    lg.setDefaultEngine(before);
    engine.dispose();
  }
}

/** All but how long it took. */
const results = (history: lg.EpochRecord[]) => history.map(({ seconds: _, ...rest }) => rest);

describe("a training in a worker", () => {
  it("gives the bits and records of fit in this thread", async () => {
    const told: unknown[] = [];
    const { state, history } = await lg.fitInWorker(FILE, {}, { onEpoch: (record) => void told.push(record) });
    const here = await trainHere({});
    expect(state).toEqual(here.state);
    expect(results(history)).toEqual(results(here.history));
    expect(told).toEqual(history);
    expect(history).toHaveLength(3);
  });

  it("takes the seeds of the module", async () => {
    const options = { fit: { seed: 5, shuffle: true, epochs: 2 } };
    const [first, second] = await Promise.all([lg.fitInWorker(FILE, options), lg.fitInWorker(FILE, {})]);
    expect(first.state).toEqual((await trainHere(options)).state);
    expect(first.state).not.toEqual(second.state);
  });

  it("ends where a callback says so, as fit does", async () => {
    const atEpoch = { onEpoch: async ({ epoch }: lg.EpochRecord) => epoch < 2 };
    const atBatch = { onBatch: ({ epoch, batch }: lg.BatchInfo) => !(epoch === 2 && batch === 3) };
    for (const [callbacks, epochs] of [
      [atEpoch, 2],
      [atBatch, 1],
    ] as const) {
      const there = await lg.fitInWorker(FILE, {}, callbacks);
      const here = await trainHere({}, callbacks);
      expect(there.state).toEqual(here.state);
      expect(results(there.history)).toEqual(results(here.history));
      expect(there.history).toHaveLength(epochs);
    }
  });

  it("heeds the module's own callbacks and signal beside the caller's", async () => {
    const batches: lg.BatchInfo[] = [];
    const { state } = await lg.fitInWorker(FILE, { endAt: 2 }, { onBatch: (info) => void batches.push(info) });
    expect(state).toEqual((await trainHere({ endAt: 2 })).state);
    expect(batches).toHaveLength(7 + 2);
    expect(batches[8]).toMatchObject({ epoch: 2, batch: 2, batches: 7, size: 8, loss: expect.any(Number) });
    const error = await rejection(lg.fitInWorker(FILE, { ownSignal: 2 }));
    expect(error.message).toBe("by itself");
    expect(error.history).toHaveLength(1);
  });

  it("passes on what the module reports, in order", async () => {
    const values: unknown[] = [];
    await lg.fitInWorker(FILE, { act: "reports" }, { onReport: (value) => void values.push(value) });
    expect(values).toEqual([1, { two: [2] }, Float32Array.of(3)]);
    await lg.fitInWorker(FILE, { act: "reports" });
    const error = await failure("reportsFunction");
    expect(error).toBeInstanceOf(lg.ArgumentError);
    expect(error.message).toBe("fitInWorker: report: got a value that cannot be cloned");
  });

  it("loads modules of every kind: a URL, its text, a path, CommonJS", async () => {
    const { state } = await lg.fitInWorker(FILE);
    const path = relative(process.cwd(), fileURLToPath(FILE));
    for (const module of [FILE.href, fileURLToPath(FILE), `./${path}`, moduleOf(`export { default } from "${FILE}"`)]) {
      expect((await lg.fitInWorker(module)).state).toEqual(state);
    }
    const options = { fit: { epochs: 1 } };
    const cjs = moduleOf(`export default { default: (await import("${FILE}")).default, __esModule: true }`);
    expect((await lg.fitInWorker(cjs, options)).history).toHaveLength(1);
  });

  it("shares arrays over shared memory, and copies others", async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    const copied = new Float32Array(2);
    const text = `export default (options, context) => {
      options.shared[1] = options.copied[1] = 5;
      return import("${FILE}").then(({ default: make }) => make({}, context));
    }`;
    await lg.fitInWorker(moduleOf(text), { shared, copied });
    expect([shared[1], copied[1]]).toEqual([5, 0]);
  });

  it("runs beside another, and ten pairs leave nothing", async () => {
    const pair = () => Promise.all([1, 2].map((seed) => lg.fitInWorker(FILE, { fit: { seed, epochs: 1 } })));
    const open = () => process.getActiveResourcesInfo().filter((name) => /Worker|MessagePort/.test(name));
    const before = open();
    for (const [i, { state }] of (await pair()).entries()) {
      expect(state).toEqual((await trainHere({ fit: { seed: i + 1, epochs: 1 } })).state);
    }
    const { rss } = process.memoryUsage();
    for (let i = 0; i < 9; i++) await pair();
    expect(open()).toEqual(before);
    // a thread that stays has 10 MB and more
    expect(process.memoryUsage().rss - rss).toBeLessThan(100 * 2 ** 20);
  });

  it("runs from inside a worker thread, prints what the module prints, and lets its process end", async () => {
    const program = `
      import { isMainThread, Worker } from "node:worker_threads";
      import { fitInWorker } from "${LIBRARY}";
      if (isMainThread) new Worker(new URL(import.meta.url));
      else {
        const { history } = await fitInWorker("${FILE}", { act: "prints" });
        console.log("epochs", history.length);
      }`;
    const args = ["--input-type=module", "--eval", `await import("${moduleOf(program)}")`];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    expect(stdout.trim().split("\n")).toEqual([...Array.from({ length: 200 }, (_, i) => `line ${i}`), "epochs 3"]);
  });

  it("ends though the module has left something open", async () => {
    const { history } = await lg.fitInWorker(FILE, { act: "leavesOpen" });
    expect(history).toHaveLength(3);
  });
});

describe("an aborted training in a worker", () => {
  it("rejects with the reason, which has the records so far", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const onEpoch = ({ epoch }: lg.EpochRecord) => void (epoch === 2 && controller.abort(reason));
    const { signal } = controller;
    const promise = lg.fitInWorker(FILE, { fit: { epochs: 1e6 } }, { signal, onEpoch });
    expect(await rejection(promise)).toBe(reason);
    expect(reason).toHaveProperty("history.length", 2);
  });

  it("rejects from outside of a callback, too, whatever the reason is", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const options = { fit: { epochs: 1e6 } };
    let epochs = 0;
    const promise = lg.fitInWorker(FILE, options, { signal, onEpoch: () => void epochs++ });
    while (epochs < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(Symbol.for("no object, and no clone"));
    expect(await rejection(promise)).toBe(Symbol.for("no object, and no clone"));
    const timeout = await rejection(lg.fitInWorker(FILE, options, { signal: AbortSignal.timeout(100) }));
    expect(timeout.name).toBe("TimeoutError");
    expect(Array.isArray(timeout.history)).toBe(true);
  });

  it("does not start if it is aborted already", async () => {
    const reason = new Error("never");
    const promise = lg.fitInWorker(FILE, { act: "exits" }, { signal: AbortSignal.abort(reason) });
    expect(await rejection(promise)).toBe(reason);
    expect(reason).toHaveProperty("history", []);
  });

  it("reaches the module before the training", async () => {
    const reason = { why: "no error" };
    const controller = new AbortController();
    const { signal } = controller;
    const promise = lg.fitInWorker(FILE, { act: "heeds" }, { signal, onReport: () => controller.abort(reason) });
    expect(await rejection(promise)).toBe(reason);
  });
});

describe("what a worker throws", () => {
  it("keeps its class, code, cause and properties", async () => {
    const error = await failure("throwsError");
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ name: "TypeError", message: "no such file", code: "ENOTHERE", where: ["a", 1] });
    expect(error.stack).toContain("worker-module.mjs");
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.cause).toMatchObject({ message: "the reason", cause: { deeper: 1 } });
    expect(error).not.toHaveProperty("how");
  });

  it("is an error of the library's classes", async () => {
    const error = await failure("throwsShapeError");
    expect(error).toBeInstanceOf(lg.ShapeError);
    expect(error).toMatchObject({ code: "ERR_LANEGRAD_SHAPE", message: expect.stringMatching(/^Linear\(2, 3\): /) });
    const options = await rejection(lg.fitInWorker(FILE, { fit: { batchSize: 0 } }));
    expect(options).toBeInstanceOf(lg.ArgumentError);
    expect(options.message).toMatch(/^fit: batchSize: got 0/);
  });

  it("has the history, where a loss is not finite", async () => {
    const error = await rejection(lg.fitInWorker(FILE, { poison: 2 }));
    expect(error).toBeInstanceOf(lg.StateError);
    expect(error.message).toMatch(/^fit: epoch 2, batch 2 of 7: the loss is NaN/);
    const here = (await rejection(trainHere({ poison: 2 }))) as Carrier;
    expect(error.message).toBe(here.message);
    expect(results(error.history!)).toEqual(results(here.history!));
  });

  it("may be anything", async () => {
    expect(await failure("throwsText")).toBe("a text");
    expect(await failure("throwsFunction")).toBe("() => {}");
    expect(await failure("fails")).toMatchObject({ message: "later" });
    expect(await failure("readsNothing")).toMatchObject({ code: "ENOENT", syscall: "open", errno: -2 });
  });

  it.each([
    ["a module that is not there", "./no-such-module.mjs", /^fitInWorker: module: there is no file:.*no-such-module/],
    ["no default export", moduleOf("export const a = 1"), /^fitInWorker: the module has no default export, expected a/],
    ["a default export that is no function", moduleOf("export default 1"), /a default export of type number, expected/],
    [
      "a function that returns nothing",
      moduleOf("export default () => {}"),
      /returned undefined, expected \{ net, fit/,
    ],
    ["no net", moduleOf("export default () => ({ fit: {} })"), /^fit: got undefined, expected a Layer/],
    ["no options of fit", moduleOf(`export default (_, { lg }) => ({ net: new lg.ReLU() })`), /^fit: got undefined/],
  ])("is an ArgumentError for %s", async (_, module, message) => {
    const error = await rejection(lg.fitInWorker(module));
    expect(error).toBeInstanceOf(lg.ArgumentError);
    expect(error.message).toMatch(message);
  });

  it("is the module's own error where it cannot be loaded", async () => {
    expect(await rejection(lg.fitInWorker(moduleOf("export default ("))).then((e) => e)).toBeInstanceOf(SyntaxError);
    const missing = moduleOf(`import "${new URL("no-such-import.mjs", FILE)}"`);
    expect(await rejection(lg.fitInWorker(missing))).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
  });

  it("is what a callback throws in this thread", async () => {
    const thrown = new Error("mine");
    const fail = () => {
      throw thrown;
    };
    const options = { act: "reports", fit: { epochs: 1e6 } };
    for (const callbacks of [
      { onBatch: fail },
      { onEpoch: fail },
      { onReport: fail },
      { onReport: () => Promise.reject(thrown) },
    ]) {
      expect(await rejection(lg.fitInWorker(FILE, options, callbacks))).toBe(thrown);
    }
    const late = { onReport: () => new Promise((_, reject) => setTimeout(reject, 300, thrown)) };
    expect(await rejection(lg.fitInWorker(FILE, { act: "reports", fit: { epochs: 1 } }, late))).toBe(thrown);
  });
});

describe("a worker that is lost is an EngineError", () => {
  it.each([
    ["before the training", { act: "exits" }, 0, /^fitInWorker: the worker was lost: it ended with exit code 7$/],
    ["in an epoch", { exitAt: 3 }, 2, /exit code 7/],
    ["by an error that nobody caught", { act: "throwsOutside" }, 0, /the worker was lost: .*JSON/],
  ])("%s", async (_, options, epochs, message) => {
    const error = await rejection(lg.fitInWorker(FILE, options));
    expect(error).toBeInstanceOf(lg.EngineError);
    expect(error.message).toMatch(message);
    expect(error.history).toHaveLength(epochs);
    if ("act" in options && options.act === "throwsOutside") expect(error.cause).toMatchObject({ name: "SyntaxError" });
  });
});

describe("wrong arguments", () => {
  const wrong = (value: unknown): never => value as never;

  it.each([
    ["no module", [undefined], /^fitInWorker: module: got undefined, expected a URL/],
    [
      "a bare name",
      ["train.mjs"],
      /module: got "train\.mjs", expected a URL, or a path that begins with.*import\.meta/,
    ],
    ["an unknown option", [FILE, {}, { onepoch: () => {} }], /got the option "onepoch".*onEpoch/],
    ["a callback that is none", [FILE, {}, { onReport: 1 }], /^fitInWorker: onReport: got 1, expected a function/],
    ["a signal that is none", [FILE, {}, { signal: {} }], /^fitInWorker: signal: got .*expected an AbortSignal/],
    ["options with a function", [FILE, { f: () => {} }], /^fitInWorker: options: they cannot be cloned: /],
    [
      "options whose getter throws",
      [
        FILE,
        {
          get a() {
            throw new Error("no");
          },
        },
      ],
      /options: they cannot be cloned: no/,
    ],
  ])("%s", async (_, [module, options, settings], message) => {
    const error = await rejection(lg.fitInWorker(wrong(module), options, wrong(settings)));
    expect(error).toBeInstanceOf(lg.ArgumentError);
    expect(error.message).toMatch(message);
  });
});

describe("a library that has no file of its own", () => {
  const { fitInWorker } = sources;
  const text = (exported: string) =>
    moduleOf(`export { default } from "${FILE}";
    ${exported}`);

  it("is refused before it runs again", async () => {
    const error = await rejection(fitInWorker(text("")));
    expect(error).toBeInstanceOf(sources.EngineError);
    expect(error.message).toMatch(/^fitInWorker: lanegrad runs from file:.*library\.ts, which is not its own file/);
  });

  it("trains with the one that the module exports", async () => {
    const { state } = await fitInWorker(text(`export * as lg from "${LIBRARY}";`));
    expect(state).toEqual((await trainHere({})).state);
  });
});

it("fit's turns through a MessageChannel do not keep a process alive", async () => {
  const program = `
    delete globalThis.setImmediate;
    const lg = await import("${LIBRARY}");
    const layer = new lg.Linear(1, 2);
    const optimizer = { step: () => { for (const end = performance.now() + 9; performance.now() < end; ); } };
    await lg.fit(layer, { train: { x: [[1], [2], [3]], y: [0, 1, 0] }, epochs: 2, batchSize: 1, optimizer });
    console.log("trained");`;
  const args = ["--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  expect(stdout).toBe("trained\n");
});
