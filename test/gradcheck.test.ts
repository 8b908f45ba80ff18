import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { describeEngines, openEngine } from "./support/engines.js";
import { Gain, Residual } from "./support/layers.js";
import { midTraining, modes, type Scene } from "./support/scene.js";
import { bits, expectRefusal, randomTensor, refusal, stateBits, valueBits, wrong } from "./support/state.js";

interface Subject {
  readonly name: string;
  readonly make: (engine: lg.Engine) => lg.Layer;
  readonly shape: number[];
}

const CONSTRAINTS: readonly lg.SlopeConstraint[] = ["none", "exp", "square"];

/** Every slope layer under every constraint, with a penalty that must not show. */
const constrained: Subject[] = CONSTRAINTS.flatMap((constraint) =>
  [0, 0.7].flatMap((penalty) => {
    const slopes = { constraint, penalty, init: 0.4 };
    const label = `constraint ${constraint}, penalty ${penalty}`;
    return [
      {
        name: `LinearPReLU, ${label}`,
        make: (engine: lg.Engine) => new lg.LinearPReLU(4, 3, { ...slopes, engine }),
        shape: [5, 4],
      },
      {
        name: `LinearPReLU, one slope, ${label}`,
        make: (engine: lg.Engine) => new lg.LinearPReLU(4, 3, { ...slopes, numParameters: 1, engine }),
        shape: [5, 4],
      },
      {
        name: `PReLU, one slope, ${label}`,
        make: (engine: lg.Engine) => new lg.PReLU({ ...slopes, engine }),
        shape: [6, 5],
      },
      {
        name: `PReLU, a slope a channel, [N, C, L], ${label}`,
        make: (engine: lg.Engine) => new lg.PReLU({ ...slopes, numParameters: 3, engine }),
        shape: [4, 3, 5],
      },
    ];
  }),
);

/** Weight and bias away from 1 and 0, where missing factors would not show. */
function scattered<T extends lg.BatchNorm1d | lg.BatchNorm2d>(norm: T): T {
  norm.weight.value.data.forEach((_, c, weight) => {
    weight[c] = c % 2 === 0 ? 0.5 + c : -0.7;
  });
  norm.bias.value.data.fill(0.3);
  return norm;
}

const subjects: Subject[] = [
  { name: "Linear", make: (engine) => new lg.Linear(4, 3, { engine }), shape: [5, 4] },
  { name: "Linear, no bias", make: (engine) => new lg.Linear(4, 3, { bias: false, engine }), shape: [5, 4] },
  { name: "Linear, one sample", make: (engine) => new lg.Linear(4, 3, { engine }), shape: [4] },
  { name: "Linear, one unit", make: (engine) => new lg.Linear(1, 1, { engine }), shape: [3, 1] },
  { name: "LinearPReLU, no bias", make: (engine) => new lg.LinearPReLU(4, 3, { bias: false, engine }), shape: [5, 4] },
  { name: "LinearPReLU, one sample", make: (engine) => new lg.LinearPReLU(4, 3, { engine }), shape: [4] },
  ...constrained,
  { name: "PReLU, one sample [C]", make: (engine) => new lg.PReLU({ numParameters: 7, engine }), shape: [7] },
  {
    name: "PReLU, [N, C, H, W]",
    make: (engine) => new lg.PReLU({ numParameters: 2, engine }),
    shape: [3, 2, 2, 3],
  },
  { name: "PReLU, negative slope", make: (engine) => new lg.PReLU({ init: -0.5, engine }), shape: [6, 5] },
  { name: "LinearELU", make: (engine) => new lg.LinearELU(4, 3, { engine }), shape: [5, 4] },
  { name: "LinearELU, alpha 1.5", make: (engine) => new lg.LinearELU(4, 3, { alpha: 1.5, engine }), shape: [5, 4] },
  { name: "LinearELU, no bias", make: (engine) => new lg.LinearELU(4, 3, { bias: false, engine }), shape: [4] },
  { name: "ELU", make: (engine) => new lg.ELU({ engine }), shape: [6, 5] },
  { name: "ELU, alpha 0.5", make: (engine) => new lg.ELU({ alpha: 0.5, engine }), shape: [2, 3, 4] },
  { name: "LeakyReLU", make: (engine) => new lg.LeakyReLU({ engine }), shape: [6, 5] },
  { name: "LeakyReLU, 0.3", make: (engine) => new lg.LeakyReLU({ negativeSlope: 0.3, engine }), shape: [2, 3, 4] },
  { name: "ReLU", make: (engine) => new lg.ReLU({ engine }), shape: [6, 5] },
  {
    name: "Sequential(Linear, PReLU)",
    make: (engine) =>
      new lg.Sequential(
        new lg.Linear(4, 3, { engine }),
        new lg.PReLU({ numParameters: 3, constraint: "exp", penalty: 1, engine }),
      ),
    shape: [5, 4],
  },
  {
    name: "Sequential(Linear, ELU)",
    make: (engine) => new lg.Sequential(new lg.Linear(4, 3, { engine }), new lg.ELU({ engine })),
    shape: [5, 4],
  },
  {
    name: "a nested Sequential",
    make: (engine) =>
      new lg.Sequential({
        head: new lg.LinearELU(4, 5, { engine }),
        body: new lg.Sequential(
          new lg.Linear(5, 4, { engine }),
          new lg.LeakyReLU({ engine }),
          new lg.Sequential(new lg.Linear(4, 4, { engine }), new lg.PReLU({ engine })),
        ),
        tail: new lg.Linear(4, 2, { engine }),
      }),
    shape: [5, 4],
  },
  ...(
    [
      ["3x3", [2, 3, 3], {}, [2, 2, 4, 5]],
      ["1x1", [3, 2, 1], {}, [2, 3, 2, 3]],
      ["padding 1", [2, 2, 3], { padding: 1 }, [2, 2, 3, 4]],
      ["[2, 3], stride [2, 1], padding [0, 1]", [2, 2, [2, 3]], { stride: [2, 1], padding: [0, 1] }, [2, 2, 5, 4]],
      ["stride beyond the kernel", [1, 2, 2], { stride: 3 }, [2, 1, 6, 5]],
      ["a kernel as large as the padded plane", [2, 3, 4], { padding: 1 }, [3, 2, 2, 2]],
      ["padding beyond the plane", [1, 2, 3], { padding: 3, stride: 2 }, [1, 1, 1, 2]],
      ["no bias", [2, 3, [1, 3]], { bias: false }, [2, 2, 2, 4]],
      ["one image", [2, 3, 2], { stride: 2 }, [2, 4, 4]],
    ] as [string, [number, number, lg.Size2d], lg.Conv2dOptions, number[]][]
  ).map(([label, args, options, shape]) => ({
    name: `Conv2d, ${label}`,
    make: (engine: lg.Engine) => new lg.Conv2d(...args, { ...options, engine }),
    shape,
  })),
  { name: "BatchNorm1d [N, C]", make: (engine) => scattered(new lg.BatchNorm1d(3, { engine })), shape: [6, 3] },
  { name: "BatchNorm1d [N, C, L]", make: (engine) => scattered(new lg.BatchNorm1d(3, { engine })), shape: [2, 3, 5] },
  { name: "BatchNorm1d [1, C, L]", make: (engine) => scattered(new lg.BatchNorm1d(2, { engine })), shape: [1, 2, 6] },
  {
    name: "BatchNorm2d, eps 0.1",
    make: (engine) => scattered(new lg.BatchNorm2d(2, { eps: 0.1, momentum: 1, engine })),
    shape: [3, 2, 2, 3],
  },
  { name: "MaxPool2d", make: (engine) => new lg.MaxPool2d(2, { engine }), shape: [2, 2, 4, 5] },
  {
    name: "MaxPool2d, overlapping windows with padding",
    make: (engine) => new lg.MaxPool2d(3, { stride: 1, padding: 1, engine }),
    shape: [1, 2, 4, 4],
  },
  {
    name: "MaxPool2d [2, 1], stride [1, 2], one image",
    make: (engine) => new lg.MaxPool2d([2, 1], { stride: [1, 2], engine }),
    shape: [2, 4, 5],
  },
  { name: "Flatten", make: (engine) => new lg.Flatten({ engine }), shape: [2, 3, 2, 2] },
  { name: "Dropout", make: (engine) => new lg.Dropout(0.5, { engine }), shape: [5, 4] },
  { name: "Dropout of everything", make: (engine) => new lg.Dropout(1, { engine }), shape: [5, 4] },
  ...(
    [
      ["ELU", (engine) => new lg.ELU({ engine })],
      ["ReLU", (engine) => new lg.ReLU({ engine })],
      ["LeakyReLU", (engine) => new lg.LeakyReLU({ engine })],
      ["a shared PReLU", (engine) => new lg.PReLU({ engine })],
      [
        "a PReLU by channel, constraint square",
        (engine) => new lg.PReLU({ numParameters: 3, constraint: "square", penalty: 1, engine }),
      ],
    ] as [string, (engine: lg.Engine) => lg.Layer][]
  ).map(([label, makeActivation]) => ({
    name: `Sequential(Conv2d, ${label})`,
    make: (engine: lg.Engine) =>
      new lg.Sequential(new lg.Conv2d(2, 3, 2, { stride: [1, 2], padding: [1, 0], engine }), makeActivation(engine)),
    shape: [2, 2, 3, 4],
  })),
  {
    name: "a convolutional net",
    make: (engine) =>
      new lg.Sequential(
        new lg.Conv2d(1, 3, 3, { padding: 1, engine }),
        new lg.PReLU({ numParameters: 3, engine }),
        scattered(new lg.BatchNorm2d(3, { engine })),
        new lg.Dropout(0.3, { engine }),
        new lg.MaxPool2d(2, { engine }),
        new lg.Flatten({ engine }),
        new lg.Linear(12, 2, { engine }),
      ),
    shape: [3, 1, 4, 4],
  },
  { name: "a user's layer", make: (engine) => new Gain(engine, 4), shape: [5, 4] },
  {
    name: "a user's residual block",
    make: (engine) => new Residual(new lg.LinearPReLU(4, 4, { constraint: "square", penalty: 1, engine })),
    shape: [5, 4],
  },
  {
    name: "residual blocks in a net",
    make: (engine) =>
      new lg.Sequential({
        first: new Residual(new lg.LinearELU(4, 4, { engine })),
        gain: new Gain(engine, 4),
        second: new Residual(new lg.Sequential(new lg.LinearELU(4, 3, { engine }), new lg.Linear(3, 4, { engine }))),
      }),
    shape: [5, 4],
  },
];

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

/** How many derivatives there are: of x, and of every parameter. */
const coordinates = (layer: lg.Layer, shape: readonly number[]): number =>
  sizeOf(shape) + layer.parameters().reduce((count, { value }) => count + value.size, 0);

type Gradient = Float32Array;

/** A layer whose gradient of one thing, "input" or a parameter by name, is tampered with; everything else passes through. */
class Tampered extends lg.Layer {
  constructor(
    readonly inner: lg.Layer,
    readonly target: string,
    readonly tamper: (gradient: Gradient, inner: lg.Layer) => void,
  ) {
    super();
  }

  override parameters(): lg.Parameter[] {
    return this.inner.parameters();
  }

  override forward(x: lg.Input): lg.Tensor {
    return this.inner.forward(x);
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    const dx = this.inner.backwardInput(dy);
    if (this.target === "input") this.tamper(dx.data, this.inner);
    return dx;
  }

  override backwardParams(dy: lg.Input): void {
    this.inner.backwardParams(dy);
    const parameter = this.inner.parameters().find(({ name }) => name === this.target);
    if (parameter !== undefined) this.tamper(parameter.grad.data, this.inner);
  }
}

const multiply =
  (factor: number) =>
  (gradient: Gradient): void =>
    gradient.forEach((value, i) => {
      gradient[i] = value * factor;
    });

const largestIndex = (gradient: Gradient): number =>
  gradient.reduce((best, value, i) => (Math.abs(value) > Math.abs(gradient[best]) ? i : best), 0);

/** What can be wrong with any gradient. */
const TAMPERINGS: Record<string, (gradient: Gradient) => void> = {
  missing: multiply(0),
  "of the wrong sign": multiply(-1),
  doubled: multiply(2),
  "2 % too large": multiply(1.02),
  "NaN at one place": (gradient) => gradient.fill(Number.NaN, 0, 1),
  "infinite at one place": (gradient) => gradient.fill(Number.POSITIVE_INFINITY, 0, 1),
  "missing at its largest": (gradient) => {
    gradient[largestIndex(gradient)] = 0;
  },
};

const images = [3, 2, 3, 4];

const tampered: (Subject & { readonly target: string; readonly how: string })[] = [
  { name: "Linear", make: (engine: lg.Engine) => new lg.Linear(4, 3, { engine }) },
  { name: "LinearPReLU", make: (engine: lg.Engine) => new lg.LinearPReLU(4, 3, { engine }) },
  { name: "LinearELU", make: (engine: lg.Engine) => new lg.LinearELU(4, 3, { engine }) },
  { name: "PReLU", make: (engine: lg.Engine) => new lg.PReLU({ numParameters: 4, engine }) },
  { name: "ELU", make: (engine: lg.Engine) => new lg.ELU({ engine }) },
  { name: "LeakyReLU", make: (engine: lg.Engine) => new lg.LeakyReLU({ engine }) },
  { name: "ReLU", make: (engine: lg.Engine) => new lg.ReLU({ engine }) },
  { name: "Conv2d", make: (engine: lg.Engine) => new lg.Conv2d(2, 3, 2, { engine }), shape: images },
  { name: "BatchNorm1d", make: (engine: lg.Engine) => scattered(new lg.BatchNorm1d(4, { engine })) },
  { name: "BatchNorm2d", make: (engine: lg.Engine) => scattered(new lg.BatchNorm2d(2, { engine })), shape: images },
  { name: "MaxPool2d", make: (engine: lg.Engine) => new lg.MaxPool2d(2, { engine }), shape: images },
  { name: "Flatten", make: (engine: lg.Engine) => new lg.Flatten({ engine }), shape: images },
  { name: "Dropout", make: (engine: lg.Engine) => new lg.Dropout(0.25, { engine }) },
].flatMap(({ name, make, shape = [5, 4] }) => {
  const parameters: Record<string, string[]> = {
    Linear: ["weight", "bias"],
    LinearPReLU: ["weight", "bias", "slope"],
    LinearELU: ["weight", "bias"],
    PReLU: ["weight"],
    Conv2d: ["weight", "bias"],
    BatchNorm1d: ["weight", "bias"],
    BatchNorm2d: ["weight", "bias"],
  };
  return ["input", ...(parameters[name] ?? [])].flatMap((target) =>
    Object.keys(TAMPERINGS).map((how) => ({ name, make, shape, target, how })),
  );
});

/** The numbers of one message back of the plain layer, in double. */
interface Context {
  readonly rows: number;
  readonly width: number;
  readonly x: readonly number[];
  readonly s: readonly number[];
  readonly dy: readonly number[];
  readonly weight: Float32Array;
  readonly beta: Float32Array;
  /** Slopes in effect. */
  readonly a: readonly number[];
  /** dL/ds */
  readonly delta: readonly number[];
}

interface Gradients {
  input: number[];
  weight: number[];
  bias: number[];
  slope: number[];
}

/** One thing that a formula of the plain layer gets wrong. */
interface Fault {
  readonly name: string;
  readonly constraint?: lg.SlopeConstraint;
  /** f'(s) in dx, dW and db. */
  readonly mask?: (s: number, a: number) => number;
  /** da/dβ */
  readonly chain?: (beta: number, a: number) => number;
  /** Whether an element counts for its slope. */
  readonly slopeSide?: (s: number) => boolean;
  readonly after?: (gradients: Gradients, context: Context, layer: Plain) => void;
}

const effective: Record<lg.SlopeConstraint, (beta: number) => number> = {
  none: (beta) => beta,
  exp: Math.exp,
  square: (beta) => beta * beta,
};

const chains: Record<lg.SlopeConstraint, (beta: number, a: number) => number> = {
  none: () => 1,
  exp: (_beta, a) => a,
  square: (beta) => 2 * beta,
};

const WIDTH = 3;

/** LinearPReLU(3, 3) by its formulas, in plain loops of doubles: square, so that a transposed weight fits. */
class Plain extends lg.Layer {
  readonly #parameters: lg.Parameter[];
  readonly #y: lg.Tensor;
  readonly #dx: lg.Tensor;
  /** Every input so far: what a stale message would use. */
  readonly inputs: number[][] = [];
  #s: number[] = [];

  constructor(
    readonly engine: lg.Engine,
    readonly rows: number,
    readonly fault: Fault,
  ) {
    super();
    const make = (name: string, shape: number[], seed: number): lg.Parameter => ({
      name,
      value: randomTensor(engine, shape, seed),
      grad: engine.zeros(shape),
    });
    this.#parameters = [make("weight", [WIDTH, WIDTH], 31), make("bias", [WIDTH], 32), make("slope", [WIDTH], 33)];
    // not near 0 nor 1, where missing factors would not show; of both signs where that is allowed
    this.#parameters[1].value.data.set([0.1, -0.2, 0.05]);
    this.#parameters[2].value.data.set(fault.constraint === "exp" ? [-1.4, -0.9, 0.5] : [0.3, -0.6, 0.8]);
    this.#y = engine.zeros([rows, WIDTH]);
    this.#dx = engine.zeros([rows, WIDTH]);
  }

  override parameters(): lg.Parameter[] {
    return this.#parameters;
  }

  /** The last pre-activations of one unit. */
  unit(k: number): number[] {
    return this.#s.filter((_, i) => i % WIDTH === k);
  }

  #slopes(): number[] {
    return Array.from(this.#parameters[2].value.data, effective[this.fault.constraint ?? "none"]);
  }

  override forward(input: lg.Input): lg.Tensor {
    const x = [...(input as lg.Tensor).data];
    this.inputs.push(x);
    const [weight, bias] = this.#parameters.map(({ value }) => value.data);
    const a = this.#slopes();
    this.#s = Array.from(this.#y.data, (_, i) => {
      const [row, k] = [Math.floor(i / WIDTH), i % WIDTH];
      let sum = bias[k];
      for (let j = 0; j < WIDTH; j++) sum += x[row * WIDTH + j] * weight[k * WIDTH + j];
      return sum;
    });
    this.#y.data.set(this.#s.map((s, i) => (s > 0 ? s : a[i % WIDTH] * s)));
    return this.#y;
  }

  #gradients(dyTensor: lg.Input): Gradients {
    const { fault, rows } = this;
    const dy = [...(dyTensor as lg.Tensor).data];
    const [weight, , beta] = this.#parameters.map(({ value }) => value.data);
    const a = this.#slopes();
    const s = this.#s;
    const x = this.inputs.at(-1)!;
    const mask = fault.mask ?? ((value, slope) => (value > 0 ? 1 : slope));
    const chain = fault.chain ?? chains[fault.constraint ?? "none"];
    const counts = fault.slopeSide ?? ((value) => value <= 0);
    const delta = dy.map((value, i) => value * mask(s[i], a[i % WIDTH]));
    const gradients: Gradients = {
      input: Array(rows * WIDTH).fill(0),
      weight: Array(WIDTH * WIDTH).fill(0),
      bias: Array(WIDTH).fill(0),
      slope: Array(WIDTH).fill(0),
    };
    delta.forEach((d, i) => {
      const [row, k] = [Math.floor(i / WIDTH), i % WIDTH];
      gradients.bias[k] += d;
      if (counts(s[i])) gradients.slope[k] += dy[i] * s[i] * chain(beta[k], a[k]);
      for (let j = 0; j < WIDTH; j++) {
        gradients.input[row * WIDTH + j] += d * weight[k * WIDTH + j];
        gradients.weight[k * WIDTH + j] += d * x[row * WIDTH + j];
      }
    });
    fault.after?.(gradients, { rows, width: WIDTH, x, s, dy, weight, beta, a, delta }, this);
    return gradients;
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    this.#dx.data.set(this.#gradients(dy).input);
    return this.#dx;
  }

  override backwardParams(dy: lg.Input): void {
    const gradients = this.#gradients(dy);
    for (const { name, grad } of this.#parameters) {
      grad.add_(this.engine.tensor(gradients[name as keyof Gradients], [...grad.shape]));
    }
  }
}

/** Σ over rows of delta ⊗ x, but with something else for x or with rows left out. */
function weightGradient({ delta, rows }: Context, x: readonly number[], from = 0): number[] {
  const gradient = Array(WIDTH * WIDTH).fill(0);
  for (let row = from; row < rows; row++) {
    for (let k = 0; k < WIDTH; k++) {
      for (let j = 0; j < WIDTH; j++) gradient[k * WIDTH + j] += delta[row * WIDTH + k] * x[row * WIDTH + j];
    }
  }
  return gradient;
}

const transposed = (matrix: readonly number[]): number[] =>
  matrix.map((_, i) => matrix[(i % WIDTH) * WIDTH + Math.floor(i / WIDTH)]);

const columnSums = (values: readonly number[], from = 0): number[] =>
  values.slice(from * WIDTH).reduce((sums, value, i) => {
    sums[i % WIDTH] += value;
    return sums;
  }, Array(WIDTH).fill(0));

const FAULTS: Fault[] = [
  { name: "mask inverted", mask: (s, a) => (s > 0 ? a : 1) },
  { name: "mask of ReLU: 0 for the slope", mask: (s) => (s > 0 ? 1 : 0) },
  { name: "mask of no activation: 1 everywhere", mask: () => 1 },
  { name: "mask missing where s > 0", mask: (s, a) => (s > 0 ? 0 : a) },
  { name: "mask with the slope's square", mask: (s, a) => (s > 0 ? 1 : a * a) },
  { name: "mask with the slope's size", mask: (s, a) => (s > 0 ? 1 : Math.abs(a)) },
  {
    name: "missing bias term",
    after: (g) => {
      g.bias.fill(0);
    },
  },
  {
    name: "bias without the mask",
    after: (g, { dy }) => {
      g.bias = columnSums(dy);
    },
  },
  {
    name: "bias as a mean over the rows",
    after: (g, { rows }) => {
      g.bias = g.bias.map((value) => value / rows);
    },
  },
  { name: "missing slope term", slopeSide: () => false },
  { name: "slope over the wrong side", slopeSide: (s) => s > 0 },
  { name: "slope over both sides", slopeSide: () => true },
  {
    name: "slope by the output instead of s",
    after: (g, { s, dy, a }) => {
      g.slope = columnSums(dy.map((value, i) => (s[i] <= 0 ? value * s[i] * a[i % WIDTH] : 0)));
    },
  },
  {
    name: "slope gradient shared by all units",
    after: (g) => {
      g.slope.fill(g.slope.reduce((sum, value) => sum + value, 0));
    },
  },
  ...(["input", "weight", "bias", "slope"] as const).flatMap((target): Fault[] => [
    {
      name: `wrong sign of ${target}`,
      after: (g) => {
        g[target] = g[target].map((value) => -value);
      },
    },
    {
      name: `factor 2 in ${target}`,
      after: (g) => {
        g[target] = g[target].map((value) => 2 * value);
      },
    },
  ]),
  {
    name: "transposed weight in dx",
    after: (g, { delta, weight, rows }) => {
      g.input = Array.from({ length: rows * WIDTH }, (_, i) => {
        const [row, j] = [Math.floor(i / WIDTH), i % WIDTH];
        let sum = 0;
        for (let k = 0; k < WIDTH; k++) sum += delta[row * WIDTH + k] * weight[j * WIDTH + k];
        return sum;
      });
    },
  },
  {
    name: "transposed gradient of weight",
    after: (g) => {
      g.weight = transposed(g.weight);
    },
  },
  {
    name: "weight without the mask",
    after: (g, context) => {
      g.weight = weightGradient({ ...context, delta: context.dy }, context.x);
    },
  },
  {
    name: "stale input in the gradient of weight",
    after: (g, context, layer) => {
      g.weight = weightGradient(context, layer.inputs[0]);
    },
  },
  {
    name: "stale gradient of weight",
    after: (g, context, layer) => {
      const { delta } = context;
      // that of a message before this one: another dy
      const before = delta.map((_, i) => layer.inputs[0][i]);
      g.weight = weightGradient({ ...context, delta: before }, context.x);
    },
  },
  {
    name: "first row dropped in the gradient of weight",
    after: (g, context) => {
      g.weight = weightGradient(context, context.x, 1);
    },
  },
  {
    name: "first row dropped in the gradient of bias",
    after: (g, { delta }) => {
      g.bias = columnSums(delta, 1);
    },
  },
  {
    name: "last row of dx dropped",
    after: (g, { rows }) => {
      g.input.fill(0, (rows - 1) * WIDTH);
    },
  },
  {
    name: "rows of dx swapped",
    after: (g) => {
      g.input = [...g.input.slice(WIDTH), ...g.input.slice(0, WIDTH)];
    },
  },
  { name: "missing chain factor of exp", constraint: "exp", chain: () => 1 },
  { name: "chain factor of exp by β instead of a", constraint: "exp", chain: (beta) => beta },
  { name: "missing chain factor of square", constraint: "square", chain: () => 1 },
  { name: "chain factor of square without its 2", constraint: "square", chain: (beta) => beta },
  { name: "chain factor of square by a instead of β", constraint: "square", chain: (_beta, a) => 2 * a },
  { name: "chain factor of square without its sign", constraint: "square", chain: (beta) => 2 * Math.abs(beta) },
  ...CONSTRAINTS.map(
    (constraint): Fault => ({
      name: `penalty leaking in, constraint ${constraint}`,
      constraint,
      after: (g, { beta, a }) => {
        g.slope = g.slope.map((value, k) => value + 0.5 * a[k] * chains[constraint](beta[k], a[k]));
      },
    }),
  ),
];

/** ELU with alpha 1 by its formulas: its derivative is 1 on both sides of 0, so that there is no kink to hide behind. */
class PlainElu extends lg.Layer {
  #x: lg.Tensor | undefined;

  constructor(readonly derivativeAtZero: number) {
    super();
  }

  override forward(x: lg.Input): lg.Tensor {
    this.#x = x as lg.Tensor;
    return this.#map(this.#x, (value) => (value > 0 ? value : Math.expm1(value)));
  }

  override backwardInput(dy: lg.Input): lg.Tensor {
    const x = this.#x!.data;
    const derivative = (value: number): number => (value > 0 ? 1 : Math.exp(value));
    return this.#map(dy as lg.Tensor, (value, i) => value * (x[i] === 0 ? this.derivativeAtZero : derivative(x[i])));
  }

  #map(t: lg.Tensor, f: (value: number, i: number) => number): lg.Tensor {
    return t.engine.tensor(Float32Array.from(t.data, f), [...t.shape]);
  }
}

describe("gradCheck", () => {
  describeEngines((engine) => {
    describe("is ok for", () => {
      test.each(subjects)("$name", ({ make, shape }) => {
        const layer = make(engine());
        const x = randomTensor(engine(), shape, 21);
        const result = lg.gradCheck(layer, x);
        expect(result, JSON.stringify(result)).toMatchObject({ ok: true });
        expect(result.checked + result.skipped).toBe(coordinates(layer, shape));
        expect(result.worst.error).toBeLessThanOrEqual(2e-3);
        layer.dispose();
        x.dispose();
      });

      it("the plain formulas that the faults below start from", () => {
        for (const constraint of CONSTRAINTS) {
          const plain = new Plain(engine(), 6, { name: "none", constraint });
          const x = randomTensor(engine(), [6, WIDTH], 22);
          const result = lg.gradCheck(plain, x);
          expect(result, JSON.stringify(result)).toMatchObject({ ok: true });
          // a fault on one side of one unit can only show where that unit is on that side
          plain.forward(x);
          for (let k = 0; k < WIDTH; k++) expect(new Set(plain.unit(k).map(Math.sign)).size).toBe(2);
        }
        expect(lg.gradCheck(new PlainElu(1), engine().tensor([[0, 1, -1, 0.5, -2]])).ok).toBe(true);
      });

      it("every form of x", () => {
        const layer = new lg.LinearPReLU(4, 3, { engine: engine() });
        const flat = [0.3, -0.8, 0.6, 0.9, -0.5, 0.7, 0.2, -0.9];
        const rows = [flat.slice(0, 4), flat.slice(4)];
        const want = lg.gradCheck(layer, engine().tensor(rows));
        expect(want.ok).toBe(true);
        expect(lg.gradCheck(layer, rows)).toEqual(want);
        expect(lg.gradCheck(layer, Float32Array.from(flat))).toEqual(want);
        expect(lg.gradCheck(layer, rows[0])).toEqual(lg.gradCheck(layer, engine().tensor(rows[0])));
        expect(lg.gradCheck(layer, Float32Array.from(rows[0]))).toEqual(lg.gradCheck(layer, [rows[0]]));
      });

      it("an empty batch, which has derivatives of nothing", () => {
        const layer = new lg.Linear(4, 3, { engine: engine() });
        expect(lg.gradCheck(layer, engine().zeros([0, 4]))).toMatchObject({ ok: true, checked: 15, skipped: 0 });
      });

      it("a layer that draws: each forward sees the same draws", () => {
        class Noise extends lg.Layer {
          #noise: lg.Tensor | undefined;
          override forward(x: lg.Input): lg.Tensor {
            this.#noise ??= (x as lg.Tensor).clone();
            lg.init.kaimingNormal_(this.#noise, { fanIn: 2 });
            return this.#times(x as lg.Tensor);
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return this.#times(dy as lg.Tensor);
          }
          #times(t: lg.Tensor): lg.Tensor {
            const noise = this.#noise!.data;
            return t.engine.tensor(
              t.data.map((value, i) => value * noise[i]),
              [...t.shape],
            );
          }
        }
        const x = randomTensor(engine(), [3, 4], 5);
        expect(lg.gradCheck(new lg.Sequential(new Gain(engine(), 4), new Noise()), x).ok).toBe(true);
      });
    });

    describe("is not ok for", () => {
      test.each(FAULTS)("$name", (fault) => {
        const layer = new Plain(engine(), 6, fault);
        // an input before, for the stale ones
        layer.forward(randomTensor(engine(), [6, WIDTH], 23));
        const result = lg.gradCheck(layer, randomTensor(engine(), [6, WIDTH], 22));
        expect(result, JSON.stringify(result)).toMatchObject({ ok: false });
        expect(result.worst.error).toBeGreaterThan(2e-3);
      });

      test.each(tampered)("$name, gradient of $target $how", ({ make, shape, target, how }) => {
        const layer = new Tampered(make(engine()), target, TAMPERINGS[how]);
        const result = lg.gradCheck(layer, randomTensor(engine(), shape, 21));
        expect(result, JSON.stringify(result)).toMatchObject({ ok: false, worst: { name: target } });
        layer.inner.dispose();
      });

      it("a penalty that every message adds", () => {
        const make = (penalty: number) => new lg.LinearPReLU(4, 3, { penalty, engine: engine() });
        const leak = (gradient: Gradient, inner: lg.Layer): void => {
          (inner as lg.LinearPReLU).slopes().forEach((a, k) => {
            gradient[k] += 0.3 * a;
          });
        };
        const x = randomTensor(engine(), [5, 4], 21);
        expect(lg.gradCheck(new Tampered(make(0.3), "slope", () => {}), x).ok).toBe(true);
        expect(lg.gradCheck(new Tampered(make(0), "slope", leak), x)).toMatchObject({
          ok: false,
          worst: { name: "slope" },
        });
      });

      it.each([
        ["exp", (a: number) => a],
        ["square", (a: number) => 2 * Math.sqrt(a)],
      ] as const)("the missing chain factor of %s in a library layer", (constraint, chain) => {
        const drop = (gradient: Gradient, inner: lg.Layer): void => {
          (inner as lg.LinearPReLU).slopes().forEach((a, k) => {
            gradient[k] /= chain(a);
          });
        };
        const make = () => new lg.LinearPReLU(4, 3, { constraint, init: 0.4, engine: engine() });
        const result = lg.gradCheck(new Tampered(make(), "slope", drop), randomTensor(engine(), [5, 4], 21));
        expect(result).toMatchObject({ ok: false, worst: { name: "slope" } });
      });

      it("a derivative of 0 at exactly 0, where the function has one", () => {
        const x = engine().tensor([[0, 1, -1, 0.5, -2]]);
        const result = lg.gradCheck(new PlainElu(0), x);
        expect(result).toMatchObject({ ok: false, worst: { name: "input", index: 0, analytic: 0 } });
        expect(Math.abs(result.worst.numeric)).toBeGreaterThan(0.4);
      });

      it("a fault deep inside a net", () => {
        const faulty = new Tampered(new lg.Linear(4, 4, { engine: engine() }), "weight", multiply(-1));
        const net = new lg.Sequential({
          first: new lg.LinearELU(4, 4, { engine: engine() }),
          block: new lg.Sequential({ faulty }),
          last: new lg.Linear(4, 2, { engine: engine() }),
        });
        const result = lg.gradCheck(net, randomTensor(engine(), [5, 4], 21));
        expect(result).toMatchObject({ ok: false, worst: { name: "block.faulty.weight" } });
      });

      it("one message that is wrong by itself while backward is right", () => {
        class HalfInput extends lg.Linear {
          override backwardInput(dy: lg.Input): lg.Tensor {
            const dx = super.backwardInput(dy);
            multiply(0.5)(dx.data);
            return dx;
          }
        }
        class DoubleParams extends lg.Linear {
          override backwardParams(dy: lg.Input): void {
            super.backwardParams(dy);
            super.backwardParams(dy);
          }
        }
        const x = randomTensor(engine(), [5, 4], 21);
        expect(lg.gradCheck(new HalfInput(4, 3, { engine: engine() }), x).ok).toBe(false);
        expect(lg.gradCheck(new DoubleParams(4, 3, { engine: engine() }), x).ok).toBe(false);
      });

      it("gradients all zero where the function is not constant, and constant ones with gradients", () => {
        const x = randomTensor(engine(), [5, 4], 21);
        const silent = new Tampered(new Gain(engine(), 4), "input", multiply(0));
        expect(lg.gradCheck(silent, x).ok).toBe(false);
        const dead = new lg.Linear(4, 3, { bias: false, engine: engine() });
        dead.parameters()[0].value.fill_(0);
        const noisy = new Tampered(dead, "input", (gradient) => gradient.fill(1));
        expect(lg.gradCheck(noisy, x).ok).toBe(false);
      });

      it("a NaN in the output", () => {
        const layer = new lg.Linear(4, 3, { engine: engine() });
        layer.parameters()[0].value.data[0] = Number.NaN;
        const result = lg.gradCheck(layer, randomTensor(engine(), [5, 4], 21));
        expect(result.ok).toBe(false);
      });

      it("dL/dx of another shape, unless it is refused", async () => {
        class Short extends Gain {
          override backwardInput(dy: lg.Input): lg.Tensor {
            const dx = super.backwardInput(dy);
            return engine().tensor(dx.data.slice(0, 4), [1, 4]);
          }
        }
        const short = new Short(engine(), 4);
        const x = randomTensor(engine(), [5, 4], 21);
        let result: lg.GradCheckResult | undefined;
        const error = await refusal(() => {
          result = lg.gradCheck(short, x);
        });
        if (error === undefined) expect(result!.ok).toBe(false);
        else expect(error).toBeInstanceOf(lg.LanegradError);
      });
    });

    describe("kinks", () => {
      it("are skipped and counted, and the rest is checked", () => {
        const x = randomTensor(engine(), [4, 5], 21);
        x.data.set([0, 0], 3);
        for (const layer of [new lg.ReLU({ engine: engine() }), new lg.LeakyReLU({ engine: engine() })]) {
          expect(lg.gradCheck(layer, x)).toMatchObject({ ok: true, checked: 18, skipped: 2 });
        }
        // the slope's own derivative has none
        const prelu = new lg.PReLU({ engine: engine() });
        expect(lg.gradCheck(prelu, x)).toMatchObject({ ok: true, checked: 19, skipped: 2 });
      });

      it("are none where the function is smooth: ELU with alpha 1, PReLU with slope 1", () => {
        const x = engine().zeros([2, 5]);
        for (const layer of [new lg.ELU({ engine: engine() }), new lg.PReLU({ init: 1, engine: engine() })]) {
          expect(lg.gradCheck(layer, x)).toMatchObject({ ok: true, skipped: 0 });
        }
      });

      it("may be a tenth of all coordinates and no more", () => {
        const relu = new lg.ReLU({ engine: engine() });
        const x = randomTensor(engine(), [2, 10], 21);
        x.data.set([0, 0], 0);
        expect(lg.gradCheck(relu, x)).toMatchObject({ ok: true, checked: 18, skipped: 2 });
        x.data[2] = 0;
        const result = lg.gradCheck(relu, x);
        expect(result).toMatchObject({ ok: false, checked: 17, skipped: 3 });
        // the others are right
        expect(result.worst.error).toBeLessThanOrEqual(2e-3);
      });

      it("nearby are no reason to skip: a shorter step is tried", () => {
        const x = engine().tensor([[0.004, -0.004, 0.5, -0.5, 1]]);
        const prelu = new lg.PReLU({ engine: engine() });
        expect(lg.gradCheck(prelu, x)).toMatchObject({ ok: true, checked: 6, skipped: 0 });
      });
    });

    describe("options and result", () => {
      const subject = () => {
        const off = new Tampered(new lg.Linear(4, 3, { engine: engine() }), "bias", multiply(1.01));
        return { off, x: randomTensor(engine(), [5, 4], 21) };
      };

      it("tolerance is the error allowed, relative to the largest gradient", () => {
        const { off, x } = subject();
        const { ok, worst } = lg.gradCheck(off, x);
        expect(ok).toBe(false);
        const { name, index, analytic, numeric, error } = worst;
        expect(name).toBe("bias");
        expect(Math.abs(analytic / numeric - 1.01)).toBeLessThan(1e-3);
        expect(lg.gradCheck(off, x, { tolerance: 1.1 * error })).toMatchObject({ ok: true, worst: { name, index } });
        expect(lg.gradCheck(off, x, { tolerance: 0.9 * error }).ok).toBe(false);
        expect(lg.gradCheck(off, x, { tolerance: 0 }).ok).toBe(false);
        // the largest gradient is at least as large as this one
        expect(error).toBeLessThanOrEqual(Math.abs(analytic - numeric) / Math.abs(analytic) + 1e-6);
      });

      it("the result has these fields and no others", () => {
        const { off, x } = subject();
        const result = lg.gradCheck(off, x);
        expect(Object.keys(result).sort()).toEqual(["checked", "ok", "skipped", "worst"]);
        expect(Object.keys(result.worst).sort()).toEqual(["analytic", "error", "index", "name", "numeric"]);
      });

      it("seed fixes the projection", () => {
        const { off, x } = subject();
        const first = lg.gradCheck(off, x);
        expect(lg.gradCheck(off, x)).toEqual(first);
        expect(lg.gradCheck(off, x, { seed: 0 })).toEqual(first);
        expect(lg.gradCheck(off, x, { seed: 1 }).worst.analytic).not.toBe(first.worst.analytic);
      });

      it("epsilon is the step", () => {
        const elu = new lg.ELU({ engine: engine() });
        const x = randomTensor(engine(), [5, 4], 21);
        for (const epsilon of [1e-3, 3e-2]) expect(lg.gradCheck(elu, x, { epsilon }).ok).toBe(true);
        // a step below an ulp of x changes nothing: there is no difference to speak of
        expect(lg.gradCheck(elu, x, { epsilon: 1e-12 }).ok).toBe(false);
      });

      it("undefined means the default, unknown ones are refused", () => {
        const { off, x } = subject();
        const want = lg.gradCheck(off, x);
        const options = { epsilon: undefined, tolerance: undefined, seed: undefined };
        expect(lg.gradCheck(off, x, options)).toEqual(want);
        expect(() => lg.gradCheck(off, x, wrong({ ...options, other: 1 }))).toThrow(/got the option "other"/);
        expect(lg.gradCheck(off, x, undefined)).toEqual(want);
      });

      it.each([
        [{ epsilon: 0 }, /epsilon: got 0/],
        [{ epsilon: -1 }, /epsilon: got -1/],
        [{ epsilon: Number.NaN }, /epsilon: got NaN/],
        [{ epsilon: Number.POSITIVE_INFINITY }, /epsilon: got Infinity/],
        [{ epsilon: "1" }, /epsilon: got "1"/],
        [{ tolerance: -1 }, /tolerance: got -1/],
        [{ tolerance: Number.NaN }, /tolerance: got NaN/],
        [{ seed: 0.5 }, /seed: got 0\.5/],
        [{ seed: "a" }, /seed: got "a"/],
        [null, /got null/],
        [7, /got 7/],
      ])("%j is refused", async (options, message) => {
        const { off, x } = subject();
        expectRefusal(await refusal(() => lg.gradCheck(off, x, wrong(options))), lg.ArgumentError, message);
      });

      it("no layer, no input and foreign ones are refused", async () => {
        const { x } = subject();
        const linear = new lg.Linear(4, 3, { engine: engine() });
        const foreign = openEngine("js");
        const state = stateBits(linear);
        expectRefusal(await refusal(() => lg.gradCheck(wrong({}), x)), lg.ArgumentError, /gradCheck: got .*Layer/);
        expectRefusal(await refusal(() => lg.gradCheck(linear, wrong("x"))), lg.ArgumentError, /got "x"/);
        expectRefusal(await refusal(() => lg.gradCheck(linear, wrong(undefined))), lg.ArgumentError, /got undefined/);
        expectRefusal(await refusal(() => lg.gradCheck(linear, foreign.zeros([2, 4]))), lg.EngineError, /engine/);
        expectRefusal(await refusal(() => lg.gradCheck(linear, new Float32Array(5))), lg.ShapeError, /5/);
        const prelu = new lg.PReLU({ engine: engine() });
        expectRefusal(await refusal(() => lg.gradCheck(prelu, new Float32Array(4))), lg.ShapeError, /engine\.tensor/);
        expect(stateBits(linear)).toEqual(state);
        foreign.dispose();
        linear.dispose();
        expectRefusal(await refusal(() => lg.gradCheck(linear, x)), lg.StateError, /disposed/);
      });

      it("a forward that returns no tensor is refused", async () => {
        class Broken extends Gain {
          override forward(): lg.Tensor {
            return undefined as never;
          }
        }
        const { x } = subject();
        expect(await refusal(() => lg.gradCheck(new Broken(engine(), 4), x))).toBeInstanceOf(lg.LanegradError);
      });
    });

    describe("leaves everything as it was", () => {
      const makeNet = (own: lg.Engine) =>
        new lg.Sequential(
          new lg.Linear(4, 3, { engine: own }),
          new lg.PReLU({ numParameters: 3, constraint: "exp", penalty: 0.5, engine: own }),
          new lg.LinearPReLU(3, 2, { constraint: "square", penalty: 0.5, engine: own }),
          new lg.BatchNorm1d(2, { engine: own }),
          new lg.Dropout(0.2, { engine: own }),
        );

      const scene = (): Scene => midTraining(engine().kernels, makeNet);

      it("parameters, gradients, x, mode, draws and memory", () => {
        const { own, net, x } = scene();
        const twin = scene();
        // buffers for this shape are there; a layer of the net in the other mode
        net.layers[1].eval();
        const before = { state: stateBits(net), x: bits(x.data), modes: modes(net), used: own.memory.used };
        expect(lg.gradCheck(net, x).ok).toBe(true);
        expect({ state: stateBits(net), x: bits(x.data), modes: modes(net), used: own.memory.used }).toEqual(before);
        expect(lg.save(net)).toEqual(lg.save(twin.net));
        const [after, without] = [own, twin.own].map((engine) => valueBits(new lg.Linear(4, 3, { engine })));
        expect(after).toEqual(without);
        own.dispose();
        twin.own.dispose();
      });

      it.each(["after zeroGrad", "before any message", "after a message"])(
        "what the next message does to gradients: %s",
        (when) => {
          const run = (check: boolean): Record<string, Uint32Array> => {
            const { own, net, x, dy } = scene();
            const fresh = when === "before any message" ? makeNet(own) : net;
            if (when === "after zeroGrad") fresh.zeroGrad();
            if (check) lg.gradCheck(fresh, x);
            fresh.forward(x);
            fresh.backwardParams(dy);
            fresh.backwardParams(dy);
            const state = stateBits(fresh);
            own.dispose();
            return state;
          };
          expect(run(true)).toEqual(run(false));
        },
      );

      it("zeros after zeroGrad, to readers", () => {
        const { own, net, x } = scene();
        net.zeroGrad();
        lg.gradCheck(net, x);
        for (const { grad } of net.parameters()) expect(grad.data.every((g) => Object.is(g, 0))).toBe(true);
        own.dispose();
      });

      it("running statistics: whatever is in the state", () => {
        class Counting extends Gain {
          readonly mean = engine().tensor([0.5]);
          override stateDict(): Record<string, lg.Tensor> {
            return { ...super.stateDict(), running_mean: this.mean };
          }
          override forward(x: lg.Input): lg.Tensor {
            if (this.training) this.mean.data[0] += 0.25;
            return super.forward(x);
          }
        }
        const layer = new Counting(engine(), 4);
        expect(lg.gradCheck(layer, randomTensor(engine(), [5, 4], 21)).ok).toBe(true);
        expect(layer.mean.data[0]).toBe(0.5);
      });

      it("eval mode: checked in training mode, eval again", () => {
        const layer = new lg.LinearPReLU(4, 3, { engine: engine() }).eval();
        expect(lg.gradCheck(layer, randomTensor(engine(), [5, 4], 21)).ok).toBe(true);
        expect(layer.training).toBe(false);
      });

      it("when forward throws at once", async () => {
        const { own, net, x } = scene();
        net.layers[2].eval();
        const before = { state: stateBits(net), modes: modes(net), used: own.memory.used };
        const tooWide = randomTensor(own, [5, 6], 3);
        const error = await refusal(() => lg.gradCheck(net, tooWide));
        expectRefusal(error, lg.ShapeError, /\[5, 6\]/);
        tooWide.dispose();
        expect({ state: stateBits(net), modes: modes(net), used: own.memory.used }).toEqual(before);
        expect(lg.gradCheck(net, x).ok).toBe(true);
        own.dispose();
      });

      it.each([2, 9, 60, 120, 190])("when forward throws at call %i, with a coordinate moved", async (call) => {
        class Failing extends lg.Layer {
          calls = 0;
          constructor(readonly inner: lg.Layer) {
            super();
          }
          override children(): [string, lg.Layer][] {
            return [["inner", this.inner]];
          }
          override parameters(): lg.Parameter[] {
            return this.inner.parameters();
          }
          override stateDict(): Record<string, lg.Tensor> {
            return this.inner.stateDict();
          }
          override forward(x: lg.Input): lg.Tensor {
            this.calls++;
            if (this.calls === call) throw new RangeError("enough");
            return this.inner.forward(x);
          }
          override backwardInput(dy: lg.Input): lg.Tensor {
            return this.inner.backwardInput(dy);
          }
          override backwardParams(dy: lg.Input): void {
            this.inner.backwardParams(dy);
          }
        }
        const { own, net, x, dy } = scene();
        const before = { state: stateBits(net), modes: modes(net), x: bits(x.data), used: own.memory.used };
        const failing = new Failing(net);
        expect(await refusal(() => lg.gradCheck(failing, x))).toEqual(new RangeError("enough"));
        expect(failing.calls).toBe(call);
        expect({ state: stateBits(net), modes: modes(net), x: bits(x.data), used: own.memory.used }).toEqual(before);
        const twin = scene();
        net.forward(x);
        net.backward(dy);
        twin.net.forward(twin.x);
        twin.net.backward(twin.dy);
        expect(stateBits(net)).toEqual(stateBits(twin.net));
        own.dispose();
        twin.own.dispose();
      });

      it("but the remembered forward ends: backward is a StateError and adds nothing", async () => {
        const { own, net, x, dy } = scene();
        const single = new lg.LinearPReLU(4, 2, { engine: own });
        for (const layer of [single, net]) {
          layer.forward(x);
          lg.gradCheck(layer, x);
          const state = stateBits(layer);
          for (const message of ["backward", "backwardInput", "backwardParams"] as const) {
            expect(await refusal(() => layer[message](dy)), message).toBeInstanceOf(lg.StateError);
          }
          expect(stateBits(layer)).toEqual(state);
        }
        own.dispose();
      });
    });
  });
});
