import { type Requests, TensorBuffer } from "../buffers.js";
import { checkFinite, checkNonNegative, checkOneOf, show, showShape, type Text } from "../checks.js";
import { log } from "../deterministic-math.js";
import { ArgumentError, ShapeError } from "../errors.js";
import type { Floats } from "../host-types.js";
import { sameShape, type Tensor } from "../tensor.js";
import { type Activation, addBiasGradient, type BiasTarget, type Scratch } from "./activation.js";
import type { Parameter } from "./layer.js";

/** How the trained β gives the slope in effect a: "none" a = β, "exp" a = exp(β), "square" a = β². */
export type SlopeConstraint = "none" | "exp" | "square";

/** What PReLU and LinearPReLU take about their slopes. */
export interface SlopeOptions {
  /** The slope in effect at the start; > 0 for "exp", >= 0 for "square". Default 0.25. */
  init?: number;
  /** Default "none". */
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

  checkShape(shape: readonly number[], what: Text): void {
    if (this.count === 1) return;
    // the channel axis is 1; of a single sample [C] it is 0
    const channels = shape.length > 1 ? shape[1] : shape[0];
    if (channels !== this.count) {
      throw new ShapeError(
        `${what} got ${showShape(shape)}, expected ${showShape(["N", this.count, "..."])} or ${showShape([this.count])}`,
      );
    }
  }

  forward(s: Tensor, y: Tensor, { effective }: Scratch): void {
    const [rows, channels, inner] = this.#layout(s);
    const a = this.#inEffect(effective);
    s.engine.ops.prelu(rows, channels, inner, s.read(), a.read(), y.overwrite());
  }

  backward(s: Tensor, dy: Tensor, ds: Tensor, scratch: Scratch, params: boolean, bias?: BiasTarget): void {
    const { grad } = this.slope;
    const a = this.#inEffect(scratch.effective);
    if (this.constraint === "none") {
      const adds = params && grad.startSum();
      this.#sendBack(s, dy, ds, a, params ? grad.offset : 0, adds, bias);
    } else {
      // dL/da is on its way to dL/dβ
      const da = scratch.slopeGradient!;
      this.#sendBack(s, dy, ds, a, params ? da.overwrite() : 0, false, bias);
      if (params) this.#addChained(1, da, a, grad.startSum());
    }
    if (params && grad.takeFirst() && this.#penalty > 0) this.#addPenalty(a);
  }

  #sendBack(
    s: Tensor,
    dy: Tensor,
    ds: Tensor,
    a: Tensor,
    dslope: number,
    addsSlope: boolean,
    bias: BiasTarget | undefined,
  ): void {
    const layout = this.#layout(s);
    // a shared slope runs over all elements at once, where there are no channels to sum
    const inOnePass = bias !== undefined && sameShape(bias.layout, layout) ? bias.parameter.grad : undefined;
    const addsBias = inOnePass?.startSum() ?? false;
    s.engine.ops.preluBackward(
      ...layout,
      s.read(),
      dy.read(),
      a.read(),
      ds.overwrite(),
      dslope,
      addsSlope,
      inOnePass?.offset ?? 0,
      addsBias,
    );
    if (bias !== undefined && inOnePass === undefined) addBiasGradient(bias, ds);
  }

  /** dβ (+)= factor · x · da/dβ, x with one value for each slope, a the slopes in effect. */
  #addChained(factor: number, x: Tensor, a: Tensor, adds: boolean): void {
    const { value, grad } = this.slope;
    const isSquare = this.constraint === "square";
    const derivative = isSquare ? value : a;
    const scale = isSquare ? 2 * factor : factor;
    value.engine.ops.addProduct(this.count, scale, x.read(), derivative.read(), grad.offset, adds);
  }

  /** dβ += λ · a · da/dβ */
  #addPenalty(a: Tensor): void {
    const { value, grad } = this.slope;
    if (this.constraint === "none") {
      value.engine.ops.addScaled(this.count, value.read(), grad.offset, this.#penalty);
    } else {
      this.#addChained(this.#penalty, a, a, true);
    }
  }

  /** The slopes in effect. */
  #inEffect(effective = this.#takeEffective()): Tensor {
    const { value } = this.slope;
    if (effective === undefined) return value;
    const { ops } = value.engine;
    const beta = value.read();
    if (this.constraint === "exp") ops.exponential(this.count, beta, effective.overwrite());
    else ops.addProduct(this.count, 1, beta, beta, effective.overwrite(), false);
    return effective;
  }

  /** Memory for the slopes in effect, where no message has taken it. */
  #takeEffective(): Tensor | undefined {
    return this.constraint === "none" ? undefined : this.#effective.take([this.count]);
  }

  /** [rows, channels, inner] as the kernels see it. */
  #layout(s: Tensor): [rows: number, channels: number, inner: number] {
    if (this.count === 1) return [1, 1, s.size];
    const rows = s.shape.length > 1 ? s.shape[0] : 1;
    const elements = rows * this.count;
    return [rows, this.count, elements === 0 ? 0 : s.size / elements];
  }

  scratch(): Requests<Scratch> {
    if (this.constraint === "none") return {};
    return { effective: [this.#effective, [this.count]], slopeGradient: [this.#slopeGradient, [this.count]] };
  }

  dispose(): void {
    this.#effective.dispose();
    this.#slopeGradient.dispose();
  }
}
