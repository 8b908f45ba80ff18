import { checkBoolean, checkNonNegative, checkOptions, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { Optimizer, type OptimizerParameters, type ParameterState } from "./optimizer.js";

export interface AdamSettings {
  lr: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  amsgrad: boolean;
}

export type AdamOptions = Partial<AdamSettings>;

const OPTIONS = ["lr", "betas", "eps", "weightDecay", "amsgrad"] as const;

const isBeta = (beta: unknown): boolean => typeof beta === "number" && beta >= 0 && beta < 1;

function adamSettings(options: AdamOptions | undefined, name: string, defaultDecay: number): AdamSettings {
  const given = checkOptions(options, OPTIONS, name);
  const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = defaultDecay, amsgrad = false } = given;
  return { lr, betas, eps, weightDecay, amsgrad };
}

/** What Adam and AdamW share; weight decay acts on the gradient there and on the parameter here. */
abstract class AdamBase extends Optimizer<AdamSettings> {
  protected override checkSettings({ lr, betas, eps, weightDecay, amsgrad }: AdamSettings): void {
    checkNonNegative(lr, `${this.typeName()}: lr`);
    checkNonNegative(eps, `${this.typeName()}: eps`);
    checkNonNegative(weightDecay, `${this.typeName()}: weightDecay`);
    checkBoolean(amsgrad, `${this.typeName()}: amsgrad`);
    const areBetas = Array.isArray(betas) && betas.length === 2 && betas.every(isBeta);
    if (!areBetas)
      throw new ArgumentError(`${this.typeName()}: betas: got ${show(betas)}, expected two numbers in [0, 1)`);
  }

  protected override stateTensors({ amsgrad }: AdamSettings): readonly string[] {
    return amsgrad ? ["m", "v", "vMax"] : ["m", "v"];
  }

  protected override knownTensors(): readonly string[] {
    return ["m", "v", "vMax"];
  }

  /** β1^t and β2^t as running products: powers would ask the host. */
  protected override initialNumbers(): Record<string, number> {
    return { power1: 1, power2: 1 };
  }

  /** `gradientDecay` joins the gradient, `keep` scales the parameter. */
  protected move(
    { value, grad }: Parameter,
    { tensors, numbers }: ParameterState,
    { lr, betas: [beta1, beta2], eps, amsgrad }: AdamSettings,
    gradientDecay: number,
    keep: number,
  ): void {
    numbers.power1 *= beta1;
    numbers.power2 *= beta2;
    value.engine.ops.adam(
      value.size,
      value.read(),
      grad.read(),
      tensors.m.storage.offset,
      tensors.v.storage.offset,
      amsgrad ? tensors.vMax.storage.offset : 0,
      lr / (1 - numbers.power1),
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - numbers.power2),
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

  protected override update(parameter: Parameter, state: ParameterState, settings: AdamSettings): void {
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

  protected override update(parameter: Parameter, state: ParameterState, settings: AdamSettings): void {
    this.move(parameter, state, settings, 0, 1 - settings.lr * settings.weightDecay);
  }
}
