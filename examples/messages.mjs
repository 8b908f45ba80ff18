// The three messages and the Jacobians of a tiny module, beside their formulas: LinearPReLU with 3 inputs and 2 units.
//   npm run build && node examples/messages.mjs
import * as lg from "lanegrad";

const layer = new lg.LinearPReLU(3, 2);
const [weight, bias, slope] = layer.parameters();
const W = [
  [1, -2, 0.5],
  [-1, 1, 2],
];
weight.value.data.set(W.flat());
bias.value.data.set([0.25, -3]);
slope.value.data.set([0.25, 0.5]);

const x = [2, 1, -1];
const dy = [1, -2];
const s = W.map((row, k) => row.reduce((sum, w, j) => sum + w * x[j], bias.value.data[k]));
const positive = s.map((value) => value > 0);
const derivative = positive.map((yes, k) => (yes ? 1 : slope.value.data[k]));
const delta = dy.map((value, k) => value * derivative[k]);

const round = (value) => (Array.isArray(value) ? value.map(round) : Math.round(value * 1e4) / 1e4 || 0);
function compare(name, formula, computed, byHand) {
  const [got, expected] = [computed, byHand].map((value) => JSON.stringify(round(value)));
  console.log(`${name.padEnd(10)} ${formula.padEnd(37)} ${got.padEnd(34)} by hand ${expected}`);
  if (got !== expected) process.exitCode = 1;
}

console.log(`x = [${x}], s = W x + b = [${s}], f'(s) = [${derivative}], dy = [${dy}], δ = dy ⊙ f'(s) = [${delta}]\n`);
compare(
  "forward",
  "y = s where s > 0, a s elsewhere",
  layer.forward(x).toArray(),
  s.map((value, k) => value * derivative[k]),
);
compare(
  "backward",
  "dx = Wᵀ δ",
  layer.backwardInput(dy).toArray(),
  x.map((_, j) => W.reduce((sum, row, k) => sum + row[j] * delta[k], 0)),
);
layer.backwardParams(dy);
compare(
  "parameter",
  "dW = δ xᵀ",
  weight.grad.toArray(),
  delta.map((d) => x.map((value) => d * value)),
);
compare("", "db = δ", bias.grad.toArray(), delta);
compare(
  "",
  "da_k = dy_k min(0, s_k)",
  slope.grad.toArray(),
  dy.map((value, k) => value * Math.min(0, s[k])),
);

const { input, params } = lg.jacobian(layer, x);
const perUnit = (value) => s.map((_, i) => s.map((_, k) => (i === k ? value(k) : 0)));
console.log();
compare(
  "Jacobian",
  "∂y_k/∂x_j = f'(s_k) W_kj",
  input.toArray(),
  W.map((row, k) => row.map((w) => derivative[k] * w)),
);
compare(
  "",
  "∂y_i/∂b_k = f'(s_k) where i = k",
  params.bias.toArray(),
  perUnit((k) => derivative[k]),
);
compare(
  "",
  "∂y_i/∂a_k = min(0, s_k) where i = k",
  params.slope.toArray(),
  perUnit((k) => Math.min(0, s[k])),
);
