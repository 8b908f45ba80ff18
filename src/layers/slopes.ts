import { type BufferRequest, TensorBuffer } from "../buffers.js";
import { checkFinite, checkNonNegative, checkOneOf, show, showShape } from "../checks.js";
import { log } from "../deterministic-math.js";
import { ArgumentError, ShapeError } from "../errors.js";
import type { Floats } from "../host-types.js";
import type { Tensor } from "../tensor.js";
import { type Activation, addBiasGradient, type BiasTarget } from "./activation.js";
import type { Parameter } from "./layer.js";

/** How the trained β gives the slope in effect a: "none" a = β, "exp" a = exp(β), "square" a = β². */
export type SlopeConstraint = "none" | "exp" | "square";

/** What PReLU and LinearPReLU take about their slopes. */
export interface SlopeOptions {
  /** The slope in effect at the start; > 0 for "exp", >= 0 for "square". Default 0.25. */
  init?: number;
  constraint?: SlopeConstraint;
  /** λ of the penalty λ/2 · a², whose gradient joins the first parameter message of a batch that is not empty after zeroGrad. */
  penalty?: number;
}

export interface SlopeSettings {
  readonly init: number;
  readonly constraint: SlopeConstraint;
  readonly penalty: number;
}

const CONSTRAINTS = ["none", "exp", "square"] as const;

/** The options with their defaults, checked before anything is made. */
export function slopeSettings(options: SlopeOptions, what: string): SlopeSettings {
  const { init = 0.25, constraint = "none", penalty = 0 } = options;
  checkFinite(init, `${what}: init`);
  checkOneOf(constraint, CONSTRAINTS, `${what}: constraint`);
  checkNonNegative(penalty, `${what}: penalty`);
  if (constraint === "exp" && init <= 0) {
    throw new ArgumentError(`${what}: init: got ${show(init)}, expected a number > 0 for the constraint "exp"`);
  }
  if (constraint === "square" && init < 0) {
    throw new ArgumentError(`${what}: init: got ${show(init)}, expected a number >= 0 for the constraint "square"`);
  }
  return { init, constraint, penalty };
}

/** β at the start. */
function trainedValue({ init, constraint }: SlopeSettings): number {
  if (constraint === "exp") return log(init);
  return constraint === "square" ? Math.sqrt(init) : init;
}

/**
 * PReLU's slopes, one or one for each channel: y = x where x > 0, a x elsewhere.
 *
 * The parameter is β; dL/dβ = dL/da · da/dβ, da/dβ = 1, a or 2β. a is computed from β at every use, since β may have been
 * written in between.
 */
export class SlopeActivation implements Activation {
  readonly count: number;
  readonly constraint: SlopeConstraint;
  readonly #penalty: number;
  readonly #effective: TensorBuffer;
  readonly #slopeGradient: TensorBuffer;

  constructor(
    readonly slope: Parameter,
    settings: SlopeSettings,
  ) {
    const { value } = slope;
    this.count = value.size;
    this.constraint = settings.constraint;
    this.#penalty = settings.penalty;
    this.#effective = new TensorBuffer(value.engine);
    this.#slopeGradient = new TensorBuffer(value.engine);
    value.fill_(trainedValue(settings));
  }

  parameters(): Parameter[] {
    return [this.slope];
  }

  /** The slopes in effect, a copy. */
  slopes(): Floats {
    return this.#inEffect().data.slice();
  }

  /** The parameter's constraint by its name, if it has one. */
  constraints(): Record<string, string> {
    return this.constraint === "none" ? {} : { [this.slope.name]: this.constraint };
  }

  checkShape(shape: readonly number[], what: string): void {
    if (this.count === 1) return;
    // the channel axis is 1; of a single sample [C] it is 0
    const channels = shape.length > 1 ? shape[1] : shape[0];
    if (channels !== this.count) {
      throw new ShapeError(
        `${what} got ${showShape(shape)}, expected ${showShape(["N", this.count, "..."])} or ${showShape([this.count])}`,
      );
    }
  }

  forward(s: Tensor, y: Tensor): void {
    const [rows, channels, inner] = this.#layout(s);
    s.engine.ops.prelu(rows, channels, inner, s.offset, this.#inEffect().read(), y.offset);
  }

  backward(s: Tensor, dy: Tensor, ds: Tensor, wantParams: boolean, bias: BiasTarget | undefined): void {
    const { grad } = this.slope;
    // a constrained slope's gradient is on its way to β's
    const target = this.constraint === "none" ? grad : this.#slopeGradient.take([this.count]);
    const accumulate = wantParams && target === grad && grad.startSum();
    this.#sendBack(s, dy, ds, wantParams ? target.offset : 0, accumulate, bias);
    if (!wantParams) return;
    if (target !== grad) this.#addChained(1, target, grad.startSum());
    if (grad.takeFirst() && this.#penalty > 0) this.#addPenalty();
  }

  #sendBack(
    s: Tensor,
    dy: Tensor,
    ds: Tensor,
    dslope: number,
    accumulateSlope: boolean,
    bias: BiasTarget | undefined,
  ): void {
    const layout = this.#layout(s);
    // a shared slope runs over all elements at once, where there are no channels to sum
    const inOnePass = bias?.layout.every((size, axis) => size === layout[axis]) ? bias.parameter.grad : undefined;
    const accumulateBias = inOnePass?.startSum() ?? false;
    s.engine.ops.preluBackward(
      ...layout,
      s.offset,
      dy.offset,
      this.#inEffect().read(),
      ds.offset,
      dslope,
      accumulateSlope,
      inOnePass?.offset ?? 0,
      accumulateBias,
    );
    if (bias !== undefined && inOnePass === undefined) addBiasGradient(bias, ds);
  }

  /** dβ (+)= factor · x · da/dβ, x with one value for each slope. */
  #addChained(factor: number, x: Tensor, accumulate: boolean): void {
    const { value, grad } = this.slope;
    const isSquare = this.constraint === "square";
    const derivative = isSquare ? value : this.#inEffect();
    value.engine.ops.addProduct(
      this.count,
      isSquare ? 2 * factor : factor,
      x.read(),
      derivative.read(),
      grad.offset,
      accumulate,
    );
  }

  /** dβ += λ · a · da/dβ */
  #addPenalty(): void {
    const { value, grad } = this.slope;
    if (this.constraint === "none") {
      value.engine.ops.addScaled(this.count, value.read(), grad.offset, this.#penalty);
    } else {
      this.#addChained(this.#penalty, this.#inEffect(), true);
    }
  }

  /** The slopes in effect. */
  #inEffect(): Tensor {
    const { value } = this.slope;
    if (this.constraint === "none") return value;
    const { ops } = value.engine;
    const effective = this.#effective.take([this.count]);
    const beta = value.read();
    if (this.constraint === "exp") ops.exponential(this.count, beta, effective.offset);
    else ops.addProduct(this.count, 1, beta, beta, effective.offset, false);
    return effective;
  }

  /** [rows, channels, inner] as the kernels see it. */
  #layout(s: Tensor): [rows: number, channels: number, inner: number] {
    if (this.count === 1) return [1, 1, s.size];
    const rows = s.shape.length > 1 ? s.shape[0] : 1;
    const elements = rows * this.count;
    return [rows, this.count, elements === 0 ? 0 : s.size / elements];
  }

  /** A constrained slope's value in effect and its gradient. */
  scratch(): readonly BufferRequest[] {
    if (this.constraint === "none") return [];
    return [this.#effective, this.#slopeGradient].map((buffer) => [buffer, [this.count]] as const);
  }

  dispose(): void {
    this.#effective.dispose();
    this.#slopeGradient.dispose();
  }
}
