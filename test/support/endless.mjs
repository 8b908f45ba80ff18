// node endless.mjs SCENARIO COUNT [KERNELS]: does something COUNT times that must not need more memory the more often it is done, over
// dist/. Prints { rss, used } in MiB, each as it was in the second third and in the last.
import * as lg from "../../dist/index.js";

const MIB = 2 ** 20;
const [scenario, times, kernels = "auto"] = process.argv.slice(2);
const count = Number(times);

const turn = () => new Promise((resolve) => setImmediate(resolve));

let done = 0;
const most = { rss: [0, 0, 0], used: [0, 0, 0] };
function note(engine) {
  const third = Math.min(2, Math.floor((3 * done++) / count));
  most.used[third] = Math.max(most.used[third], engine.memory.used / MIB);
  // asking for it takes longer than a small step
  if (done % Math.ceil(count / 100) === 0) {
    most.rss[third] = Math.max(most.rss[third], process.memoryUsage.rss() / MIB);
  }
}

function classifier(engine, sizes) {
  const layers = sizes.slice(1).map((size, i) => new lg.LinearPReLU(sizes[i], size, { engine }));
  const net = new lg.Sequential(...layers);
  return { net, optimizer: new lg.Adam(net.parameters()) };
}

function step({ net, optimizer }, x, labels) {
  net.zeroGrad();
  net.backwardParams(lg.crossEntropy(net.forward(x), labels).grad);
  optimizer.step();
}

const SCENARIOS = {
  /** A new tensor of 16 MB each time, and a turn now and then. */
  async tensors() {
    const engine = lg.createEngine({ kernels });
    for (let i = 0; i < count; i++) {
      engine.zeros([4_000_000]);
      if (i % 10 === 9) await turn();
      note(engine);
    }
  },

  /** A new tensor a step, 400 KB. */
  async steps() {
    const engine = lg.createEngine({ kernels, maximumMemory: 64 * MIB });
    const trained = classifier(engine, [784, 8, 10]);
    const batch = engine.zeros([128, 784]);
    const labels = new Uint8Array(128);
    for (let i = 0; i < count; i++) {
      step(trained, batch.clone(), labels);
      if (i % 10 === 9) await turn();
      note(engine);
    }
  },

  /** Nets that are tried and dropped, 2 MB each. */
  async droppedNets() {
    const engine = lg.createEngine({ kernels, maximumMemory: 64 * MIB });
    for (let i = 0; i < count; i++) {
      const trial = classifier(engine, [256, 512, 128, 10]);
      for (let j = 0; j < 2; j++) step(trial, new Float32Array(16 * 256), new Uint8Array(16));
      await turn();
      note(engine);
    }
  },

  /** Nets that are tried and disposed. */
  async search() {
    const engine = lg.createEngine({ kernels });
    const x = new Float32Array(32 * 784);
    for (let i = 0; i < count; i++) {
      const trial = classifier(engine, [784, 1000, 1000, 10]);
      step(trial, x, new Uint8Array(32));
      trial.net.dispose();
      note(engine);
    }
  },

  /** fit with a loss that makes its gradient, 128 KB a batch. */
  async fit() {
    const engine = lg.createEngine({ kernels, maximumMemory: 32 * MIB });
    const net = new lg.Linear(4, 64, { engine });
    const loss = (output, target) => {
      const grad = engine.zeros(output.shape);
      const [y, t, g] = [output.data, target.data, grad.data];
      let sum = 0;
      for (let i = 0; i < y.length; i++) {
        g[i] = Math.sign(y[i] - t[i]) / y.length;
        sum += Math.abs(y[i] - t[i]);
      }
      return { loss: sum / y.length, grad };
    };
    await lg.fit(net, {
      train: { x: new Float32Array(2048 * 4).fill(0.5), y: engine.zeros([2048, 64]) },
      epochs: count,
      batchSize: 512,
      loss,
      optimizer: new lg.SGD(net.parameters(), { lr: 0.01 }),
      onEpoch: () => note(engine),
    });
  },

  /** Engines that are made, used and disposed. */
  async engines() {
    for (let i = 0; i < count; i++) {
      const engine = lg.createEngine({ kernels });
      new lg.Linear(100, 100, { engine }).forward(new Float32Array(100));
      note(engine);
      engine.dispose();
    }
  },

  /** Likewise, of 100 MB each, without a turn. */
  async largeEngines() {
    for (let i = 0; i < count; i++) {
      const engine = lg.createEngine({ kernels });
      engine.zeros([25_000_000]);
      note(engine);
      engine.dispose();
    }
  },
};

await SCENARIOS[scenario]();
const [rss, used] = [most.rss, most.used].map((thirds) => thirds.slice(1).map(Math.round));
console.log(JSON.stringify({ rss, used }));
