// A layer of your own: a residual block, y = x + g(x), around layers of lanegrad. It gives forward, backwardInput, backwardParams,
// parameters and children; Sequential, fit, gradCheck and save then work as with any layer.
//   npm run build && node examples/residual-block.mjs
import * as lg from "lanegrad";

class Residual extends lg.Layer {
  constructor(inner) {
    super();
    this.inner = inner;
  }

  forward(x) {
    // a returned tensor is the inner layer's own buffer, ours to add to
    return this.inner.forward(x).add_(x);
  }

  backwardInput(dy) {
    return this.inner.backwardInput(dy).add_(dy);
  }

  backwardParams(dy) {
    this.inner.backwardParams(dy);
  }

  parameters() {
    return this.inner.parameters().map((parameter) => ({ ...parameter, name: `inner.${parameter.name}` }));
  }

  children() {
    return [["inner", this.inner]];
  }
}

const width = 6;
const block = () => new Residual(new lg.Sequential(new lg.LinearELU(width, width), new lg.Linear(width, width)));
const net = new lg.Sequential({ first: block(), second: block(), output: new lg.Linear(width, 1) });
const x = lg.tensor(
  Float32Array.from({ length: 4 * width }, (_, i) => Math.sin(i)),
  [4, width],
);

console.table(lg.summary(net).layers);
const { ok, checked, worst } = lg.gradCheck(net, x);
console.log(
  `gradCheck: ${ok ? "ok" : "NOT ok"}, ${checked} derivatives, largest error ${worst.error.toExponential(1)}`,
);
