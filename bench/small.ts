/**
 * `npm run bench:small`: the size from which on the library is faster than loops over plain arrays, one sample at a time. The forward pass of
 * a network n-n-10, with a PReLU slope for each hidden unit, and its step with SGD and softmax cross-entropy: medians of rounds in which
 * all take turns in one process.
 */
import * as lg from "../src/index.js";
import { describeSetup } from "./machine.js";
import { median, millisecondsOf, uniform } from "./numbers.js";

const SIZES = [4, 8, 16, 32, 64, 128, 256];
const CLASSES = 10;
const RATE = 0.01;
const ROUNDS = 41;
const TURN_MS = 5;
const LABEL = 3;

type Calls = Record<"forward" | "step", () => unknown>;

function ours(n: number): Calls {
  const net = new lg.Sequential(new lg.Linear(n, n), new lg.PReLU({ numParameters: n }), new lg.Linear(n, CLASSES));
  const optimizer = new lg.SGD(net.parameters(), { lr: RATE });
  const x = uniform(n, -1, 1, n);
  const labels = [LABEL];
  return {
    forward: () => net.forward(x),
    step() {
      optimizer.zeroGrad();
      const { grad } = lg.crossEntropy(net.forward(x), labels);
      net.backwardParams(grad);
      optimizer.step();
    },
  };
}

/** The same as one writes it for one sample, over plain typed arrays. */
function plain(n: number): Calls {
  const x = uniform(n, -1, 1, n);
  const w1 = uniform(n * n, -1 / Math.sqrt(n), 1 / Math.sqrt(n), 1);
  const w2 = uniform(CLASSES * n, -1 / Math.sqrt(n), 1 / Math.sqrt(n), 2);
  const [b1, s, h, ds] = [1, 2, 3, 4].map(() => new Float32Array(n));
  const [b2, y, dy] = [1, 2, 3].map(() => new Float32Array(CLASSES));
  const slope = new Float32Array(n).fill(0.25);

  function forward(): Float32Array {
    for (let k = 0; k < n; k++) {
      let sum = b1[k];
      for (let j = 0; j < n; j++) sum += w1[k * n + j] * x[j];
      s[k] = sum;
      h[k] = sum > 0 ? sum : slope[k] * sum;
    }
    for (let k = 0; k < CLASSES; k++) {
      let sum = b2[k];
      for (let j = 0; j < n; j++) sum += w2[k * n + j] * h[j];
      y[k] = sum;
    }
    return y;
  }

  function step(): void {
    forward();
    let largest = y[0];
    for (let k = 1; k < CLASSES; k++) largest = Math.max(largest, y[k]);
    let total = 0;
    for (let k = 0; k < CLASSES; k++) total += dy[k] = Math.exp(y[k] - largest);
    for (let k = 0; k < CLASSES; k++) dy[k] = dy[k] / total - (k === LABEL ? 1 : 0);
    for (let j = 0; j < n; j++) {
      let dh = 0;
      for (let k = 0; k < CLASSES; k++) {
        dh += dy[k] * w2[k * n + j];
        w2[k * n + j] -= RATE * dy[k] * h[j];
      }
      ds[j] = s[j] > 0 ? dh : slope[j] * dh;
      if (s[j] <= 0) slope[j] -= RATE * dh * s[j];
    }
    for (let k = 0; k < CLASSES; k++) b2[k] -= RATE * dy[k];
    for (let k = 0; k < n; k++) {
      b1[k] -= RATE * ds[k];
      for (let j = 0; j < n; j++) w1[k * n + j] -= RATE * ds[k] * x[j];
    }
  }
  return { forward, step };
}

/** Microseconds a call, for each contender: medians over rounds in which they take turns. */
function race(calls: readonly (() => unknown)[]): number[] {
  const counts = calls.map((call) => {
    let count = 0;
    // as a warm-up, too
    for (const start = performance.now(); performance.now() - start < 20 * TURN_MS; count++) call();
    return Math.max(1, Math.round(count / 20));
  });
  const times = calls.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    calls.forEach((call, i) => {
      const milliseconds = millisecondsOf(() => {
        for (let turn = 0; turn < counts[i]; turn++) call();
      });
      times[i].push((1000 * milliseconds) / counts[i]);
    });
  }
  return times.map(median);
}

const { kernels } = lg.defaultEngine();
const { machine, node } = describeSetup(kernels);
console.log(`One sample through n-n-${CLASSES} with PReLU, µs a call; ${machine.cpu}, Node ${node}, ${kernels}\n`);
console.log(
  ["n", "forward", "plain JS", "times", "step", "plain JS", "times"].map((title) => title.padStart(10)).join(""),
);
for (const n of SIZES) {
  const [mine, theirs] = [ours(n), plain(n)];
  const cells = (["forward", "step"] as const).flatMap((name) => {
    const [own, other] = race([mine[name], theirs[name]]);
    return [own.toFixed(2), other.toFixed(2), (other / own).toFixed(2)];
  });
  console.log([String(n), ...cells].map((cell) => cell.padStart(10)).join(""));
}
