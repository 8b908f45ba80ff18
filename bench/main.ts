/**
 * `npm run bench`: the training step and every kernel, WebAssembly beside the pure-JS twin (and, for the step, beside a pure-JS
 * program that is not ours), in interleaved rounds of one process, and beside what the processor could do at best. Other libraries
 * ("peers") are a run of their own: an ArrayBuffer that one of them detaches makes all pure-JS code of the process slower.
 */
import { writeFileSync } from "node:fs";
import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import { KERNELS, openEngines } from "./engines.js";
import { imageRows } from "./images.js";
import { kernelRows } from "./kernels.js";
import { measureClock, measureLimit } from "./limit.js";
import { measure, Probe } from "./measure.js";
import { InputError, parseOptions, select, USAGE } from "./options.js";
import { comparePeers } from "./peers/compare.js";
import { peerRows } from "./peers/rows.js";
import { describeMachine, footing, heading } from "./report.js";
import { type Row, Scope } from "./row.js";
import { stepRows } from "./step.js";
import { type Result, resultOf, Table } from "./table.js";

const EXIT_BAD_INPUT = 2;

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.help) return print(USAGE);
  const run = options.peers ? peersRun(options.words) : ourRun(options.words);
  // now, and not after minutes of measuring, is the time to find that the file cannot be written
  if (options.json !== undefined) write(options.json, "");
  const measured = await run();
  if (options.json !== undefined) write(options.json, `${JSON.stringify(measured, null, 2)}\n`);
}

/** Prints as it measures; what was measured, for --json. */
type Run = () => Promise<object>;

function peersRun(words: string[]): Run {
  const rows = select(peerRows, words);
  return () => comparePeers(rows, print);
}

function ourRun(words: string[]): Run {
  const rows = select([...stepRows, ...kernelRows, ...imageRows], words);
  return () => compareWithTwin(rows);
}

async function compareWithTwin(rows: readonly Row[]): Promise<object> {
  using engines = openEngines();
  const limit = measureLimit();
  using probe = new Probe(engines.wasm);
  const machine = describeMachine();
  print(heading(machine, limit, measureClock()));

  const table = new Table(rows, KERNELS);
  const results: Result[] = [];
  print(`\n${table.heading()}`);
  for (const row of rows) {
    using scope = new Scope();
    const rounds = measure(row.prepare(engines, scope), probe, row.milliseconds);
    const result = resultOf(row, rounds, limit);
    results.push(result);
    print(table.line(result));
    await turnOfTheEventLoop();
  }

  const bestProbe = probe.best;
  print(`\n${footing(results, bestProbe)}`);
  return { ...machine, limit, bestProbe, results };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new InputError(`--json: ${(error as Error).message}`);
  }
}

// A reader that has seen enough (`| head`) closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
await main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof InputError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_BAD_INPUT;
});
