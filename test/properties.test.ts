import fc from "fast-check";
import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { exact, firstDifference, ROUNDING } from "./support/compare.js";
import { describeEngines } from "./support/engines.js";
import { Random } from "./support/random.js";
import { bits, copyParameters } from "./support/state.js";

/** The same cases in every run; enough to meet every remainder of the kernels' vectors. */
const RUNS = { seed: 20_241, numRuns: 40 };

/** A seed for a case's numbers: shrinking keeps them and makes sizes smaller. */
const seeds = fc.integer({ min: 1, max: 1_000_000 });
const sizes = fc.integer({ min: 1, max: 19 });

/** Layers of n inputs by name; those without products ignore `units`. */
const LAYERS: Record<string, (engine: lg.Engine, n: number, units: number) => lg.Layer> = {
  Linear: (engine, n, units) => new lg.Linear(n, units, { engine }),
  LinearPReLU: (engine, n, units) => new lg.LinearPReLU(n, units, { engine }),
  "LinearPReLU, one slope": (engine, n, units) => new lg.LinearPReLU(n, units, { numParameters: 1, engine }),
  LinearELU: (engine, n, units) => new lg.LinearELU(n, units, { engine }),
  PReLU: (engine, n) => new lg.PReLU({ numParameters: n, constraint: "exp", engine }),
  ELU: (engine) => new lg.ELU({ engine }),
  LeakyReLU: (engine) => new lg.LeakyReLU({ engine }),
  ReLU: (engine) => new lg.ReLU({ engine }),
  "a net": (engine, n, units) =>
    new lg.Sequential(
      new lg.Linear(n, units, { engine }),
      new lg.PReLU({ numParameters: units, engine }),
      new lg.LinearELU(units, 3, { engine }),
    ),
};

const HOMOGENEOUS: Record<string, (engine: lg.Engine, slope: number) => lg.Layer> = {
  PReLU: (engine, init) => new lg.PReLU({ init, engine }),
  LeakyReLU: (engine, negativeSlope) => new lg.LeakyReLU({ negativeSlope, engine }),
  ReLU: (engine) => new lg.ReLU({ engine }),
};

const scaled = (values: Float32Array, factor: number): Float32Array => values.map((value) => value * factor);

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Sums of up to a few hundred products of numbers near 1, in another order: a share of the largest. */
function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, what: string, share = 64 * ROUNDING): void {
  const bound = share * Math.max(1, largest(want));
  expect(
    firstDifference(got, want, (g, w) => Math.abs(g - w) <= bound),
    what,
  ).toBeUndefined();
}

/** Everything that a case makes is freed, so that hundreds of them fit in a synchronous loop. */
function using<T extends { dispose(): void }>(things: T[], work: () => void): void {
  try {
    work();
  } finally {
    for (const thing of things) thing.dispose();
  }
}

const gradients = (layer: lg.Layer): Record<string, Float32Array> =>
  Object.fromEntries(layer.parameters().map(({ name, grad }) => [name, grad.data.slice()]));

describe("properties", () => {
  describeEngines((engine) => {
    describe.each(Object.entries(HOMOGENEOUS))("%s is homogeneous", (_name, make) => {
      const values = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, min: -1024, max: 1024 });
      const slopes = fc.double({ min: -2, max: 2, noNaN: true });

      /** φ(s · x) and φ(x), copied out. */
      function both(x: Float32Array, factor: number, slope: number): [scaled: Float32Array, plain: Float32Array] {
        const layer = make(engine(), slope);
        const [at, plain] = [scaled(x, factor), x].map((data) => engine().tensor(data, [data.length]));
        const results = [at, plain].map((input) => layer.forward(input).data.slice());
        layer.dispose();
        at.dispose();
        plain.dispose();
        return results as [Float32Array, Float32Array];
      }

      it("exactly for powers of two", () => {
        fc.assert(
          fc.property(values, slopes, fc.integer({ min: -20, max: 20 }), (x, slope, exponent) => {
            const s = 2 ** exponent;
            // where a product is subnormal, scaling rounds again: such inputs are not about homogeneity
            const normal = x.map((value) => (Math.abs(value) < 2 ** -60 ? 0 : value));
            const a = Math.abs(slope) < 2 ** -40 ? 0 : slope;
            const [got, plain] = both(normal, s, a);
            expect(bits(got)).toEqual(bits(scaled(plain, s)));
          }),
          RUNS,
        );
      });

      it("within rounding for any s > 0", () => {
        fc.assert(
          fc.property(values, slopes, fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (x, slope, s) => {
            const [got, plain] = both(x, s, slope);
            // s · x, a · (s · x), and s · φ(x), each rounded once; the last bound is for subnormals
            const limit = (g: number, w: number): boolean => Math.abs(g - w) <= 4 * ROUNDING * Math.abs(w) + 2 ** -126;
            expect(firstDifference(got, scaled(plain, s), limit)).toBeUndefined();
          }),
          RUNS,
        );
      });
    });

    describe.each(Object.entries(LAYERS))("%s", (_name, make) => {
      /** A layer with an input, and what it says to a dy. */
      const scene = (n: number, units: number, rows: number, seed: number) => {
        const random = new Random(seed);
        const layer = make(engine(), n, units);
        for (const { value } of layer.parameters()) value.data.set(random.values(value.size));
        const x = engine().tensor(random.values(rows * n), [rows, n]);
        const shape = [...layer.forward(x).shape];
        const dys: lg.Tensor[] = [];
        const dy = (values: Float32Array): lg.Tensor => {
          const made = engine().tensor(values, shape);
          dys.push(made);
          return made;
        };
        const send = (upstream: lg.Tensor) => {
          layer.zeroGrad();
          const dx = layer.backward(upstream).data.slice();
          return { dx, ...gradients(layer) } as Record<string, Float32Array>;
        };
        const dispose = (): void => {
          for (const thing of [layer, x, ...dys]) thing.dispose();
        };
        return { random, layer, x, shape, dy, send, dispose };
      };

      it("sends messages that are linear in dy", () => {
        fc.assert(
          fc.property(sizes, sizes, sizes, seeds, (n, units, rows, seed) => {
            const one = scene(n, units, rows, seed);
            using([one], () => {
              const { random, send, dy, shape } = one;
              const size = shape[0] * shape[1];
              const [u, v] = [random.values(size), random.values(size)];
              const [p, q] = [0.75, -1.5];
              const sum = send(dy(u.map((value, i) => p * value + q * v[i])));
              const [first, second] = [send(dy(u)), send(dy(v))];
              for (const name of Object.keys(sum)) {
                const want = first[name].map((value, i) => p * value + q * second[name][i]);
                expectClose(sum[name], want, name);
              }
              // exactly so for a power of two, and for its sign
              const double = send(dy(scaled(u, -2)));
              for (const name of Object.keys(sum)) {
                // the zeros are equal: a sum of nothing is +0 either way
                expect(firstDifference(double[name], scaled(first[name], -2), exact), name).toBeUndefined();
              }
              // and 0 for 0
              const zero = send(dy(new Float32Array(size)));
              for (const name of Object.keys(sum)) expect(zero[name].every((value) => value === 0)).toBe(true);
            });
          }),
          RUNS,
        );
      });

      it("does to a batch what it does to its samples one by one", () => {
        fc.assert(
          fc.property(sizes, sizes, sizes, seeds, (n, units, rows, seed) => {
            const [one, twin] = [scene(n, units, rows, seed), scene(n, units, rows, seed)];
            using([one, twin], () => {
              const { layer, x, dy, send, shape, random } = one;
              const width = shape[1];
              const upstream = random.values(rows * width);
              const y = layer.forward(x).data.slice();
              const whole = send(dy(upstream));
              copyParameters(layer, twin.layer);
              twin.layer.zeroGrad();
              for (let row = 0; row < rows; row++) {
                const sample = engine().tensor(x.data.slice(row * n, (row + 1) * n), [n]);
                const part = engine().tensor(upstream.slice(row * width, (row + 1) * width), [width]);
                using([sample, part], () => {
                  expectClose(twin.layer.forward(sample).data, y.subarray(row * width, (row + 1) * width), "y");
                  expectClose(twin.layer.backward(part).data, whole.dx.subarray(row * n, (row + 1) * n), "dx");
                });
              }
              for (const [name, sum] of Object.entries(gradients(twin.layer))) expectClose(sum, whole[name], name);
            });
          }),
          RUNS,
        );
      });

      it("accumulates over micro-batches what the whole batch gives", () => {
        fc.assert(
          fc.property(sizes, sizes, fc.array(sizes, { minLength: 1, maxLength: 5 }), seeds, (n, units, parts, seed) => {
            const rows = parts.reduce((sum, part) => sum + part, 0);
            const [one, twin] = [scene(n, units, rows, seed), scene(n, units, rows, seed)];
            using([one, twin], () => {
              const { x, dy, send, shape, random } = one;
              const width = shape[1];
              const upstream = random.values(rows * width);
              const whole = send(dy(upstream));
              twin.layer.zeroGrad();
              let start = 0;
              for (const part of parts) {
                const end = start + part;
                const batch = engine().tensor(x.data.slice(start * n, end * n), [part, n]);
                const own = engine().tensor(upstream.slice(start * width, end * width), [part, width]);
                using([batch, own], () => {
                  twin.layer.forward(batch);
                  twin.layer.backwardParams(own);
                });
                start = end;
              }
              for (const [name, sum] of Object.entries(gradients(twin.layer))) expectClose(sum, whole[name], name);
            });
          }),
          RUNS,
        );
      });
    });

    describe("losses are their formulas, and their gradients the derivatives", () => {
      const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

      function crossEntropy(
        z: readonly number[],
        classes: number,
        labels: readonly number[],
        smoothing: number,
      ): number {
        return sum(
          labels.map((label, row) => {
            const own = z.slice(row * classes, (row + 1) * classes);
            const logSum = Math.log(sum(own.map(Math.exp)));
            return -sum(
              own.map((value, k) => ((k === label ? 1 - smoothing : 0) + smoothing / classes) * (value - logSum)),
            );
          }),
        );
      }

      /** Central differences in double: right to about 1e-9. */
      function derivatives(f: (z: readonly number[]) => number, z: readonly number[]): number[] {
        const h = 1e-5;
        return z.map((value, i) => (f(z.with(i, value + h)) - f(z.with(i, value - h))) / (2 * h));
      }

      function expectLoss(result: lg.LossResult, f: (z: readonly number[]) => number, z: readonly number[]): void {
        const want = f(z);
        expect(Math.abs(result.loss - want)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(want)));
        const grad = derivatives(f, z);
        expectClose(result.grad.data, grad, "grad", 4 * ROUNDING + 1e-7);
      }

      const reductions = fc.constantFrom("mean", "sum");

      it("crossEntropy", () => {
        fc.assert(
          fc.property(
            sizes,
            sizes,
            seeds,
            reductions,
            fc.constantFrom(0, 0.1, 0.7, 1),
            (rows, classes, seed, reduction, labelSmoothing) => {
              const random = new Random(seed);
              const z = random.values(rows * classes, -4, 4);
              const labels = Array.from({ length: rows }, () => random.integer(0, classes - 1));
              const logits = engine().tensor(z, [rows, classes]);
              using([logits], () => {
                const scale = reduction === "mean" ? 1 / rows : 1;
                const f = (at: readonly number[]) => scale * crossEntropy(at, classes, labels, labelSmoothing);
                expectLoss(lg.crossEntropy(logits, labels, { reduction, labelSmoothing }), f, [...z]);
              });
            },
          ),
          RUNS,
        );
      });

      test.each<[string, typeof lg.mseLoss, (z: number, t: number) => number]>([
        ["mseLoss", lg.mseLoss, (z, t) => (z - t) ** 2],
        ["bceWithLogits", lg.bceWithLogits, (z, t) => Math.max(z, 0) - z * t + Math.log1p(Math.exp(-Math.abs(z)))],
      ])("%s", (_name, loss, formula) => {
        fc.assert(
          fc.property(sizes, sizes, seeds, reductions, (rows, columns, seed, reduction) => {
            const random = new Random(seed);
            // away from 0, where max and |z| of the formula have kinks that cancel, but not in differences
            const z = random.values(rows * columns, -4, 4).map((value) => value + (value < 0 ? -0.01 : 0.01));
            const target = random.values(z.length, 0, 1);
            const output = engine().tensor(z, [rows, columns]);
            using([output], () => {
              const scale = reduction === "mean" ? 1 / z.length : 1;
              const f = (at: readonly number[]) => scale * sum(at.map((value, i) => formula(value, target[i])));
              expectLoss(loss(output, target, { reduction }), f, [...z]);
            });
          }),
          RUNS,
        );
      });
    });

    describe("optimizers are their formulas", () => {
      type Step = (g: number, p: number, t: number) => number;

      const options = {
        lr: fc.constantFrom(0.001, 0.05, 0.3),
        weightDecay: fc.constantFrom(0, 0.01, 0.2),
        momentum: fc.constantFrom(0, 0.5, 0.9),
        eps: fc.constantFrom(1e-8, 1e-3),
      };

      /** One number's optimizer in double, by PyTorch's documentation. */
      const sgd = ({ lr, momentum, dampening, nesterov, weightDecay }: lg.SGDSettings): Step => {
        let buffer: number | undefined;
        return (gradient, p) => {
          const g = gradient + weightDecay * p;
          if (momentum === 0) return p - lr * g;
          buffer = buffer === undefined ? g : momentum * buffer + (1 - dampening) * g;
          return p - lr * (nesterov ? g + momentum * buffer : buffer);
        };
      };

      const adam = (
        { lr, betas: [beta1, beta2], eps, weightDecay, amsgrad }: lg.AdamSettings,
        decoupled: boolean,
      ): Step => {
        let [m, v, largestV] = [0, 0, 0];
        return (gradient, start, t) => {
          const p = decoupled ? start * (1 - lr * weightDecay) : start;
          const g = decoupled ? gradient : gradient + weightDecay * p;
          m = beta1 * m + (1 - beta1) * g;
          v = beta2 * v + (1 - beta2) * g * g;
          largestV = Math.max(largestV, v);
          const variance = (amsgrad ? largestV : v) / (1 - beta2 ** t);
          return p - ((lr / (1 - beta1 ** t)) * m) / (Math.sqrt(variance) + eps);
        };
      };

      const rmsprop = ({ lr, alpha, eps, weightDecay, momentum, centered }: lg.RMSpropSettings): Step => {
        let [v, average, buffer] = [0, 0, 0];
        return (gradient, p) => {
          const g = gradient + weightDecay * p;
          v = alpha * v + (1 - alpha) * g * g;
          average = alpha * average + (1 - alpha) * g;
          const direction = g / (Math.sqrt(centered ? v - average * average : v) + eps);
          buffer = momentum * buffer + direction;
          return p - lr * (momentum > 0 ? buffer : direction);
        };
      };

      const STEPS = 7;

      function expectFormula(
        make: (params: lg.Parameter[]) => { step(): void },
        formula: () => Step,
        seed: number,
      ): void {
        const random = new Random(seed);
        const size = random.integer(1, 19);
        const value = engine().tensor(random.values(size), [size]);
        const grad = engine().zeros([size]);
        using([value, grad], () => {
          const optimizer = make([{ name: "p", value, grad }]);
          const want = Float64Array.from(value.data);
          const formulas = Array.from(want, formula);
          for (let t = 1; t <= STEPS; t++) {
            grad.data.set(random.values(size).map((g) => g + Math.sign(g) * 0.05));
            optimizer.step();
            for (let i = 0; i < size; i++) want[i] = formulas[i](grad.data[i], want[i], t);
          }
          expectClose(value.data, want, "p", 2e-5);
        });
      }

      it("SGD", () => {
        fc.assert(
          fc.property(
            fc.record({ ...options, dampening: fc.constantFrom(0, 0.3), nesterov: fc.boolean() }),
            seeds,
            ({ eps: _, ...given }, seed) => {
              const nesterov = given.nesterov && given.momentum > 0 && given.dampening === 0;
              const settings = { ...given, nesterov };
              expectFormula(
                (params) => new lg.SGD(params, settings),
                () => sgd(settings),
                seed,
              );
            },
          ),
          RUNS,
        );
      });

      const adamOptions = fc.record({
        lr: options.lr,
        weightDecay: options.weightDecay,
        eps: options.eps,
        betas: fc.constantFrom<[number, number][]>([0.9, 0.999], [0.5, 0.9], [0, 0.5]),
        amsgrad: fc.boolean(),
      });

      it("Adam", () => {
        fc.assert(
          fc.property(adamOptions, seeds, (settings, seed) =>
            expectFormula(
              (params) => new lg.Adam(params, settings),
              () => adam(settings, false),
              seed,
            ),
          ),
          RUNS,
        );
      });

      it("AdamW", () => {
        fc.assert(
          fc.property(adamOptions, seeds, (settings, seed) =>
            expectFormula(
              (params) => new lg.AdamW(params, settings),
              () => adam(settings, true),
              seed,
            ),
          ),
          RUNS,
        );
      });

      it("RMSprop", () => {
        // centered, the first steps are differences of close numbers: alpha far from 0 keeps them apart
        const settings = fc.record({ ...options, alpha: fc.constantFrom(0.5, 0.9, 0.99), centered: fc.boolean() });
        fc.assert(
          fc.property(settings, seeds, (given, seed) =>
            expectFormula(
              (params) => new lg.RMSprop(params, given),
              () => rmsprop(given),
              seed,
            ),
          ),
          RUNS,
        );
      });
    });

    describe("clipGradNorm", () => {
      const parameters = (gradients: Float32Array[]): lg.Parameter[] =>
        gradients.map((data, i) => ({
          name: `p${i}`,
          value: engine().zeros([data.length]),
          grad: engine().tensor(data, [data.length]),
        }));

      const tensorsOf = (params: lg.Parameter[]): lg.Tensor[] => params.flatMap(({ value, grad }) => [value, grad]);

      it("is PyTorch's formula: scales by max / (norm + 1e-6) where that is below 1, and gives the norm before", () => {
        const lists = fc.array(fc.tuple(sizes, seeds), { minLength: 1, maxLength: 4 });
        fc.assert(
          fc.property(lists, fc.constantFrom(0, 1e-3, 0.5, 1, 10, 1e6, Number.POSITIVE_INFINITY), (list, max) => {
            const given = list.map(([size, seed]) => new Random(seed).values(size));
            const params = parameters(given);
            using(tensorsOf(params), () => {
              const want = Math.sqrt(given.reduce((sum, data) => data.reduce((s, g) => s + g * g, sum), 0));
              const norm = lg.clipGradNorm(params, max);
              expect(Math.abs(norm - want)).toBeLessThanOrEqual(1e-6 * want);
              const factor = Math.min(1, max / (want + 1e-6));
              params.forEach(({ grad }, i) => {
                // not clipped: not a bit changes
                if (factor === 1) expect(bits(grad.data)).toEqual(bits(given[i]));
                else
                  expectClose(
                    grad.data,
                    Array.from(given[i], (g) => g * factor),
                    grad.shape.join(),
                    1e-6,
                  );
              });
              const after = lg.clipGradNorm(params, Number.POSITIVE_INFINITY);
              expect(after).toBeLessThanOrEqual(max * (1 + 1e-6));
            });
          }),
          RUNS,
        );
      });

      it("does not overflow or underflow where the norm is a float32", () => {
        for (const scale of [1e30, 1e-30]) {
          const params = parameters([Float32Array.of(3 * scale, 0), Float32Array.of(-4 * scale)]);
          using(tensorsOf(params), () => {
            expect(Math.abs(lg.clipGradNorm(params, 1) / (5 * scale) - 1)).toBeLessThan(1e-6);
          });
        }
      });

      it("of gradients marked as zero is 0, and of none too", () => {
        const layer = new lg.LinearPReLU(3, 2, { engine: engine() });
        const x = engine().tensor([[1, 2, 3]]);
        using([layer, x], () => {
          layer.backward(layer.forward(x));
          layer.zeroGrad();
          expect(lg.clipGradNorm(layer.parameters(), 1)).toBe(0);
          expect(lg.clipGradNorm([], 1)).toBe(0);
        });
      });

      it("NaN makes all NaN; infinity makes the others 0, as PyTorch", () => {
        const nan = parameters([Float32Array.of(1, Number.NaN), Float32Array.of(2)]);
        using(tensorsOf(nan), () => {
          expect(lg.clipGradNorm(nan, 1)).toBeNaN();
          expect(nan.flatMap(({ grad }) => [...grad.data])).toEqual([Number.NaN, Number.NaN, Number.NaN]);
        });
        const infinite = parameters([Float32Array.of(1, Number.NEGATIVE_INFINITY), Float32Array.of(2)]);
        using(tensorsOf(infinite), () => {
          expect(lg.clipGradNorm(infinite, 1)).toBe(Number.POSITIVE_INFINITY);
          expect(infinite.flatMap(({ grad }) => [...grad.data])).toEqual([0, Number.NaN, 0]);
        });
      });
    });
  });
});
