import { describe, expect, test } from "vitest";
import { firstDifference, Problems, ROUNDING, within } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range } from "../support/numbers.js";
import { Random } from "../support/random.js";

interface Operands {
  readonly rows: number;
  readonly classes: number;
  readonly logits: Float32Array;
  readonly labels: Int32Array;
}

const SMALL: [rows: number, classes: number][] = range(1, 40).flatMap((classes) =>
  [0, 1, 2, 3, 4, 7].map((rows): [number, number] => [rows, classes]),
);
const LARGE: [rows: number, classes: number][] = [
  [5, 1000],
  [512, 10],
  [65, 257],
  [4099, 2],
];

function randomOperands(random: Random, rows: number, classes: number, size: number): Operands {
  const logits = random.values(rows * classes, -size, size);
  const labels = Int32Array.from({ length: rows }, () => random.integer(0, classes - 1));
  return { rows, classes, logits, labels };
}

/**
 * PyTorch's loss and gradient of each row in double precision, with what float32 may lose: the exponentials and their sum to a
 * few ulp, at most one rounding a class, and a rounding of max - x, which counts by its size in the loss and times the probability
 * in the gradient. Probabilities below the normal float32 may vanish.
 */
function reference({ rows, classes, logits, labels }: Operands, scale: number, smoothing: number) {
  const gradient = new Float64Array(rows * classes);
  const bounds = new Float64Array(rows * classes);
  let loss = 0;
  let lossBound = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    const shifted = Float64Array.from(logits.subarray(start, start + classes));
    const largest = Math.max(...shifted);
    for (let j = 0; j < classes; j++) shifted[j] -= largest;
    const sum = shifted.reduce((total, value) => total + Math.exp(value), 0);
    for (let j = 0; j < classes; j++) {
      const target = (j === labels[row] ? 1 - smoothing : 0) + smoothing / classes;
      const p = Math.exp(shifted[j]) / sum;
      gradient[start + j] = (p - target) * scale;
      const lost = p === 0 ? 0 : (classes + 16 - shifted[j]) * p;
      bounds[start + j] = Math.abs(scale) * (ROUNDING * (lost + 8 * target) + 1e-37);
      // A class without a target takes no part: 0 · -Infinity would be NaN. A row of NaN is one as a whole.
      if (target !== 0 || Number.isNaN(sum)) {
        const term = -target * (shifted[j] - Math.log(sum));
        loss += term;
        lossBound += ROUNDING * (8 * Math.abs(term) - 4 * target * shifted[j] + (classes + 16) * target);
      }
    }
  }
  return { loss, lossBound, gradient, bounds };
}

describe("softmaxCrossEntropy", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, operands: Operands, smoothing: number, problems: Problems): void {
      const { rows, classes, logits, labels } = operands;
      for (const scale of [1, 1 / Math.max(1, rows)]) {
        const want = reference(operands, scale, smoothing);
        arena.clear();
        const x = arena.input(logits, anywhere(random));
        const y = arena.input(labels, anywhere(random));
        const grad = arena.output(notNumbers(logits.length), anywhere(random));
        const label = (): string => `rows=${rows} classes=${classes} smoothing=${smoothing} scale=${scale}`;
        const call = (): number =>
          kernels.softmaxCrossEntropy(rows, classes, x.address, y.address, grad.address, scale, smoothing);
        const loss = arena.run(call, problems, label);
        problems.note(() => `${label()}: loss`, firstDifference([loss], [want.loss], within([want.lossBound])));
        problems.note(() => `${label()}: grad`, firstDifference(arena.read(grad), want.gradient, within(want.bounds)));
      }
    }

    test.each([0, 0.1, 1])("every number of classes, smoothing %d", (smoothing) => {
      const random = new Random(1);
      const problems = new Problems();
      for (const [rows, classes] of [...SMALL, ...LARGE]) {
        check(random, randomOperands(random, rows, classes, 5), smoothing, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test.each([100, 1e4, 1e30])("logits up to %d", (size) => {
      const random = new Random(2);
      const problems = new Problems();
      for (const [rows, classes] of [...SMALL, ...LARGE]) {
        for (const smoothing of [0, 0.1])
          check(random, randomOperands(random, rows, classes, size), smoothing, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("logits that are all equal: the gradient is 1 / classes and the loss log(classes)", () => {
      const random = new Random(3);
      const problems = new Problems();
      for (const [rows, classes] of SMALL) {
        for (const value of [0, -0, 3.7, -1e4, 1e30]) {
          const operands = randomOperands(random, rows, classes, 1);
          operands.logits.fill(value);
          check(random, operands, 0, problems);
        }
      }
      expect(problems.list).toEqual([]);
    });

    // As PyTorch: -Infinity is a probability of 0 (a label there costs Infinity); NaN, +Infinity and a row of nothing but -Infinity
    // make their row NaN, and no other row.
    test("NaN and infinities", () => {
      const random = new Random(4);
      const problems = new Problems();
      for (const [rows, classes] of [...SMALL, ...LARGE].filter(([rows]) => rows > 0)) {
        for (const values of [[Number.NEGATIVE_INFINITY], [Number.NaN], [Number.POSITIVE_INFINITY]]) {
          for (const smoothing of [0, 0.1]) {
            const operands = randomOperands(random, rows, classes, 5);
            for (let i = 0; i <= rows / 4; i++) {
              operands.logits[random.integer(0, operands.logits.length - 1)] = random.pick(values);
            }
            check(random, operands, smoothing, problems);
          }
        }
        const operands = randomOperands(random, rows, classes, 5);
        const row = random.integer(0, rows - 1);
        operands.logits.fill(Number.NEGATIVE_INFINITY, row * classes, (row + 1) * classes);
        check(random, operands, 0, problems);
      }
      expect(problems.list).toEqual([]);
    });

    test("a hundred thousand classes lose no more than a hundred", () => {
      const random = new Random(5);
      const problems = new Problems();
      for (const size of [0.1, 1, 5]) {
        const operands = randomOperands(random, 2, 100_000, size);
        const { rows, classes, logits, labels } = operands;
        const want = reference(operands, 1, 0);
        arena.clear();
        const [x, y] = [arena.input(logits), arena.input(labels)];
        const grad = arena.output(notNumbers(logits.length));
        const label = (): string => `logits up to ${size}`;
        const call = (): number => kernels.softmaxCrossEntropy(rows, classes, x.address, y.address, grad.address, 1, 0);
        const loss = arena.run(call, problems, label);
        problems.note(() => `${label()}: loss`, firstDifference([loss], [want.loss], within([1e-6])));
        const bounds = want.gradient.map((value) => 1.5e-6 * Math.abs(value));
        problems.note(() => `${label()}: grad`, firstDifference(arena.read(grad), want.gradient, within(bounds)));
      }
      expect(problems.list).toEqual([]);
    });
  });
});

describe("binaryCrossEntropy", () => {
  describeKernels((kernels, arena) => {
    /** The loss and gradient of one logit. */
    function run(z: number, target: number, problems: Problems): [loss: number, grad: number] {
      arena.clear();
      const [logit, wanted] = [z, target].map((value) => arena.input(Float32Array.of(value)).address);
      const grad = arena.output(notNumbers(1));
      const call = (): number => kernels.binaryCrossEntropy(1, logit, wanted, grad.address, 1);
      const loss = arena.run(call, problems, () => `z=${z} target=${target}`);
      return [loss, arena.read(grad)[0]];
    }

    /** PyTorch's (1 - t) · z - logsigmoid(z), written so that nothing cancels. */
    const reference = (z: number, t: number): number => (z < 0 ? -t : 1 - t) * z + Math.log1p(Math.exp(-Math.abs(z)));

    test("is accurate to a few ulp for logits of every size and targets beside 0 and 1", () => {
      const random = new Random(6);
      const problems = new Problems();
      const targets = [0, 1, 0.5, 1e-7, 1 - 2 ** -24, 0.99942, 0.00058, ...random.values(20, 0, 1)];
      const logits = [0, -0, 91.18, 1e-6, 17, 1e4, 1e30, ...random.values(20, 0, 5), ...random.values(20, 0, 120)];
      for (const t of Float32Array.from(targets)) {
        for (const z of Float32Array.from(logits.flatMap((value) => [value, -value]))) {
          const want = reference(z, t);
          const limit = within([6 * ROUNDING * want + 1e-44]);
          problems.note(() => `z=${z} target=${t}`, firstDifference([run(z, t, problems)[0]], [want], limit));
        }
      }
      expect(problems.list).toEqual([]);
    });

    test("at infinities and NaN as PyTorch", () => {
      const problems = new Problems();
      const { NaN: nan, POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
      for (const [z, t, loss, grad] of [
        [high, 0, high, 1],
        [high, 0.5, high, 0.5],
        [high, 1, nan, 0],
        [high, 2, low, -1],
        [low, 0, nan, 0],
        [low, 0.5, nan, -0.5],
        [low, 1, nan, -1],
        [low, -1, nan, 1],
        [nan, 0, nan, nan],
        [nan, 1, nan, nan],
        [3e38, 1, 0, 0],
        [-3e38, 0, 0, 0],
        [-3e38, 1, Math.fround(3e38), -1],
      ]) {
        const label = (): string => `z=${z} target=${t}`;
        problems.note(
          label,
          firstDifference(run(z, t, problems), [loss, grad], (got, want) => got === want),
        );
      }
      expect(problems.list).toEqual([]);
    });
  });
});
