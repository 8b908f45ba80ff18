// node program.mjs KERNEL_SET: everything that computes, on one kernel set, widened with LANEGRAD_WIDE=1. Prints a SHA-256 of the resulting bits for each section as JSON;
// scripts/test-nodes.mjs compares them between versions of Node. Plain JavaScript over dist/, so that any Node runs it as it is.
import { createHash } from "node:crypto";
import * as lg from "../../dist/index.js";

// What the host computes exactly may be used for tensors; the rest differs between engines, so its use is an error, not a chance.
const EXACT = ["abs", "ceil", "clz32", "floor", "fround", "imul", "max", "min", "round", "sign", "sqrt", "trunc"];
for (const name of Object.getOwnPropertyNames(Math)) {
  if (typeof Math[name] === "function" && !EXACT.includes(name)) {
    Math[name] = () => {
      throw new Error(`Math.${name} was called: its bits differ between engines`);
    };
  }
}

const kernelSet = process.argv[2];
/** What engines are where nothing else is said. */
const wide = process.env.LANEGRAD_WIDE === "1";
const called = new Set();

/** An engine with these kernels and no others, which notes in `called` what ran. */
function openEngine(seed = 0) {
  const engine = lg.createEngine({ kernels: kernelSet, seed });
  if (engine.kernels !== kernelSet) throw new Error(`asked for the "${kernelSet}" kernels, got "${engine.kernels}"`);
  if (engine.wide !== wide)
    throw new Error(`asked for wide kernels: ${wide}, got ${engine.wide}: ${engine.wideReason}`);
  const { ops } = engine;
  for (const [name, kernel] of Object.entries(ops)) {
    if (typeof kernel !== "function") continue;
    ops[name] = (...args) => {
      called.add(name);
      return kernel(...args);
    };
  }
  return engine;
}

/** A hash of numbers by their bits; the payload and sign of a NaN are the processor's affair. */
class Digest {
  #hash = createHash("sha256");

  floats(values) {
    const bits = new Uint32Array(Float32Array.from(values).buffer);
    for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7fffffff) > 0x7f800000) bits[i] = 0x7fc00000;
    this.bytes(new Uint8Array(bits.buffer));
  }

  double(value) {
    this.#hash.update(Number.isNaN(value) ? "NaN" : Float64Array.of(value));
  }

  bytes(values) {
    this.#hash.update(values);
  }

  toString() {
    return this.#hash.digest("hex");
  }
}

/** The same numbers everywhere (mulberry32); multiples of 2^-24 of the range, by integers alone. */
class Noise {
  #state = 1;

  integer(below) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  values(count, low = -1, high = 1) {
    return Float32Array.from({ length: count }, () => low + (this.integer(2 ** 24) / 2 ** 24) * (high - low));
  }

  labels(count, classes) {
    return Int32Array.from({ length: count }, () => this.integer(classes));
  }
}

const SPECIALS = [0, 1e-45, 1e-40, 1.1754944e-38, 1, 87.5, 88.8, 104, 3.4028235e38, Number.POSITIVE_INFINITY].flatMap(
  (value) => [value, -value],
);

/** `count` values over all exponents, NaNs among them, and the special ones. */
function everyExponent(count, first) {
  const bits = Int32Array.from({ length: count }, (_, i) => Math.imul(i, 0x9e3779b1) ^ first);
  const values = new Float32Array(bits.buffer);
  values.set(SPECIALS, first % (count - SPECIALS.length));
  return values;
}

/** Raw calls of kernels: operands go into the linear memory, outputs into the digest. They are the library's internals. */
class Bench {
  constructor(engine, digest) {
    this.ops = engine.ops;
    this.linear = engine.linear;
    this.digest = digest;
  }

  put(values) {
    const address = this.linear.allocate(values.byteLength);
    const heap = values instanceof Int32Array ? this.linear.i32 : this.linear.f32;
    heap.set(values, address / 4);
    return address;
  }

  /** Calls a kernel on copies of `operands` (sizes and flags follow), hashes what they hold then and what it returns. */
  run(operands, call) {
    const addresses = operands.map((values) => this.put(values));
    const result = call(this.ops, ...addresses);
    if (result !== undefined) this.digest.double(result);
    addresses.forEach((address, i) => {
      const { length } = operands[i];
      if (operands[i] instanceof Float32Array) {
        this.digest.floats(this.linear.f32.subarray(address / 4, address / 4 + length));
      }
      this.linear.free(address);
    });
  }
}

const ROWS = 67;
const CHANNELS = 61;
const SIZE = ROWS * CHANNELS;

/** The element-wise kernels, the reductions, losses and optimizers on three operands of SIZE. */
function elementwise(bench, [a, b, c]) {
  const slopes = b.slice(0, CHANNELS);
  const sums = c.slice(0, CHANNELS);
  for (const alpha of [1, 1.5, 0]) {
    bench.run([a, b], (ops, x, y) => ops.elu(SIZE, x, alpha, y));
    bench.run([a, b], (ops, x, dy) => ops.eluBackward(SIZE, x, dy, alpha, dy));
  }
  bench.run([a], (ops, x) => ops.exponential(SIZE, x, x));
  bench.run([a], (ops, x) => ops.relu(SIZE, x, x));
  bench.run([a, b], (ops, x, dy) => ops.reluBackward(SIZE, x, dy, dy));
  for (const layout of [
    [ROWS, CHANNELS, 1],
    [1, CHANNELS, ROWS],
  ]) {
    bench.run([a, slopes], (ops, x, slope) => ops.prelu(...layout, x, slope, x));
    for (const accumulate of [false, true]) {
      bench.run([a, b, slopes, sums, sums], (ops, x, dy, slope, dslope, dbias) => {
        ops.preluBackward(...layout, x, dy, slope, dy, dslope, accumulate, dbias, accumulate);
      });
      bench.run([a, sums], (ops, x, y) => ops.channelSums(...layout, x, y, accumulate));
      bench.run([a, b, slopes, slopes, sums, sums, c], (ops, x, dy, weight, bias, mean, variance, y) => {
        const statistics = bench.put(new Float32Array(2 * CHANNELS));
        ops.batchNorm(...layout, x, weight, bias, 1e-5, 0.1, mean, variance, statistics, y);
        ops.batchNormBackward(...layout, x, dy, weight, statistics, dy, mean, accumulate, variance, accumulate);
        bench.linear.free(statistics);
      });
      bench.run([a, slopes, slopes, sums, sums], (ops, x, weight, bias, mean, variance) => {
        ops.normalize(...layout, x, weight, bias, 1e-5, mean, variance, x);
      });
    }
  }
  bench.run([a, b], (ops, x, y) => ops.dropout(SIZE, x, 3, 5, 2 ** 22, 4 / 3, y));
  bench.run([a], (ops, x) => ops.fill(SIZE, x, 0.1));
  for (const factor of [0.1, -1, 0]) {
    bench.run([a], (ops, x) => ops.scale(SIZE, x, factor));
    bench.run([a, b], (ops, x, y) => ops.addScaled(SIZE, x, y, factor));
    bench.run([a, b, c], (ops, x, y, z) => ops.addProduct(SIZE, factor, x, y, z, factor < 0));
  }
  bench.run([a], (ops, x) => ops.sumOfSquares(SIZE, x));
  bench.run([a, b, c], (ops, x, y, grad) => ops.squaredError(SIZE, x, y, grad, 0.3));
  bench.run([a, b, c], (ops, x, y, grad) => ops.binaryCrossEntropy(SIZE, x, y, grad, 0.3));
  const labels = Int32Array.from({ length: ROWS }, (_, i) => i % CHANNELS);
  for (const smoothing of [0, 0.1]) {
    bench.run([a, labels, c], (ops, x, y, grad) => ops.softmaxCrossEntropy(ROWS, CHANNELS, x, y, grad, 0.3, smoothing));
  }
  for (const nesterov of [false, true]) {
    bench.run([a, b, c], (ops, p, g, buffer) => ops.sgd(SIZE, p, g, buffer, 0.1, 0.01, 0.9, 0.9, 0.7, nesterov));
  }
  const squares = c.map((value) => value * value);
  for (const amsgrad of [false, true]) {
    bench.run([a, b, c, squares, squares], (ops, p, g, m, v, vMax) =>
      ops.adam(SIZE, p, g, m, v, amsgrad ? vMax : 0, 0.1, 0.1, 0.999, 0.001, 2.5, 1e-8, 0.01, 0.99),
    );
  }
  for (const [centered, momentum] of [
    [false, 0],
    [true, 0.9],
  ]) {
    bench.run([a, b, squares, c, c], (ops, p, g, v, average, buffer) =>
      ops.rmsprop(
        SIZE,
        p,
        g,
        v,
        centered ? average : 0,
        momentum > 0 ? buffer : 0,
        0.1,
        0.9,
        0.1,
        1e-8,
        0.01,
        momentum,
      ),
    );
  }
}

/** Single rows, odd sizes, and sizes beyond a block of each loop around the tiles. */
const PRODUCTS = [
  [1, 1, 1],
  [1, 37, 65],
  [3, 10, 129],
  [7, 7, 0],
  [17, 33, 19],
  [65, 66, 67],
  [37, 300, 1030],
  [530, 41, 70],
];

function products(bench, noise) {
  for (const [m, n, k] of PRODUCTS) {
    const [a, b, c, bias] = [m * k, k * n, m * n, n].map((count) => noise.values(count));
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ]) {
      const strides = [transposeA ? m : k, transposeB ? k : n];
      const product = (ops, x, y, z, row, accumulate) =>
        ops.gemm(transposeA, transposeB, m, n, k, x, strides[0], y, strides[1], z, n, row, accumulate);
      bench.run([a, b, c], (ops, x, y, z) => product(ops, x, y, z, 0, false));
      bench.run([a, b, c], (ops, x, y, z) => product(ops, x, y, z, 0, true));
      bench.run([a, b, c, bias], (ops, x, y, z, row) => product(ops, x, y, z, row, false));
    }
  }
}

/** Every layer as [class, sizes, options, shape of a sample]. */
const LAYERS = [
  [lg.Linear, [13, 7], {}, [13]],
  [lg.Linear, [65, 33], { bias: false }, [65]],
  [lg.LinearPReLU, [13, 7], {}, [13]],
  [lg.LinearPReLU, [9, 21], { numParameters: 1, constraint: "exp", penalty: 0.1 }, [9]],
  [lg.LinearPReLU, [9, 5], { constraint: "square", bias: false }, [9]],
  [lg.LinearELU, [13, 7], {}, [13]],
  [lg.LinearELU, [9, 5], { alpha: 0.3, bias: false }, [9]],
  [lg.PReLU, [], {}, [3, 5]],
  [lg.PReLU, [], { numParameters: 3, init: -0.1 }, [3, 5]],
  [lg.PReLU, [], { numParameters: 7, constraint: "exp" }, [7]],
  [lg.PReLU, [], { numParameters: 7, constraint: "square", penalty: 0.1 }, [7]],
  [lg.ELU, [], {}, [19]],
  [lg.ELU, [], { alpha: 1.7 }, [19]],
  [lg.LeakyReLU, [], {}, [19]],
  [lg.LeakyReLU, [], { negativeSlope: 0.3 }, [19]],
  [lg.ReLU, [], {}, [19]],
  [lg.Conv2d, [3, 5, 3], { padding: 1 }, [3, 9, 7]],
  [lg.Conv2d, [2, 9, [5, 2]], { stride: [2, 3], padding: [3, 1], bias: false }, [2, 11, 13]],
  [lg.Conv2d, [65, 12, 3], {}, [65, 5, 6]],
  [lg.MaxPool2d, [2], {}, [3, 9, 11]],
  [lg.MaxPool2d, [3], { stride: 2, padding: 1 }, [2, 9, 8]],
  [lg.BatchNorm1d, [5], {}, [5, 3]],
  [lg.BatchNorm2d, [3], { momentum: 0.3, eps: 1e-3 }, [3, 5, 4]],
  [lg.Flatten, [], {}, [3, 5, 4]],
  [lg.Dropout, [0.3], {}, [37]],
];

const BATCHES = [1, 2, 7, 33, 130];

/** What is exported and not exercised here would be promised beyond what is tested. */
function assertComplete(what, all, exercised) {
  const missing = all.filter((item) => !exercised.includes(item)).map((item) => item.name ?? item);
  if (missing.length > 0) throw new Error(`program.mjs exercises no ${missing.join(", ")}: add it to the ${what}`);
}

function hashParameters(digest, layer) {
  for (const { value, grad } of layer.parameters()) {
    digest.floats(value.data);
    digest.floats(grad.data);
  }
}

function layers(engine, digest, noise) {
  const exported = Object.values(lg).filter((value) => value?.prototype instanceof lg.Layer);
  // Sequential: in the nets below
  assertComplete("layers", exported, [...LAYERS.map(([Layer]) => Layer), lg.Sequential]);
  for (const [Layer, sizes, options, sample] of LAYERS) {
    const layer = new Layer(...sizes, { ...options, engine });
    const size = sample.reduce((product, length) => product * length, 1);
    for (const batch of BATCHES) {
      const x = engine.tensor(noise.values(batch * size, -3, 3), [batch, ...sample]);
      const y = layer.forward(x);
      digest.floats(y.data);
      const dy = engine.tensor(noise.values(y.size), y.shape);
      digest.floats(layer.backward(dy).data);
      hashParameters(digest, layer);
      // adds to the gradients
      layer.backwardParams(dy);
      hashParameters(digest, layer);
      layer.zeroGrad();
    }
  }
}

function losses(engine, digest, noise) {
  const hash = ({ loss, grad }) => {
    digest.double(loss);
    digest.floats(grad.data);
  };
  for (const reduction of ["mean", "sum"]) {
    for (const [rows, classes] of [
      [1, 1],
      [1, 10],
      [7, 3],
      [130, 37],
    ]) {
      const output = engine.tensor(noise.values(rows * classes, -30, 30), [rows, classes]);
      for (const labelSmoothing of [0, 0.1]) {
        hash(lg.crossEntropy(output, noise.labels(rows, classes), { reduction, labelSmoothing }));
      }
      const target = engine.tensor(noise.values(rows * classes, 0, 1), [rows, classes]);
      hash(lg.mseLoss(output, target, { reduction }));
      hash(lg.bceWithLogits(output, target, { reduction }));
    }
  }
}

const OPTIMIZERS = [
  [lg.SGD, { lr: 0.1 }],
  [lg.SGD, { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }],
  [lg.SGD, { lr: 0.1, momentum: 0.9, dampening: 0.3 }],
  [lg.SGD, { lr: 0.1, momentum: 0.9, nesterov: true }],
  [lg.Adam, {}],
  [lg.Adam, { lr: 0.01, betas: [0.8, 0.95], weightDecay: 0.01, amsgrad: true }],
  [lg.AdamW, {}],
  [lg.AdamW, { lr: 0.01, weightDecay: 0.1, amsgrad: true }],
  [lg.RMSprop, {}],
  [lg.RMSprop, { centered: true, weightDecay: 0.01 }],
  [lg.RMSprop, { momentum: 0.9, alpha: 0.9 }],
];

function optimizers(engine, digest, noise) {
  const exported = Object.values(lg).filter((value) => typeof value?.prototype?.step === "function");
  assertComplete(
    "optimizers",
    exported,
    OPTIMIZERS.map(([Optimizer]) => Optimizer),
  );
  for (const [Optimizer, options] of OPTIMIZERS) {
    const layer = new lg.Linear(17, 5, { engine });
    const optimizer = new Optimizer(layer.parameters(), options);
    for (let step = 0; step < 20; step++) {
      for (const { grad } of layer.parameters()) grad.data.set(noise.values(grad.size));
      digest.double(lg.clipGradNorm(layer.parameters(), 4));
      optimizer.step();
      hashParameters(digest, layer);
    }
  }
}

function draws(_, digest) {
  const { kaimingNormal_, kaimingUniform_, xavierNormal_, xavierUniform_ } = lg.init;
  for (const seed of [0, 1, 2 ** 40 + 3]) {
    const engine = openEngine(seed);
    for (const init of [kaimingNormal_, kaimingUniform_, xavierNormal_, xavierUniform_]) {
      digest.floats(init(engine.zeros([37, 101])).data);
      digest.floats(init(engine.zeros([3, 5]), { seed: 7 }).data);
    }
    hashParameters(digest, new lg.LinearELU(33, 9, { engine }));
    engine.dispose();
  }
}

/** A net, its loss, its targets for N samples, and its optimizer. */
const TRAINED = [
  {
    net: (engine) => [
      new lg.LinearPReLU(11, 23, { engine }),
      new lg.LinearELU(23, 9, { engine }),
      new lg.Linear(9, 5, { engine }),
    ],
    loss: lg.crossEntropy,
    targets: (noise, count) => noise.labels(count, 5),
    optimizer: (params) => new lg.SGD(params, { lr: 0.05, momentum: 0.9, nesterov: true }),
  },
  {
    net: (engine) => [
      new lg.Linear(11, 16, { engine }),
      new lg.PReLU({ numParameters: 16, constraint: "exp", penalty: 0.01, engine }),
      new lg.Linear(16, 7, { bias: false, engine }),
      new lg.ELU({ engine }),
      new lg.Linear(7, 3, { engine }),
      new lg.LeakyReLU({ engine }),
    ],
    loss: lg.mseLoss,
    targets: (noise, count) => nested(noise.values(count * 3), 3),
    optimizer: (params) => new lg.AdamW(params, { lr: 0.01, amsgrad: true }),
  },
  {
    net: (engine) => [
      new lg.Linear(11, 70, { engine }),
      new lg.BatchNorm1d(70, { engine }),
      new lg.ReLU({ engine }),
      new lg.Dropout(0.2, { engine }),
      new lg.LinearPReLU(70, 13, { numParameters: 1, constraint: "square", engine }),
      new lg.Linear(13, 1, { engine }),
    ],
    loss: lg.bceWithLogits,
    targets: (noise, count) => nested(noise.values(count, 0, 1), 1),
    optimizer: (params) => new lg.RMSprop(params, { lr: 0.003, centered: true, momentum: 0.5 }),
  },
];

/** Rows of `width`. */
function nested(values, width) {
  return Array.from({ length: values.length / width }, (_, i) => [...values.subarray(i * width, (i + 1) * width)]);
}

async function training(engine, digest, noise) {
  const count = 203;
  for (const { net: build, loss, targets, optimizer: optimize } of TRAINED) {
    const net = new lg.Sequential(...build(engine));
    const x = noise.values(count * 11, -2, 2);
    const train = { x, y: targets(noise, count) };
    const optimizer = optimize(net.parameters());
    const history = await lg.fit(net, {
      train,
      epochs: 4,
      batchSize: 33,
      optimizer,
      loss: (output, target) => loss(output, target),
      onBatch: (batch) => digest.double(batch.loss),
    });
    for (const epoch of history) digest.double(epoch.loss);
    digest.bytes(lg.save(net));
    digest.floats(lg.predict(net, x));
  }
}

function derivatives(engine, digest, noise) {
  for (const { net: build } of TRAINED) {
    const net = new lg.Sequential(...build(engine));
    const x = engine.tensor(noise.values(3 * 11), [3, 11]);
    const { input, params } = lg.jacobian(net, x);
    for (const tensor of [input, ...Object.values(params)]) digest.floats(tensor.data);
    digest.double(lg.gradCheck(net, x).worst.error);
  }
}

const SECTIONS = {
  elementwise: (engine, digest, noise) => {
    const bench = new Bench(engine, digest);
    elementwise(
      bench,
      [0, 0x2545f491, 0x6a09e667].map((first) => everyExponent(SIZE, first)),
    );
    elementwise(
      bench,
      [1, 2, 3].map(() => noise.values(SIZE, -4, 4)),
    );
  },
  products: (engine, digest, noise) => products(new Bench(engine, digest), noise),
  layers,
  losses,
  optimizers,
  draws,
  training,
  derivatives,
};

async function main() {
  const hashes = {};
  for (const [name, run] of Object.entries(SECTIONS)) {
    const engine = openEngine();
    const digest = new Digest();
    await run(engine, digest, new Noise());
    hashes[name] = String(digest);
    engine.dispose();
  }
  // the twin has nothing but kernels
  assertComplete("kernels", Object.keys(lg.createEngine({ kernels: "js" }).ops), ["set", ...called]);
  const { version, versions } = process;
  console.log(JSON.stringify({ node: version, v8: versions.v8, kernels: kernelSet, wide, hashes }));
}

try {
  await main();
} catch (error) {
  // uncaught, it would come with the line that it was thrown in, and dist/ has only one
  console.error(error.stack);
  process.exitCode = 1;
}
