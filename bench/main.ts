/**
 * `npm run bench`: the training step and every kernel, in WebAssembly and in the pure-JS twin, which take turns in one process; the step
 * beside a pure-JS program that is not ours, too. Shares are of what the processor can do at best. Other libraries ("peers") are measured in
 * a run of their own: one of them detaches an ArrayBuffer, and that makes all pure JavaScript of a process slower.
 */
import { measureColdStarts } from "./coldstart.js";
import { compareWithTwin } from "./compare.js";
import { imageRows } from "./images.js";
import { kernelRows } from "./kernels.js";
import { describeSetup } from "./machine.js";
import { InputError, type Options, parseOptions, select, USAGE } from "./options.js";
import { openOutput } from "./output.js";
import { comparePeers } from "./peers/compare.js";
import { peerRows } from "./peers/rows.js";
import { formatRun, type Measured } from "./run.js";
import { stepRows } from "./step.js";
import { measureThreads } from "./threads.js";

const EXIT_BAD_INPUT = 2;
const QUICK = 0.1;

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (options.help) return print(USAGE);
  const measure = benchOf(options);
  using output = options.json === undefined ? undefined : openOutput(options.json);
  const { bench, ...measured } = await measure();
  const date = new Date().toISOString();
  output?.save(formatRun({ bench, date, quick: options.quick, ...describeSetup(options.kernels), ...measured }));
}

/** Prints as it measures. */
function benchOf(options: Options): () => Promise<Measured> {
  const { bench, words, quick } = options;
  const pace = quick ? QUICK : 1;
  switch (bench) {
    case "kernels": {
      const rows = select([...stepRows, ...kernelRows, ...imageRows], words);
      return () => compareWithTwin(rows, options, pace, print);
    }
    case "peers": {
      const rows = select(peerRows, words);
      return () => comparePeers(rows, options, pace, print);
    }
    case "coldstart":
      return () => measureColdStarts(pace, print);
    case "threads":
      return () => measureThreads(options, pace, print);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// a reader that closes the pipe (`| head`) is no failure
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
await main(process.argv.slice(2)).catch((error) => {
  if (!(error instanceof InputError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_BAD_INPUT;
});
