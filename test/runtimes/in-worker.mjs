// The default export trains in a worker; `checkWorker` compares that with the same training in this thread.
export default function make(_, { lg }) {
  const engine = lg.createEngine({ kernels: "simd" });
  const net = new lg.Sequential(
    new lg.Linear(5, 7, { engine }),
    new lg.PReLU({ engine }),
    new lg.Linear(7, 3, { engine }),
  );
  const x = Float32Array.from({ length: 20 * 5 }, (_, i) => (i % 13) / 13);
  const train = { x, y: Array.from({ length: 20 }, (_, i) => i % 3) };
  return { net, fit: { train, epochs: 3, batchSize: 6, optimizer: new lg.Adam(net.parameters()) } };
}

export async function checkWorker(lg) {
  const epochs = [];
  const { state } = await lg.fitInWorker(
    new URL(import.meta.url),
    {},
    { onEpoch: ({ epoch }) => void epochs.push(epoch) },
  );
  const { net, fit } = make({}, { lg });
  await lg.fit(net, fit);
  if (String(state) !== String(lg.save(net))) throw new Error("a worker gives other bits");
  if (String(epochs) !== "1,2,3") throw new Error(`a worker told of the epochs ${epochs}`);
}
