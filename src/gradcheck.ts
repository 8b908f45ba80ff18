import { checkNonNegative, checkOptions, checkSeed, show } from "./checks.js";
import { Probe } from "./differentiation.js";
import { ArgumentError } from "./errors.js";
import type { Input, Layer } from "./layers/layer.js";
import { RandomGenerator } from "./random.js";
import { newTensor, type Tensor } from "./tensor.js";

/** How `gradCheck` compares. */
export interface GradCheckOptions {
  /** Step of the differences, > 0; default 1e-2, which suits float32 with extrapolation. */
  epsilon?: number;
  /** Largest error allowed, relative to the largest gradient, >= 0; default 2e-3. */
  tolerance?: number;
  /** Seed of the projection, a safe integer; default 0. */
  seed?: number;
}

/** What `gradCheck` found. */
export interface GradCheckResult {
  /** At least 90 % of the coordinates were checked, and every error is within the tolerance. */
  ok: boolean;
  /** How many coordinates were compared. */
  checked: number;
  /** How many were skipped, at a kink: the two sides disagree, so there is no derivative. */
  skipped: number;
  /** The coordinate with the largest error. */
  worst: {
    /** "input", or the parameter's name. */
    name: string;
    /** The coordinate's place in it, row-major. */
    index: number;
    /** What the messages give. */
    analytic: number;
    /** What the differences give. */
    numeric: number;
    /** |analytic - numeric|, relative to the largest gradient. */
    error: number;
  };
}

interface Coordinate {
  readonly name: string;
  readonly index: number;
  readonly analytic: number;
  readonly numeric: number;
  /** How far one-sided differences, and those of two steps, disagree beyond what they would for a smooth function. */
  readonly kink: number;
}

const OPTIONS = ["epsilon", "tolerance", "seed"] as const;
const REQUIRED_SHARE = 0.9;

/** Shorter steps are tried before a coordinate counts as a kink, since a kink within one step may lie beyond a fourth of it. */
const SHORTER = [1, 1 / 4, 1 / 16];

/** A disagreement below half the tolerance is no kink. */
const KINK_SHARE = 0.5;

/**
 * Compares a layer's messages with numerical derivatives, at every coordinate of x and of every parameter, in training mode. The output is
 * projected on seeded random weights, L = Σ w · y in double. dL/dθ comes from central differences D with the steps h and h / 2 by
 * Richardson's extrapolation, (4 D(h/2) - D(h)) / 3. At a kink shorter steps are tried, then the coordinate is skipped. `ok` needs 90 %
 * of all coordinates checked, and every error within `tolerance` of the largest gradient. Everything is left as it was, but the
 * remembered forward is lost.
 *
 * Throws ArgumentError for a wrong option, and what the layer's messages throw.
 */
export function gradCheck(layer: Layer, x: Input, options?: GradCheckOptions): GradCheckResult {
  const { epsilon = 1e-2, tolerance = 2e-3, seed = 0 } = checkOptions(options, OPTIONS, "gradCheck");
  checkNonNegative(tolerance, "gradCheck: tolerance");
  if (checkNonNegative(epsilon, "gradCheck: epsilon") === 0) {
    throw new ArgumentError(`gradCheck: epsilon: got ${show(epsilon)}, expected a number > 0`);
  }
  checkSeed(seed, "gradCheck: seed");
  const coordinates = Probe.run(layer, x, "gradCheck", (probe) => differentiate(probe, epsilon, tolerance, seed));

  const largest = largestOf(coordinates.flatMap(({ analytic, numeric }) => [analytic, numeric]));
  // a derivative that is not finite counts as an infinite error
  const errorOf = ({ analytic, numeric }: Omit<Coordinate, "kink">): number => {
    if (analytic === numeric) return 0;
    const error = Math.abs(analytic - numeric) / largest;
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  };
  const smooth = coordinates.filter(({ kink }) => !(kink > KINK_SHARE * tolerance * largest));
  const judged = smooth.map(({ kink, ...coordinate }) => ({ ...coordinate, error: errorOf(coordinate) }));
  const nothing = { name: "", index: -1, analytic: 0, numeric: 0, error: 0 };
  const worst = judged.reduce(
    (most, coordinate) => (coordinate.error > most.error ? coordinate : most),
    judged[0] ?? nothing,
  );
  const isEnough = smooth.length >= REQUIRED_SHARE * coordinates.length;
  return {
    ok: isEnough && worst.error <= tolerance,
    checked: smooth.length,
    skipped: coordinates.length - smooth.length,
    worst,
  };
}

/** The largest finite magnitude. */
function largestOf(values: readonly number[]): number {
  return values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
}

function differentiate(probe: Probe, epsilon: number, tolerance: number, seed: number): Coordinate[] {
  const y = probe.forward();
  const generator = new RandomGenerator(seed);
  const weights = newTensor(probe.engine, y.shape);
  try {
    // not near 0, so that every output counts
    const w = new Float32Array(weights.size);
    for (let i = 0; i < w.length; i++)
      w[i] = (generator.bits() & 1 ? 1 : -1) * (0.5 + generator.bits() / 4_294_967_296);
    weights.data.set(w);
    const together = probe.gradients(() => probe.layer.backward(weights));
    const apart = probe.gradients(() => {
      probe.layer.backwardParams(weights);
      return probe.layer.backwardInput(weights);
    });
    const largest = largestOf(together.flatMap((values) => [...values]));
    const steps = { epsilon, kinkAbove: KINK_SHARE * tolerance * largest };
    const tensors = [{ name: "input", value: probe.x }, ...probe.parameters];
    return tensors.flatMap(({ name, value }, i) =>
      coordinatesOf(probe, name, value, [together[i], apart[i]], w, steps),
    );
  } finally {
    weights.dispose();
  }
}

function coordinatesOf(
  probe: Probe,
  name: string,
  tensor: Tensor,
  analytic: readonly [together: Float32Array, apart: Float32Array],
  weights: Float32Array,
  { epsilon, kinkAbove }: { epsilon: number; kinkAbove: number },
): Coordinate[] {
  const middle = projection(probe, weights);
  return Array.from(analytic[0], (_, index) => {
    const value = tensor.data[index];
    /** The projection at value + step, and the step as float32 rounds it. */
    const at = (step: number): { step: number; value: number } => {
      tensor.data[index] = value + step;
      const made = tensor.data[index] - value;
      const result = projection(probe, weights);
      tensor.data[index] = value;
      return { step: made, value: result };
    };
    const differences = (step: number): { central: number; sides: number } => {
      const up = at(step);
      const down = at(-step);
      const right = (up.value - middle) / up.step;
      const left = (down.value - middle) / down.step;
      return { central: (up.value - down.value) / (up.step - down.step), sides: right - left };
    };
    const attempts: Coordinate[] = [];
    for (const share of SHORTER) {
      const whole = differences(epsilon * share);
      const half = differences((epsilon * share) / 2);
      // for a smooth function the sides differ in proportion to the step, and the central differences by its square
      const kink = Math.max(Math.abs(whole.sides - 2 * half.sides), Math.abs(whole.central - half.central));
      const numeric = (4 * half.central - whole.central) / 3;
      const attempt = {
        name,
        index,
        analytic: fartherFrom(numeric, analytic[0][index], analytic[1][index]),
        numeric,
        kink,
      };
      if (!(kink > kinkAbove)) return attempt;
      attempts.push(attempt);
    }
    return attempts.reduce((best, attempt) => (attempt.kink < best.kink ? attempt : best));
  });
}

/** `backward` and the two separate messages must agree: the worse one counts. */
function fartherFrom(numeric: number, together: number, apart: number): number {
  return Math.abs(together - numeric) >= Math.abs(apart - numeric) || Number.isNaN(together) ? together : apart;
}

/** Σ w · y in double. */
function projection(probe: Probe, weights: Float32Array): number {
  const y = probe.forward().data;
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += weights[i] * y[i];
  return sum;
}
