// A training that its parent kills: node killed.mjs FOLDER. It writes a checkpoint after each batch; says on stdout that it begins, and each
// batch that it is done with; and leaves what it ended with as end.json. It runs what was built.
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as lg from "../../dist/index.js";

const [, , folder] = process.argv;
/** In order, and before the process can die: stdout is a pipe. */
const say = (line) => writeSync(1, `${line}\n`);

const engine = lg.createEngine({ kernels: "simd", seed: 9 });
const net = new lg.Sequential(
  new lg.Linear(6, 64, { engine }),
  new lg.BatchNorm1d(64, { engine }),
  new lg.ELU({ engine }),
  new lg.Dropout(0.2, { engine }),
  new lg.Linear(64, 3, { engine }),
);
const x = Array.from({ length: 90 }, (_, i) =>
  Array.from({ length: 6 }, (_, j) => Math.fround(Math.abs(i * 37 + j * 11) % 19) / 19),
);
const y = x.map(([a, b, c]) => (a > b ? 0 : b > c ? 1 : 2));

say("begin");
const optimizer = new lg.AdamW(net.parameters(), { lr: 0.01 });
const history = await lg.fit(net, {
  train: { x, y },
  test: 0.2,
  epochs: 12,
  batchSize: 8,
  accumulate: 2,
  optimizer,
  schedule: lg.schedules.cosine({ warmup: 4 }),
  earlyStopping: { patience: 9 },
  checkpoint: folder === undefined ? undefined : { path: join(folder, "run.safetensors"), everySeconds: 0 },
  onBatch: ({ epoch, batch }) => {
    say(`batch ${epoch} ${batch}`);
  },
});
const end = {
  net: Buffer.from(lg.save(net)).toString("base64"),
  optimizer: Buffer.from(lg.saveOptimizer(optimizer)).toString("base64"),
  history: history.map(({ seconds, ...record }) => record),
};
if (folder === undefined) say(JSON.stringify(end));
else writeFileSync(join(folder, "end.json"), JSON.stringify(end));
