// What runs in the worker thread: it reads the data there, trains, and reports its weights after each epoch.
import { readFileSync } from "node:fs";
import { buildNetwork } from "./network.mjs";

const data = new URL("../../data/fashion-mnist-subset/", import.meta.url);

export default function train({ epochs, batchSize }, { lg, signal, report }) {
  const read = (name) => lg.readIdx(readFileSync(new URL(`${name}-ubyte.gz`, data))).data;
  const net = buildNetwork();
  return {
    net,
    fit: {
      train: { x: read("train-images-idx3"), y: read("train-labels-idx1") },
      test: { x: read("t10k-images-idx3"), y: read("t10k-labels-idx1") },
      epochs,
      batchSize,
      optimizer: new lg.Adam(net.parameters()),
      seed: 0,
      signal,
      onEpoch: () => report(lg.save(net)),
    },
  };
}
