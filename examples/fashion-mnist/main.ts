/**
 * The main job: trains a network with learnable PReLU slopes on real images, shows what the slopes have become, and
 * times the same training step in pure JavaScript.
 */
import * as lg from "lanegrad";
import { loadDataSet } from "./data.js";
import { InputError } from "./errors.js";
import { buildNetwork } from "./network.js";
import { type Options, parseOptions, USAGE } from "./options.js";
import { createProgress } from "./progress.js";
import { epochLine, headline, lastLine, parameterTable, slopeTable, speedHeading, speedTable } from "./report.js";
import { measureStep } from "./speed.js";
import { checkWritable, loadWeights, saveWeights } from "./weights.js";

const EXIT_BAD_INPUT = 2;
const EXIT_INTERRUPTED = 130;

async function main(args: string[], signal: AbortSignal): Promise<void> {
  const options = parseOptions(args);
  if (options.help) print(USAGE);
  else await trainAndReport(options, signal);
}

async function trainAndReport(options: Options, signal: AbortSignal): Promise<void> {
  const { activation, batch, epochs, kernels, seed } = options;
  const data = loadDataSet(options.data);
  const shape = { inputs: data.inputs, classes: data.classes, activation };
  using engine = lg.createEngine({ kernels, seed });
  const net = buildNetwork(shape, engine);
  if (options.load !== undefined) await loadWeights(net, options.load);
  if (options.save !== undefined) await checkWritable(options.save);
  print(headline(engine, data, options));
  print(`\n${parameterTable(net)}\n`);

  const progress = createProgress(process.stdout, epochs);
  const history = await lg
    .fit(net, {
      train: data.train,
      test: data.test,
      epochs,
      batchSize: batch,
      optimizer: new lg.Adam(net.parameters(), { lr: 1e-3 }),
      onBatch: progress.onBatch,
      onEpoch(record) {
        progress.stop();
        print(epochLine(record, epochs, data.train.count));
      },
      signal,
    })
    .finally(progress.stop);

  if (options.save !== undefined) await saveWeights(net, options.save);
  print(`\n${slopeTable(net)}`);
  // The heading first: measuring takes some seconds.
  const stepBatch = Math.min(batch, data.train.count);
  print(`\n${speedHeading(stepBatch)}`);
  const times = await measureStep(
    { kernels: engine.kernels, seed, shape, images: data.train, batch: stepBatch },
    signal,
  );
  print(`${speedTable(times, stepBatch)}\n`);
  print(lastLine(history[history.length - 1]));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Ends with one line on stderr where a person can mend what went wrong, and with a stack where only we can. */
function fail(error: unknown, signal: AbortSignal): void {
  if (signal.aborted && error === signal.reason) {
    process.stderr.write("stopped by Ctrl-C\n");
    process.exitCode = EXIT_INTERRUPTED;
  } else if (error instanceof InputError || error instanceof lg.EngineError || error instanceof lg.MemoryError) {
    process.stderr.write(`${error.message.replaceAll(/\s*\n\s*/g, " ")}\n`);
    process.exitCode = EXIT_BAD_INPUT;
  } else {
    throw error;
  }
}

// A reader that has seen enough (`| head`) closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
const interruption = new AbortController();
// Once: a second Ctrl-C ends the process as it would any other.
process.once("SIGINT", () => interruption.abort());
await main(process.argv.slice(2), interruption.signal).catch((error) => fail(error, interruption.signal));
