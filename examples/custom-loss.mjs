// A loss of your own is a function (output, target) => { loss, grad }. This one is Huber's, quadratic near 0 and linear beyond, for a
// regression with outliers. fit and evaluate take it like ours.
//   npm run build && node examples/custom-loss.mjs
import * as lg from "lanegrad";

const engine = lg.createEngine({ seed: 2 });

/** The gradient has one buffer, made anew only for a batch of another size: a steady loop allocates nothing. */
function createHuber(delta) {
  let grad;
  return (output, target) => {
    if (String(grad?.shape) !== String(output.shape)) {
      grad?.dispose();
      grad = output.engine.zeros(output.shape);
    }
    const [y, t, g] = [output.data, target.data, grad.data];
    let sum = 0;
    for (let i = 0; i < y.length; i++) {
      const distance = y[i] - t[i];
      const size = Math.abs(distance);
      sum += size <= delta ? (distance * distance) / 2 : delta * (size - delta / 2);
      g[i] = Math.max(-delta, Math.min(delta, distance)) / y.length;
    }
    return { loss: sum / y.length, grad };
  };
}

// y = |x| with every tenth value far off
const x = Float32Array.from({ length: 400 }, (_, i) => i / 200 - 1);
const y = x.map((value, i) => Math.abs(value) + (i % 10 === 0 ? 5 : 0));

const net = new lg.Sequential(new lg.LinearPReLU(1, 16, { engine }), new lg.Linear(16, 1, { engine }));
const history = await lg.fit(net, {
  train: { x, y },
  epochs: 60,
  batchSize: 50,
  loss: createHuber(0.5),
  optimizer: new lg.Adam(net.parameters(), { lr: 0.01 }),
  onEpoch: ({ epoch }) => {
    if (epoch % 20 === 0) console.log(`epoch ${epoch}: ${engine.memory.used} bytes in use`);
  },
});
console.log(`loss ${history[0].loss.toFixed(3)} -> ${history.at(-1).loss.toFixed(3)}`);
for (const value of [-0.75, 0, 0.75]) {
  console.log(`f(${value}) = ${lg.predict(net, [value])[0].toFixed(2)}, |x| = ${Math.abs(value)}`);
}
