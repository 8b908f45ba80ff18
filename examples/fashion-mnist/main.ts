/**
 * The main job: trains a network with learnable PReLU slopes on real images, shows what the slopes have become, and
 * times the same training step in pure JavaScript.
 */
import * as lg from "lanegrad";
import { type LabelledImages, loadDataSet } from "./data.js";
import { InputError } from "./errors.js";
import { buildNetwork, sampleShape } from "./network.js";
import { type Options, parseOptions, USAGE } from "./options.js";
import { createProgress } from "./progress.js";
import { epochLine, headline, lastLine, parameterTable, slopeTable, speedHeading, speedTable } from "./report.js";
import { measureStep } from "./speed.js";
import { checkWritable, loadWeights, saveWeights } from "./weights.js";

const LEARNING_RATE = 1e-3;
const EXIT_BAD_INPUT = 2;
const EXIT_INTERRUPTED = 130;
/** npm passes on the Ctrl-C that the terminal has already sent to the whole group: one key, two signals. */
const ECHO_MILLISECONDS = 100;

async function main(args: string[], signal: AbortSignal): Promise<void> {
  const options = parseOptions(args);
  if (options.help) print(USAGE);
  else await trainAndReport(options, signal);
}

async function trainAndReport(options: Options, signal: AbortSignal): Promise<void> {
  const { model, activation, batch, epochs, kernels, seed, threads } = options;
  const data = loadDataSet(options.data);
  const { height, width } = data.train;
  const shape = { model, height, width, classes: data.classes, activation };
  const asSamples = (images: LabelledImages) => ({ x: images.x, y: images.y, sampleShape: sampleShape(shape) });
  using engine = lg.createEngine({ kernels, seed, threads });
  engine.warmUp();
  await engine.ready;
  const net = buildNetwork(shape, engine);
  if (options.load !== undefined) await loadWeights(net, options.load);
  if (options.save !== undefined) await checkWritable(options.save);
  print(headline(engine, data, options));
  print(`\n${parameterTable(net)}\n`);

  const optimizer = new lg.Adam(net.parameters(), { lr: LEARNING_RATE });
  const progress = createProgress(process.stdout, epochs);
  let hasLearned = false;
  const history = await lg
    .fit(net, {
      train: asSamples(data.train),
      test: asSamples(data.test),
      epochs,
      batchSize: batch,
      optimizer,
      onBatch(info) {
        hasLearned = true;
        progress.onBatch(info);
      },
      onEpoch(record) {
        progress.stop();
        // from epoch to epoch in a straight line towards 0: the last ones settle instead of jumping about
        optimizer.lr = LEARNING_RATE * (1 - record.epoch / epochs);
        print(epochLine(record, epochs, data.train.count));
      },
      signal,
    })
    .finally(progress.stop)
    .catch(async (error) => {
      if (error === signal.reason && options.save !== undefined && hasLearned) {
        await saveWeights(net, options.save);
        process.stderr.write(`the weights as they are now: ${options.save}\n`);
      }
      throw error;
    });

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
let interruptedAt = 0;
process.on("SIGINT", function interrupt() {
  if (!interruption.signal.aborted) {
    interruptedAt = performance.now();
    interruption.abort();
  } else if (performance.now() - interruptedAt > ECHO_MILLISECONDS) {
    // as if it had never been listened to: an exit would wait for what is being written
    process.off("SIGINT", interrupt);
    process.kill(process.pid, "SIGINT");
  }
});
await main(process.argv.slice(2), interruption.signal).catch((error) => fail(error, interruption.signal));
