// A layer of your own: a residual block, y = x + g(x), around layers of lanegrad. It gives forward, backwardInput, backwardParams,
// parameters and children; Sequential, fit, gradCheck and save then work as with any layer.
//   npm run build && node examples/residual-block.mjs
import * as lg from "lanegrad";

class Residual extends lg.Layer {
  #y;
  #dx;

  constructor(inner) {
    super();
    this.inner = inner;
  }

  // between layers x and dy are tensors; at the ends of a network lg.tensor makes them
  forward(x) {
    this.#y = sum(this.inner.forward(x), x, this.#y);
    return this.#y;
  }

  backwardInput(dy) {
    this.#dx = sum(this.inner.backwardInput(dy), dy, this.#dx);
    return this.#dx;
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

  dispose() {
    super.dispose();
    this.#y?.dispose();
    this.#dx?.dispose();
  }
}

/**
 * a + b, in the same buffer as long as the shape stays: a steady loop then allocates nothing. Not in `a`, though that would be shorter: a
 * layer may need what it returned for its backward message.
 */
function sum(a, b, buffer) {
  if (String(buffer?.shape) === String(a.shape)) {
    buffer.data.set(a.data);
    return buffer.add_(b);
  }
  buffer?.dispose();
  return a.clone().add_(b);
}

const width = 6;
const engine = lg.createEngine();
const block = () => new Residual(new lg.LinearELU(width, width, { engine }));
const net = new lg.Sequential({ first: block(), second: block(), output: new lg.Linear(width, 1, { engine }) });
const x = engine.tensor(
  Float32Array.from({ length: 4 * width }, (_, i) => Math.sin(i)),
  [4, width],
);

console.table(lg.summary(net).layers);
const { ok, checked, worst } = lg.gradCheck(net, x);
console.log(
  `gradCheck: ${ok ? "ok" : "NOT ok"}, ${checked} derivatives, largest error ${worst.error.toExponential(1)}`,
);

const optimizer = new lg.Adam(net.parameters(), { lr: 0.02 });
const target = engine.tensor([1, -1, 1, -1], [4, 1]);
for (let step = 0; step <= 100; step++) {
  net.zeroGrad();
  const { loss, grad } = lg.mseLoss(net.forward(x), target);
  net.backwardParams(grad);
  optimizer.step();
  if (step % 50 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}, ${engine.memory.used} bytes in use`);
}
