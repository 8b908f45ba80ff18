import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import * as lg from "../../dist/index.js";

const main = fileURLToPath(new URL("../../examples/service/main.mjs", import.meta.url));

/** What the example prints, in numbers. */
async function run(...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--epochs", "2", ...args]);
  const numbers = (pattern) => Array.from(stdout.matchAll(pattern), (match) => match.slice(1).map(Number));
  return {
    accuracies: numbers(/^epoch \d+: loss [\d.]+, ([\d.]+) %/gm).flat(),
    losses: numbers(/^epoch \d+: loss ([\d.]+)/gm).flat(),
    answers: numbers(/^(\d+) answers: p50 ([\d.]+) ms, p99 ([\d.]+) ms$/gm)[0],
    turns: numbers(/^turns of the event loop, 1 ms apart: p50 ([\d.]+) ms, p99 ([\d.]+) ms$/gm)[0],
  };
}

test("the service answers while a large network trains, with the results of training in its own thread", async () => {
  const there = await run();
  expect(there.accuracies).toHaveLength(2);
  expect(there.accuracies[1]).toBeGreaterThan(65);
  const here = await run("--here");
  expect(there.losses).toEqual(here.losses);
  // on a machine that does other things as well no time is certain
  for (const what of ["answers", "turns"]) expect(there[what].at(-1)).toBeLessThan(here[what].at(-1) / 3);
});

test("a module that heeds no signal is stopped in the end", async () => {
  const controller = new AbortController();
  const module =
    "data:text/javascript,export default (_, { report }) => { report(0); return new Promise(() => setInterval(() => {}, 9)); }";
  const reason = new Error("enough");
  const training = lg.fitInWorker(module, {}, { signal: controller.signal, onReport: () => controller.abort(reason) });
  await expect(training).rejects.toBe(reason);
  expect(reason.history).toEqual([]);
});

test("a worker whose heap is full is an EngineError", async () => {
  const module =
    "data:text/javascript,export default () => { for (const kept = [];;) kept.push(Array(1e4).fill(kept.length)); }";
  const program = `
    import { fitInWorker } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    await fitInWorker(${JSON.stringify(module)}).catch(({ code, message }) => console.log(code, message));`;
  const args = ["--max-old-space-size=100", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/^ERR_LANEGRAD_ENGINE fitInWorker: the worker was lost: .*memory/);
});
