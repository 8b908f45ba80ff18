import { describe, expect, test } from "vitest";
import { firstDifference, Problems, ROUNDING, within } from "../support/compare.js";
import { describeKernels } from "../support/kernels.js";
import { anywhere, notNumbers, range, SIZES, sprinkle } from "../support/numbers.js";
import { Random } from "../support/random.js";

/** Float32 arithmetic on these formulas, hyper-parameters rounded too, loses at most a dozen roundings of the terms' sizes. */
const FEW = 12 * ROUNDING;

/** PyTorch leaves the term out where there is no weight decay: an infinite parameter then stays what it is, 0 · Infinity is NaN. */
const decayed = (weightDecay: number, p: number): number => (weightDecay === 0 ? 0 : weightDecay * p);

interface SgdStep {
  readonly title: string;
  readonly lr: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Absent: no buffer. 0: the first step, when the buffer holds anything. */
  readonly bufferDecay?: number;
  readonly gradientScale: number;
  readonly nesterov: boolean;
}

const plain = { lr: 0.1, weightDecay: 0, momentum: 0, gradientScale: 1, nesterov: false };
const heavy = { ...plain, momentum: 0.9, bufferDecay: 0.9 };
const SGD_STEPS: SgdStep[] = [
  { title: "plain", ...plain },
  { title: "weight decay", ...plain, lr: 0.05, weightDecay: 0.01 },
  { title: "lr 0", ...plain, lr: 0 },
  { title: "momentum, first step", ...heavy, bufferDecay: 0 },
  { title: "momentum", ...heavy },
  { title: "momentum with dampening", ...heavy, gradientScale: 0.3 },
  { title: "Nesterov, first step", ...heavy, bufferDecay: 0, nesterov: true },
  { title: "Nesterov", ...heavy, nesterov: true },
  { title: "Nesterov with weight decay", ...heavy, weightDecay: 0.1, nesterov: true },
  { title: "everything", ...heavy, lr: 1e-3, weightDecay: 0.3, gradientScale: 0.7, nesterov: true },
];

describe("sgd", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, step: SgdStep, [p, g, buffer]: Float32Array[], problems: Problems): void {
      const { lr, weightDecay, momentum, bufferDecay, gradientScale, nesterov } = step;
      const n = p.length;
      arena.clear();
      const to = arena.output(p, anywhere(random));
      const from = arena.input(g, anywhere(random));
      const velocity = arena.output(bufferDecay === 0 ? notNumbers(n) : buffer, anywhere(random));
      const label = (): string => `n=${n}`;
      arena.run(
        () =>
          kernels.sgd(
            n,
            to.address,
            from.address,
            bufferDecay === undefined ? 0 : velocity.address,
            lr,
            weightDecay,
            momentum,
            bufferDecay ?? 0,
            gradientScale,
            nesterov,
          ),
        problems,
        label,
      );

      const wantP = new Float64Array(n);
      const wantBuffer = Float64Array.from(buffer);
      const boundsP = new Float64Array(n);
      const boundsBuffer = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        const gradient = g[i] + decayed(weightDecay, p[i]);
        let direction = gradient;
        let size = Math.abs(g[i]) + Math.abs(decayed(weightDecay, p[i]));
        if (bufferDecay !== undefined) {
          const kept = bufferDecay === 0 ? 0 : bufferDecay * buffer[i];
          wantBuffer[i] = kept + gradientScale * gradient;
          const bufferSize = Math.abs(kept) + gradientScale * size;
          boundsBuffer[i] = FEW * bufferSize;
          direction = nesterov ? gradient + momentum * wantBuffer[i] : wantBuffer[i];
          size = nesterov ? size + momentum * bufferSize : bufferSize;
        }
        wantP[i] = p[i] - lr * direction;
        boundsP[i] = FEW * lr * size + ROUNDING * (1 + FEW) * Math.abs(wantP[i]);
      }
      problems.note(() => `${label()}: p`, firstDifference(arena.read(to), wantP, within(boundsP)));
      // Without a buffer the memory beside is only what was put there.
      problems.note(
        () => `${label()}: buffer`,
        firstDifference(arena.read(velocity), wantBuffer, within(boundsBuffer)),
      );
    }

    describe.each(SGD_STEPS)("$title", (step) => {
      test("every size", () => {
        const random = new Random(1);
        const problems = new Problems();
        for (const n of SIZES) check(random, step, [random.values(n), random.values(n), random.values(n)], problems);
        expect(problems.list).toEqual([]);
      });

      test("NaN and infinities stay in their element", () => {
        const random = new Random(2);
        const problems = new Problems();
        for (const n of range(1, 70)) {
          const state = range(1, 3).map(() => sprinkle(random, random.values(n)));
          check(random, step, state, problems);
        }
        expect(problems.list).toEqual([]);
      });
    });
  });
});

interface AdamStep {
  readonly title: string;
  readonly t: number;
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly amsgrad: boolean;
  /** AdamW's decay of the parameter; 1 for Adam. */
  readonly keep: number;
}

const adam = { t: 5, lr: 1e-2, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, keep: 1 } as const;
const ADAM_STEPS: AdamStep[] = [
  { title: "plain", ...adam },
  { title: "first step", ...adam, t: 1 },
  { title: "late step", ...adam, t: 100_000 },
  { title: "other betas, large eps", ...adam, betas: [0.8, 0.95], eps: 0.01 },
  { title: "no memory", ...adam, betas: [0, 0] },
  { title: "weight decay", ...adam, weightDecay: 0.1 },
  { title: "decoupled decay", ...adam, keep: 0.99 },
  { title: "amsgrad", ...adam, amsgrad: true },
  { title: "amsgrad with weight decay", ...adam, weightDecay: 0.01, amsgrad: true },
];

describe("adam", () => {
  describeKernels((kernels, arena) => {
    function check(random: Random, step: AdamStep, [p, g, m, v, vMax]: Float32Array[], problems: Problems): void {
      const { t, lr, eps, weightDecay, amsgrad, keep } = step;
      const [beta1, beta2] = step.betas;
      const n = p.length;
      const stepSize = lr / (1 - beta1 ** t);
      const correction = 1 / Math.sqrt(1 - beta2 ** t);
      arena.clear();
      const from = arena.input(g, anywhere(random));
      const [toP, toM, toV, toMax] = [p, m, v, vMax].map((values) => arena.output(values, anywhere(random)));
      const label = (): string => `n=${n}`;
      arena.run(
        () =>
          kernels.adam(
            n,
            toP.address,
            from.address,
            toM.address,
            toV.address,
            amsgrad ? toMax.address : 0,
            stepSize,
            1 - beta1,
            beta2,
            1 - beta2,
            correction,
            eps,
            weightDecay,
            keep,
          ),
        problems,
        label,
      );

      const want = {
        p: new Float64Array(n),
        m: new Float64Array(n),
        v: new Float64Array(n),
        vMax: new Float64Array(n),
      };
      const bounds = { p: want.p.slice(), m: want.p.slice(), v: want.p.slice(), vMax: want.p.slice() };
      for (let i = 0; i < n; i++) {
        const gradient = g[i] + decayed(weightDecay, p[i]);
        const size = Math.abs(g[i]) + Math.abs(decayed(weightDecay, p[i]));
        want.m[i] = m[i] + (1 - beta1) * (gradient - m[i]);
        bounds.m[i] = FEW * (Math.abs(m[i]) + (1 - beta1) * size);
        want.v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        bounds.v[i] = FEW * (beta2 * v[i] + (1 - beta2) * size * size);
        want.vMax[i] = amsgrad ? Math.max(vMax[i], want.v[i]) : vMax[i];
        bounds.vMax[i] = amsgrad ? bounds.v[i] : 0;
        const second = amsgrad ? want.vMax[i] : want.v[i];
        const denominator = Math.sqrt(second) * correction + eps;
        want.p[i] = keep * p[i] - (stepSize * want.m[i]) / denominator;
        // What m and the denominator are off by, half as much under the root; p's own rounding comes last.
        const relative = second > 0 && second < Number.POSITIVE_INFINITY ? bounds.v[i] / second / 2 : 0;
        const off = bounds.m[i] + Math.abs(want.m[i]) * (relative + FEW);
        const keptOff = keep === 1 ? 0 : FEW * Math.abs(p[i]);
        bounds.p[i] = (stepSize * off) / denominator + keptOff + ROUNDING * (1 + FEW) * Math.abs(want.p[i]);
      }
      const got = { p: toP, m: toM, v: toV, vMax: toMax };
      for (const name of ["p", "m", "v", "vMax"] as const) {
        const problem = firstDifference(arena.read(got[name]), want[name], within(bounds[name]));
        problems.note(() => `${label()}: ${name}`, problem);
      }
    }

    /** p, g, m, v, vMax as they are in the middle of a run: second moments are never negative. */
    const randomState = (random: Random, n: number): Float32Array[] => [
      random.values(n),
      random.values(n),
      random.values(n),
      random.values(n, 0.01, 1),
      random.values(n, 0.01, 1),
    ];

    describe.each(ADAM_STEPS)("$title", (step) => {
      test("every size", () => {
        const random = new Random(3);
        const problems = new Problems();
        for (const n of SIZES) check(random, step, randomState(random, n), problems);
        expect(problems.list).toEqual([]);
      });

      test("without a gradient and a past nothing moves", () => {
        const random = new Random(4);
        const problems = new Problems();
        for (const n of range(1, 35)) {
          // Weight decay is a gradient: p = 0 has none.
          const p = step.weightDecay === 0 ? random.values(n) : new Float32Array(n);
          const nothing = range(1, 4).map(() => new Float32Array(n));
          check(random, step, [p, ...nothing], problems);
        }
        expect(problems.list).toEqual([]);
      });

      test("NaN and infinities stay in their element", () => {
        const random = new Random(5);
        const problems = new Problems();
        for (const n of range(1, 70)) {
          const [p, g, m, v, vMax] = randomState(random, n);
          const second = [v, vMax].map((values) => sprinkle(random, values).map(Math.abs));
          const rest = [p, g, m].map((values) => sprinkle(random, values));
          check(random, step, [...rest, ...second], problems);
        }
        expect(problems.list).toEqual([]);
      });
    });
  });
});

describe("gradients whose squares float32 does not hold", () => {
  describeKernels((kernels, arena) => {
    const SIGNS = Float32Array.from({ length: 70 }, (_, i) => (i % 3 === 0 ? -1 : 1));

    /** The first step from 0 with zero moments, at lr 1. */
    function steps(size: number, run: (n: number, p: number, g: number, state: number[]) => void): Float32Array {
      const problems = new Problems();
      const n = SIGNS.length;
      arena.clear();
      const g = arena.input(SIGNS.map((sign) => sign * size)).address;
      const [p, ...state] = range(1, 4).map(() => arena.output(new Float32Array(n)));
      arena.run(
        () =>
          run(
            n,
            p.address,
            g,
            state.map(({ address }) => address),
          ),
        problems,
        () => `${size}`,
      );
      expect(problems.list).toEqual([]);
      return arena.read(p);
    }

    /** Every element by `step` against its gradient. */
    function expectSteps(got: Float32Array, step: number): void {
      const want = Float64Array.from(SIGNS, (sign) => -sign * step);
      expect(firstDifference(got, want, (value, exact) => Math.abs(value - exact) <= FEW * step)).toBeUndefined();
    }

    test.each([1e-3, 1e18, 1e19, 1e20])("of %d", (size) => {
      // (1 - β2) g² is v, so that the step is lr · g / sqrt(v) = 1 / sqrt(1 - alpha); Adam's corrections make it lr
      const rmsprop = steps(size, (n, p, g, [v]) => kernels.rmsprop(n, p, g, v, 0, 0, 1, 0.99, 0.01, 0, 0, 0));
      expectSteps(rmsprop, 10);
      const pulled = steps(size, (n, p, g, [v, b]) => kernels.rmsprop(n, p, g, v, 0, b, 1, 0.99, 0.01, 0, 0, 0.9));
      expectSteps(pulled, 10);
      const centered = steps(size, (n, p, g, [v, a]) => kernels.rmsprop(n, p, g, v, a, 0, 1, 0.99, 0.01, 0, 0, 0));
      expectSteps(centered, 1 / Math.sqrt(0.01 - 0.01 ** 2));
      const root = 1 / Math.sqrt(0.001);
      const adam = steps(size, (n, p, g, [m, v]) =>
        kernels.adam(n, p, g, m, v, 0, 1 / 0.1, 0.1, 0.999, 0.001, root, 0, 0, 1),
      );
      expectSteps(adam, 1);
      const amsgrad = steps(size, (n, p, g, [m, v, max]) =>
        kernels.adam(n, p, g, m, v, max, 1 / 0.1, 0.1, 0.999, 0.001, root, 0, 0, 1),
      );
      expectSteps(amsgrad, 1);
    });
  });
});
