import { checkBoolean, checkNonNegative, checkOptions, isArray, show } from "../checks.js";
import { integerPower } from "../deterministic-math.js";
import { ArgumentError } from "../errors.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

export interface AdamSettings {
  lr: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  amsgrad: boolean;
}

export type AdamOptions = Partial<AdamSettings>;

const OPTIONS = ["lr", "betas", "eps", "weightDecay", "amsgrad"] as const;

const MOMENTS = ["m", "v"];
const MOMENTS_AND_LARGEST = ["m", "v", "vMax"];
const NUMBERS = ["step"];

const isBeta = (beta: unknown): boolean => typeof beta === "number" && beta >= 0 && beta < 1;

function adamSettings(options: AdamOptions | undefined, name: string, defaultDecay: number): AdamSettings {
  const given = checkOptions(options, OPTIONS, name);
  const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = defaultDecay, amsgrad = false } = given;
  return { lr, betas, eps, weightDecay, amsgrad };
}

/** What Adam and AdamW share; weight decay acts on the gradient there and on the parameter here. */
abstract class AdamBase extends Optimizer<AdamSettings> {
  /** Of the last update: most parameters have gone as many steps as the one before. */
  #last = { step: 0, beta1: 0, beta2: 0, correction1: 1, correction2: 1 };

  protected override readSettings({ lr, betas, eps, weightDecay, amsgrad }: AdamSettings): AdamSettings {
    const what = this.typeName();
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

  /** 1 - β^step of both betas as they are now: what the moments lack for having begun at 0. */
  #corrections(step: number, beta1: number, beta2: number): { correction1: number; correction2: number } {
    const last = this.#last;
    if (last.step !== step || last.beta1 !== beta1 || last.beta2 !== beta2) {
      const correction1 = 1 - integerPower(beta1, step);
      const correction2 = 1 - integerPower(beta2, step);
      this.#last = { step, beta1, beta2, correction1, correction2 };
    }
    return this.#last;
  }

  /** `gradientDecay` joins the gradient, `keep` scales the parameter. */
  protected move(
    { value, grad }: ReadParameter,
    { tensors, numbers }: ParameterState,
    { lr, betas, eps, amsgrad }: AdamSettings,
    gradientDecay: number,
    keep: number,
  ): void {
    const [beta1, beta2] = betas;
    const { correction1, correction2 } = this.#corrections(++numbers.step, beta1, beta2);
    value.engine.ops.adam(
      value.size,
      value.modify(),
      grad.read(),
      tensors.m.storage.offset,
      tensors.v.storage.offset,
      amsgrad ? tensors.vMax.storage.offset : 0,
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
 * torch.optim.Adam (Kingma and Ba, 2015):  g' = g + weightDecay · p;  m = β1 m + (1 - β1) g';  v = β2 v + (1 - β2) g'²;
 * p -= lr / (1 - β1^t) · m / (sqrt(v̂ / (1 - β2^t)) + eps), v̂ = v or, with amsgrad, the largest v so far.
 *
 * Throws ArgumentError for numbers that are not finite and >= 0, betas outside [0, 1) and no parameters; StateError for a
 * parameter twice.
 */
export class Adam extends AdamBase {
  constructor(params: OptimizerParameters<AdamSettings>, options?: AdamOptions) {
    super(params, adamSettings(options, "Adam", 0));
  }

  protected override typeName(): string {
    return "Adam";
  }

  protected override update(parameter: ReadParameter, state: ParameterState, settings: AdamSettings): void {
    this.move(parameter, state, settings, settings.weightDecay, 1);
  }
}

/**
 * torch.optim.AdamW (Loshchilov and Hutter, 2019): p = (1 - lr · weightDecay) · p, then Adam's step without weight decay.
 * Throws like Adam.
 */
export class AdamW extends AdamBase {
  constructor(params: OptimizerParameters<AdamSettings>, options?: AdamOptions) {
    super(params, adamSettings(options, "AdamW", 0.01));
  }

  protected override typeName(): string {
    return "AdamW";
  }

  protected override update(parameter: ReadParameter, state: ParameterState, settings: AdamSettings): void {
    this.move(parameter, state, settings, 0, 1 - settings.lr * settings.weightDecay);
  }
}
