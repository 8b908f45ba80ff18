// Plain JavaScript over the package, for every runtime: trains a small network for images and returns every bit of the result.

/** The same numbers everywhere (mulberry32), multiples of 2^-23 in [-1, 1). */
function noise(count) {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 8) / 2 ** 23 - 1;
  });
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** How many threads of three there are, whose product is to have the bits of one. */
async function threadsOfProducts(lg, options) {
  const products = [];
  let threads = 0;
  for (const count of [1, 3]) {
    const engine = lg.createEngine({ ...options, threads: count });
    await engine.ready;
    threads = engine.threads;
    const a = engine.tensor(noise(300 * 400), [300, 400]);
    const b = engine.tensor(noise(400 * 500), [400, 500]);
    const c = lg.matmul(a, b);
    for (let i = 0; i < 10; i++) lg.matmul(a, b, { out: c });
    products.push(hex(new Uint8Array(c.data.slice().buffer)));
    engine.dispose();
  }
  if (products[0] !== products[1]) throw new Error(`${threads} threads give other bits than one`);
  return threads;
}

/** Trains by `fit` on an engine made with `options`; as JSON, for a table and a comparison. */
export async function train(lg, options = { kernels: "simd" }) {
  const engine = lg.createEngine(options);
  const net = new lg.Sequential(
    new lg.Conv2d(1, 6, 3, { padding: 1, engine }),
    new lg.PReLU({ numParameters: 6, engine }),
    new lg.BatchNorm2d(6, { engine }),
    new lg.MaxPool2d(2, { engine }),
    new lg.Flatten({ engine }),
    new lg.LinearPReLU(6 * 4 * 4, 37, { engine }),
    new lg.Dropout(0.2, { engine }),
    new lg.LinearELU(37, 19, { engine }),
    new lg.Linear(19, 10, { engine }),
  );
  const samples = 203;
  const x = noise(samples * 64);
  const y = Int32Array.from({ length: samples }, (_, i) => i % 10);
  const optimizer = new lg.Adam(net.parameters(), { lr: 0.01 });
  const history = await lg.fit(net, {
    train: { x, y, sampleShape: [1, 8, 8] },
    test: { x, y, sampleShape: [1, 8, 8] },
    epochs: 3,
    batchSize: 33,
    optimizer,
  });
  engine.warmUp();
  const losses = Float64Array.from(history.flatMap(({ loss, testLoss, accuracy }) => [loss, testLoss, accuracy]));
  // more than the memory holds at first
  const large = engine.zeros([1024, 1024]);
  const isShared = typeof SharedArrayBuffer !== "undefined" && large.data.buffer instanceof SharedArrayBuffer;
  const threads = await threadsOfProducts(lg, options);
  const result = {
    kernels: engine.kernels,
    threads,
    auto: lg.createEngine().kernels,
    isShared,
    learns: history[2].loss < history[0].loss,
    bits: hex(lg.save(net)) + hex(new Uint8Array(losses.buffer)),
  };
  engine.dispose();
  return result;
}
