import { checkBoolean, checkNonNegative, checkOptions, isArray, show } from "../checks.js";
import { integerPower } from "../deterministic-math.js";
import { ArgumentError } from "../errors.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

/** What `groups` of Adam and AdamW hold beside their parameters. */
export interface AdamSettings {
  /** The learning rate, finite and >= 0; default 1e-3. */
  lr: number;
  /** How much the means of the gradient and of its square keep at a step, both in [0, 1); default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the root that is divided by, finite and >= 0; default 1e-8. */
  eps: number;
  /** λ, finite and >= 0; default 0 in Adam, 0.01 in AdamW. */
  weightDecay: number;
  /** Divides by the largest mean square so far (Reddi et al., 2018); default false. */
  amsgrad: boolean;
}

/** The settings of Adam and AdamW, each with its default. */
export type AdamOptions = Partial<AdamSettings>;

const OPTIONS = ["lr", "betas", "eps", "weightDecay", "amsgrad"] as const;

const MOMENTS = ["m", "v"];
const MOMENTS_AND_LARGEST = ["m", "v", "vMax"];
const NUMBERS = ["step"];

const isBeta = (beta: unknown): boolean => typeof beta === "number" && beta >= 0 && beta < 1;

/** What Adam and AdamW share. Weight decay acts on the gradient or, decoupled, on the parameter. */
abstract class AdamBase extends Optimizer<AdamSettings> {
  readonly #isDecoupled: boolean;
  /** Those of the last update: most parameters have made as many steps as the one before. */
  #last = { step: 0, beta1: 0, beta2: 0, correction1: 1, correction2: 1 };

  constructor(
    type: string,
    params: OptimizerParameters<AdamSettings>,
    options: AdamOptions | undefined,
    { defaultDecay, isDecoupled }: { defaultDecay: number; isDecoupled: boolean },
  ) {
    const given = checkOptions(options, OPTIONS, type);
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = defaultDecay, amsgrad = false } = given;
    super(type, params, { lr, betas, eps, weightDecay, amsgrad });
    this.#isDecoupled = isDecoupled;
  }

  protected override readSettings({ lr, betas, eps, weightDecay, amsgrad }: AdamSettings): AdamSettings {
    const what = this.type;
    checkNonNegative(lr, `${what}: lr`);
    checkNonNegative(eps, `${what}: eps`);
    checkNonNegative(weightDecay, `${what}: weightDecay`);
    checkBoolean(amsgrad, `${what}: amsgrad`);
    const pair: readonly unknown[] = isArray(betas) && betas.length === 2 ? [betas[0], betas[1]] : [];
    if (!(pair.length === 2 && pair.every(isBeta))) {
      throw new ArgumentError(`${what}: betas: got ${show(betas)}, expected two numbers in [0, 1)`);
    }
    return { lr, betas: pair as [number, number], eps, weightDecay, amsgrad };
  }

  protected override stateTensors({ amsgrad }: AdamSettings): readonly string[] {
    return amsgrad ? MOMENTS_AND_LARGEST : MOMENTS;
  }

  protected override knownTensors(): readonly string[] {
    return MOMENTS_AND_LARGEST;
  }

  protected override stateNumbers(): readonly string[] {
    return NUMBERS;
  }

  /** 1 - β^step of both betas: what the moments lack because they start at 0. */
  #corrections(step: number, beta1: number, beta2: number): { correction1: number; correction2: number } {
    const last = this.#last;
    if (last.step !== step || last.beta1 !== beta1 || last.beta2 !== beta2) {
      const correction1 = 1 - integerPower(beta1, step);
      const correction2 = 1 - integerPower(beta2, step);
      this.#last = { step, beta1, beta2, correction1, correction2 };
    }
    return this.#last;
  }

  protected override update(
    { value, grad }: ReadParameter,
    { tensors, numbers }: ParameterState,
    { lr, betas, eps, weightDecay, amsgrad }: AdamSettings,
  ): void {
    const gradientDecay = this.#isDecoupled ? 0 : weightDecay;
    const keep = this.#isDecoupled ? 1 - lr * weightDecay : 1;
    const [beta1, beta2] = betas;
    const { correction1, correction2 } = this.#corrections(++numbers.step, beta1, beta2);
    value.engine.ops.adam(
      value.size,
      value.modify(),
      grad.read(),
      tensors.m.modify(),
      tensors.v.modify(),
      amsgrad ? tensors.vMax.modify() : 0,
      lr / correction1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(correction2),
      eps,
      gradientDecay,
      keep,
    );
  }
}

/**
 * Adam (Kingma and Ba, 2015), as torch.optim.Adam. At step t of a parameter p with gradient g:
 *
 *     g' = g + weightDecay · p
 *     m  = β1 · m + (1 - β1) · g'
 *     v  = β2 · v + (1 - β2) · g'²
 *     p -= lr / (1 - β1^t) · m / (sqrt(v̂ / (1 - β2^t)) + eps)
 *
 * with v̂ = v or, with amsgrad, the largest v so far. m and v start at 0.
 *
 * Throws ArgumentError for an option that is not known or out of range and for no parameters, StateError for a parameter twice or
 * disposed, EngineError for parameters of different engines.
 */
export class Adam extends AdamBase {
  constructor(params: OptimizerParameters<AdamSettings>, options?: AdamOptions) {
    super("Adam", params, options, { defaultDecay: 0, isDecoupled: false });
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW: p = (1 - lr · weightDecay) · p, then Adam's
 * step without weight decay. `weightDecay` is 0.01 by default; the other options and the errors are Adam's.
 */
export class AdamW extends AdamBase {
  constructor(params: OptimizerParameters<AdamSettings>, options?: AdamOptions) {
    super("AdamW", params, options, { defaultDecay: 0.01, isDecoupled: true });
  }
}
