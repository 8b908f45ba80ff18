import { cpus } from "node:os";
import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import * as lg from "lanegrad";
import { InputError } from "./failures.js";
import type { Command } from "./options.js";
import { columnsOf } from "./text.js";

const OPTIONS = { json: { help: "print the times as JSON" } } as const;

/** What is measured: a function of an engine that makes the function to time. */
interface Row {
  readonly name: string;
  /** Multiplications and additions, where they are to be shown. */
  readonly flop?: number;
  make(engine: lg.Engine): () => unknown;
}

const WARM_UP_MS = 60;
const TURN_MS = 25;
const ROUNDS = 7;

const ROWS: readonly Row[] = [
  product(256),
  denseStep("sgd", 1),
  denseStep("sgd", 32),
  denseStep("adam", 128),
  imageStep(16),
  { name: "predict, dense, 1 row", make: (engine) => predictOne(engine) },
];

export const bench: Command<keyof typeof OPTIONS> = {
  summary: "Times kernels and training steps, beside the same in JavaScript.",
  usage: ["bench [FILTER ...] [--json]"],
  arguments: [0, 4],
  options: OPTIONS,
  notes: [
    "",
    "FILTER takes the rows that have all of its words. dense is 784-256-256-10 with",
    "PReLU, images two convolutions for 28x28. A step is forward, loss, all gradients",
    "and the update. JavaScript is lanegrad's own, for runtimes without WebAssembly.",
  ],
  async run({ files, flags }) {
    const rows = ROWS.filter(({ name }) => files.every((word) => name.toLowerCase().includes(word.toLowerCase())));
    if (rows.length === 0) {
      throw new InputError(`no row has ${files.join(" ")}; the rows are: ${ROWS.map(({ name }) => name).join("; ")}`);
    }
    const engines = [lg.createEngine(), lg.createEngine({ kernels: "js" })];
    const [{ kernels, wide }] = engines;
    const results = [];
    for (const row of rows) {
      process.stderr.write(`${row.name} ...\n`);
      const [milliseconds, javascript] = await timesOf(row, engines);
      const gflops = row.flop === undefined ? undefined : row.flop / milliseconds / 1e6;
      results.push({ name: row.name, milliseconds, javascript, times: javascript / milliseconds, gflops });
    }
    for (const engine of engines) engine.dispose();
    const processor = cpus()[0]?.model.trim() ?? "unknown";
    if (flags.has("json")) {
      const machine = { processor, runtime: process.version, kernels, wide };
      process.stdout.write(`${JSON.stringify({ ...machine, rows: results })}\n`);
      return 0;
    }
    const table = results.map(({ name, milliseconds, javascript, times, gflops }) => [
      name,
      digits(milliseconds),
      digits(javascript),
      times.toFixed(1),
      gflops === undefined ? "" : gflops.toFixed(1),
    ]);
    const head = ["", `${kernels}${wide ? ", wide" : ""}, ms`, "JavaScript, ms", "times faster", "GFLOP/s"];
    process.stdout.write(
      `${processor}, Node ${process.versions.node}\n\n${columnsOf([head, ...table], [1, 2, 3, 4])}\n`,
    );
    return 0;
  },
};

const digits = (milliseconds: number): string => milliseconds.toPrecision(3);

function product(size: number): Row {
  return {
    name: `product, ${size}x${size}x${size}`,
    flop: 2 * size ** 3,
    make(engine) {
      const [a, b, out] = [engine.zeros([size, size]), engine.zeros([size, size]), engine.zeros([size, size])];
      for (const operand of [a, b]) lg.init.kaimingNormal_(operand);
      return () => lg.matmul(a, b, { out });
    },
  };
}

const INPUTS = 784;
const CLASSES = 10;

function denseNet(engine: lg.Engine): lg.Sequential {
  return new lg.Sequential(
    new lg.LinearPReLU(INPUTS, 256, { engine }),
    new lg.LinearPReLU(256, 256, { engine }),
    new lg.Linear(256, CLASSES, { engine }),
  );
}

function denseStep(optimizer: "sgd" | "adam", batch: number): Row {
  return {
    name: `step, dense, ${optimizer}, batch ${batch}`,
    make: (engine) => trainingStep(denseNet(engine), engine, optimizer, [batch, INPUTS]),
  };
}

function imageStep(batch: number): Row {
  return {
    name: `step, images, sgd, batch ${batch}`,
    make(engine) {
      const net = new lg.Sequential(
        new lg.Conv2d(1, 16, 3, { padding: 1, engine }),
        new lg.PReLU({ numParameters: 16, engine }),
        new lg.MaxPool2d(2, { engine }),
        new lg.Conv2d(16, 32, 3, { padding: 1, engine }),
        new lg.PReLU({ numParameters: 32, engine }),
        new lg.MaxPool2d(2, { engine }),
        new lg.Flatten({ engine }),
        new lg.Linear(32 * 7 * 7, CLASSES, { engine }),
      );
      return trainingStep(net, engine, "sgd", [batch, 1, 28, 28]);
    },
  };
}

function trainingStep(net: lg.Layer, engine: lg.Engine, name: "sgd" | "adam", shape: number[]): () => void {
  const x = lg.init.kaimingNormal_(engine.zeros(shape), { fanIn: 2 });
  const labels = Int32Array.from({ length: shape[0] }, (_, i) => i % CLASSES);
  // A rate of 0 keeps the work alike: a net that knows its one batch by heart has gradients so small that they are denormal numbers.
  const optimizer = name === "sgd" ? new lg.SGD(net.parameters(), { lr: 0 }) : new lg.Adam(net.parameters(), { lr: 0 });
  return () => {
    net.zeroGrad();
    const { grad } = lg.crossEntropy(net.forward(x), labels);
    net.backwardParams(grad);
    optimizer.step();
  };
}

function predictOne(engine: lg.Engine): () => unknown {
  const net = denseNet(engine);
  const x = Float32Array.from({ length: INPUTS }, (_, i) => (i % 7) / 7);
  return () => lg.predict(net, x);
}

/** Milliseconds of one call on each engine: medians of rounds in which they take turns. */
async function timesOf(row: Row, engines: readonly lg.Engine[]): Promise<number[]> {
  const contenders = engines.map((engine) => ({ call: row.make(engine), times: [] as number[] }));
  for (const { call } of contenders) millisecondsOf(call, WARM_UP_MS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const { call, times } of contenders) {
      times.push(millisecondsOf(call, TURN_MS));
      await turnOfTheEventLoop();
    }
  }
  return contenders.map(({ times }) => times.sort((a, b) => a - b)[ROUNDS >> 1]);
}

/** Repeats a call for at least the time given. */
function millisecondsOf(call: () => unknown, atLeast: number): number {
  const start = performance.now();
  for (let calls = 1; ; calls++) {
    call();
    const elapsed = performance.now() - start;
    if (elapsed >= atLeast) return elapsed / calls;
  }
}
