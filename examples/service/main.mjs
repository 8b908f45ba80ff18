// A service that answers while it learns: a large network trains in a worker thread, and its weights of each epoch go into the network
// that answers. Prints how long answers and turns of the event loop take meanwhile, and ends by itself.
//   npm run example:service                  trains by fitInWorker
//   npm run example:service -- --here        by fit in the thread that answers, for comparison
//   npm run example:service -- --epochs 20 --batch 128
import { once } from "node:events";
import { createHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as lg from "lanegrad";
import { buildNetwork } from "./network.mjs";
import { createPredictionServer } from "./server.mjs";
import train from "./training.mjs";

/** Between two questions. */
const QUESTION_MS = 20;

const { values } = parseArgs({
  options: {
    here: { type: "boolean", default: false },
    epochs: { type: "string", default: "5" },
    batch: { type: "string", default: "512" },
  },
});
const options = { epochs: Number(values.epochs), batchSize: Number(values.batch) };

/** What answers: nobody has trained it yet. */
const model = { net: buildNetwork(), epoch: 0 };

const onReport = (weights) => {
  lg.load(model.net, weights);
  model.epoch++;
};
const onEpoch = ({ epoch, loss, accuracy }) =>
  console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, ${(100 * accuracy).toFixed(1)} % of the test images right`);

/** Trains in the worker thread, or in this one. */
async function learn() {
  if (!values.here) return lg.fitInWorker(new URL("training.mjs", import.meta.url), options, { onEpoch, onReport });
  // one as new as the worker's
  lg.setDefaultEngine(lg.createEngine());
  const { net, fit } = await train(options, { lg, report: onReport });
  const history = await lg.fit(net, { ...fit, onEpoch: (record) => [fit.onEpoch(), onEpoch(record)] });
  return { history, state: lg.save(net) };
}

/** Asks until `signal` is aborted; how long each answer took. */
async function ask(url, signal) {
  const times = createHistogram();
  const body = JSON.stringify({ x: Array.from({ length: 784 }, (_, i) => (i % 29) / 28) });
  while (!signal.aborted) {
    const begin = performance.now();
    const response = await fetch(url, { method: "POST", body });
    if (!response.ok) throw new Error(await response.text());
    await response.json();
    times.record(Math.ceil(1e6 * (performance.now() - begin)));
    await delay(QUESTION_MS);
  }
  return times;
}

function print(what, histogram) {
  const [p50, p99] = [50, 99].map((part) => (histogram.percentile(part) / 1e6).toFixed(2));
  console.log(`${what}: p50 ${p50} ms, p99 ${p99} ms`);
}

const server = createPredictionServer(model).listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/predict`;
console.log(`${url} answers; ${values.here ? "this thread" : "a worker thread"} trains`);
// what runs for the first time is slow
const warm = new AbortController();
setTimeout(() => warm.abort(), 500);
await ask(url, warm.signal);

const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
const trained = new AbortController();
const asking = ask(url, trained.signal);
const begin = performance.now();
const { state, history } = await learn().finally(() => trained.abort());
const seconds = (performance.now() - begin) / 1000;
const answers = await asking;
delays.disable();
lg.load(model.net, state);

print(`${answers.count} answers`, answers);
print("turns of the event loop, 1 ms apart", delays);
const training = history.reduce((sum, record) => sum + record.seconds, 0);
console.log(`${training.toFixed(2)} s of training in ${seconds.toFixed(2)} s`);
server.close();
server.closeAllConnections();
