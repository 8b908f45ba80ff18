// A module that trains in a worker, and does what its options say.
import { readFileSync } from "node:fs";

const noise = (count, seed) => {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647 - 0.5;
  });
};

/** What each `act` does before the training, with what it needs. */
const ACTS = {
  reports: ({ report }) => [1, { two: [2] }, Float32Array.of(3)].forEach(report),
  reportsFunction: ({ report }) => report(() => {}),
  throwsError: () => {
    const cause = new RangeError("the reason", { cause: { deeper: 1 } });
    throw Object.assign(new TypeError("no such file", { cause }), { code: "ENOTHERE", where: ["a", 1], how() {} });
  },
  throwsShapeError: ({ lg }) => new lg.Linear(2, 3).forward([[1]]),
  throwsText: () => {
    throw "a text";
  },
  throwsFunction: () => {
    throw () => {};
  },
  readsNothing: () => readFileSync("/no/such/file"),
  fails: () => Promise.reject(new Error("later")),
  exits: () => process.exit(7),
  throwsOutside: () => new Promise(() => setTimeout(() => JSON.parse("{"), 1)),
  leavesOpen: () => setInterval(() => {}, 1000),
  heeds: ({ signal, report }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("stopped", { cause: signal.reason })));
      report("it listens");
    }),
  prints: () => {
    for (let i = 0; i < 200; i++) console.log(`line ${i}`);
  },
};

export default async function make({ act, poison, exitAt, endAt, ownSignal, fit = {} } = {}, context) {
  const { lg } = context;
  await ACTS[act]?.(context);
  if (act === "returnsNothing") return undefined;
  const net = new lg.Sequential(new lg.Linear(6, 9), new lg.PReLU(), new lg.Dropout(0.3), new lg.Linear(9, 3));
  const x = noise(50 * 6, 5);
  const controller = new AbortController();
  return {
    net,
    fit: {
      train: { x, y: Int32Array.from({ length: 50 }, (_, i) => i % 3) },
      test: { x, y: Int32Array.from({ length: 50 }, (_, i) => i % 3) },
      epochs: 3,
      batchSize: 8,
      optimizer: new lg.Adam(net.parameters(), { lr: 0.01 }),
      signal: ownSignal ? controller.signal : undefined,
      onBatch: ({ epoch, batch }) => {
        if (epoch === poison) x.fill(Number.NaN);
        if (epoch === exitAt) process.exit(7);
        if (epoch === ownSignal) controller.abort(new Error("by itself"));
        if (epoch === endAt && batch === 2) return false;
      },
      ...fit,
    },
  };
}
