// A training loop over plain arrays: XOR, learned by one hidden layer with a trainable slope for each unit.
//   npm run build && node examples/plain-arrays.mjs
import * as lg from "lanegrad";

const inputs = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
];
const labels = [0, 1, 1, 0];

const engine = lg.createEngine({ seed: 1 });
const net = new lg.Sequential(new lg.LinearPReLU(2, 8, { engine }), new lg.Linear(8, 2, { engine }));
const optimizer = new lg.Adam(net.parameters(), { lr: 0.05 });

for (let step = 1; step <= 200; step++) {
  net.zeroGrad();
  const { loss, grad } = lg.crossEntropy(net.forward(inputs), labels);
  net.backwardParams(grad);
  optimizer.step();
  if (step % 50 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}
for (const [i, input] of inputs.entries()) {
  const [no, yes] = lg.predict(net, input);
  console.log(`${input.join(" xor ")} = ${yes > no ? 1 : 0} (expected ${labels[i]})`);
}
