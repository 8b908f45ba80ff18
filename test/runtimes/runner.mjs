// What a test runner runs (`test` and `expect` are its own): the program, and what comes from outside of the realm that runners give their tests.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import * as lg from "lanegrad";
import { train } from "./program.mjs";

/** What an expression gives in a realm of its own, where `values` are there by their names. */
const elsewhere = (expression, values = {}) => runInNewContext(`(${expression})`, values);

/** Bytes as a program gets them: from a file. */
function fromFile(bytes) {
  const folder = mkdtempSync(join(tmpdir(), "lanegrad-file-"));
  try {
    const path = join(folder, "bytes");
    writeFileSync(path, bytes);
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const net = (seed) => {
  const engine = lg.createEngine({ kernels: "simd", seed });
  return new lg.Sequential(new lg.Linear(3, 4, { engine }), new lg.ReLU({ engine }), new lg.Linear(4, 2, { engine }));
};
const FLAT = [1, 2, 3, 4, 5, 6];
const ROWS = [
  [1, 2, 3],
  [4, 5, 6],
];

/** Trains three times, in other threads too: on a busy machine longer than runners wait by themselves. */
const PROGRAM_MS = 60_000;

test(
  "the program gives the bits that it gives without a runner",
  async () => {
    writeFileSync(process.env.LANEGRAD_RESULT, JSON.stringify(await train(lg)));
  },
  PROGRAM_MS,
);

test("a file is loaded", () => {
  const [from, to] = [net(1), net(2)];
  lg.load(to, fromFile(lg.save(from)));
  expect(Array.from(lg.predict(to, ROWS))).toEqual(Array.from(lg.predict(from, ROWS)));
});

test("an IDX file is read, gzipped or not", () => {
  const bytes = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9);
  for (const file of [bytes, gzipSync(bytes)]) {
    const { shape, data } = lg.readIdx(fromFile(file));
    expect([shape, Array.from(data)]).toEqual([[3], [7, 8, 9]]);
  }
});

test("bytes of another realm are read, a view and a buffer", () => {
  const saved = lg.save(net(1));
  const bytes = elsewhere("Uint8Array.from(values)", { values: Array.from(saved) });
  for (const given of [bytes, bytes.buffer]) {
    const to = net(2);
    lg.load(to, given);
    expect(Array.from(lg.save(to))).toEqual(Array.from(saved));
  }
});

test("a state that came from another thread or realm is taken", () => {
  const [from, to] = [net(1), net(2)];
  const copied = Object.entries(from.stateDict()).map(([name, { shape, data }]) => [name, [[...shape], [...data]]]);
  const state = elsewhere(
    "Object.fromEntries(copied.map(([name, [shape, data]]) => [name, { shape: Array.from(shape), data: Float32Array.from(data) }]))",
    { copied },
  );
  to.loadStateDict(state);
  expect(Array.from(lg.save(to))).toEqual(Array.from(lg.save(from)));
  if (typeof structuredClone === "function") {
    const third = net(3);
    third.loadStateDict(structuredClone(from.stateDict()));
    expect(Array.from(lg.save(third))).toEqual(Array.from(lg.save(from)));
  }
});

test.each([
  ["of this realm", (code) => new Function(`return ${code}`)()],
  ["of another realm", elsewhere],
])("arrays %s are inputs, labels and data", async (_, make) => {
  const layer = net(1);
  const expected = layer.forward(ROWS).toArray();
  const forms = ["Float32Array.of(1, 2, 3, 4, 5, 6)", "[Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)]"];
  for (const code of forms) expect(layer.forward(make(code)).toArray()).toEqual(expected);
  const t = lg.tensor(make("Float32Array.of(1, 2, 3, 4, 5, 6)"), make("[2, 3]"));
  expect(t.toArray()).toEqual(ROWS);
  const { loss } = lg.crossEntropy(layer.forward(ROWS), make("Int32Array.of(0, 1)"));
  expect(lg.crossEntropy(layer.forward(ROWS), [0, 1]).loss).toBe(loss);
  const history = await lg.fit(layer, {
    train: { x: make("Float32Array.of(1, 2, 3, 4, 5, 6)"), y: make("Uint8Array.of(0, 1)") },
    epochs: 2,
    batchSize: 1,
    optimizer: new lg.SGD(layer.parameters(), { lr: 0.01 }),
  });
  expect(history.length).toBe(2);
});

test("a module of another realm is one", () => {
  const bytes = readFileSync(process.env.LANEGRAD_MODULE);
  const module = elsewhere("new WebAssembly.Module(Uint8Array.from(bytes))", { bytes: Array.from(bytes) });
  const engine = lg.createEngine({ module });
  expect([engine.kernels, engine.tensor([1, 2]).toArray()]).toEqual(["simd", [1, 2]]);
});

test("the host's signal ends a fit", async () => {
  const controller = new AbortController();
  const layer = net(1);
  const training = lg.fit(layer, {
    train: { x: ROWS, y: [0, 1] },
    epochs: 1000,
    batchSize: 1,
    optimizer: new lg.SGD(layer.parameters(), { lr: 0.01 }),
    signal: controller.signal,
    onEpoch: ({ epoch }) => {
      if (epoch === 3) controller.abort(new Error("enough"));
    },
  });
  await expect(training).rejects.toThrow("enough");
});

test("an optimizer's state is kept and given back", () => {
  const layer = net(1);
  const [first, second] = [1, 2].map(() => new lg.Adam(layer.parameters()));
  layer.forward(ROWS);
  layer.backward(ROWS.map(() => [1, 1]));
  first.step();
  second.loadStateDict(first.stateDict());
  expect(second.stateDict()).toEqual(first.stateDict());
});

test("errors are the library's, and tensors are equal by their values", () => {
  expect(() => new lg.Linear(0, 1)).toThrow(lg.ArgumentError);
  expect(lg.tensor(FLAT)).toEqual(lg.tensor(FLAT));
  expect(lg.tensor(FLAT)).not.toEqual(lg.tensor([...FLAT.slice(1), 0]));
});
