import { checkBoolean, checkNonNegative, checkOptions } from "../checks.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

/** What `groups` of RMSprop hold beside their parameters. */
export interface RMSpropSettings {
  /** The learning rate, finite and >= 0; default 0.01. */
  lr: number;
  /** How much the mean of the squared gradient keeps at a step, finite and >= 0; default 0.99. */
  alpha: number;
  /** Added to the root that is divided by, finite and >= 0; default 1e-8. */
  eps: number;
  /** Adds weightDecay · p to the gradient, finite and >= 0; default 0. */
  weightDecay: number;
  /** How much the buffer of updates keeps at a step, finite and >= 0; default 0: no buffer. */
  momentum: number;
  /** Divides by the gradient's standard deviation instead of its root mean square (Graves, 2013); default false. */
  centered: boolean;
}

/** RMSprop's settings, each with its default. */
export type RMSpropOptions = Partial<RMSpropSettings>;

const OPTIONS = ["lr", "alpha", "eps", "weightDecay", "momentum", "centered"] as const;

/**
 * RMSprop (Tieleman and Hinton, 2012), as torch.optim.RMSprop. For a parameter p with gradient g:
 *
 *     g' = g + weightDecay · p
 *     v  = alpha · v + (1 - alpha) · g'²
 *     d  = g' / (sqrt(v̂) + eps)
 *     p -= lr · d, or with momentum lr · b, where b = momentum · b + d
 *
 * with v̂ = v or, if centered, v - a², where a = alpha · a + (1 - alpha) · g'. v, a and b start at 0.
 *
 * Throws as Adam does.
 */
export class RMSprop extends Optimizer<RMSpropSettings> {
  constructor(params: OptimizerParameters<RMSpropSettings>, options?: RMSpropOptions) {
    const settings = checkOptions(options, OPTIONS, "RMSprop");
    const { lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0, centered = false } = settings;
    super("RMSprop", params, { lr, alpha, eps, weightDecay, momentum, centered });
  }

  protected override readSettings(settings: RMSpropSettings): RMSpropSettings {
    const { lr, alpha, eps, weightDecay, momentum, centered } = settings;
    checkNonNegative(lr, "RMSprop: lr");
    checkNonNegative(alpha, "RMSprop: alpha");
    checkNonNegative(eps, "RMSprop: eps");
    checkNonNegative(weightDecay, "RMSprop: weightDecay");
    checkNonNegative(momentum, "RMSprop: momentum");
    checkBoolean(centered, "RMSprop: centered");
    return { lr, alpha, eps, weightDecay, momentum, centered };
  }

  protected override stateTensors({ centered, momentum }: RMSpropSettings): readonly string[] {
    return ["v", ...(centered ? ["average"] : []), ...(momentum > 0 ? ["buffer"] : [])];
  }

  protected override knownTensors(): readonly string[] {
    return ["v", "average", "buffer"];
  }

  protected override stateNumbers(): readonly string[] {
    return [];
  }

  protected override update(
    { value, grad }: ReadParameter,
    { tensors }: ParameterState,
    settings: RMSpropSettings,
  ): void {
    const { lr, alpha, eps, weightDecay, momentum, centered } = settings;
    value.engine.ops.rmsprop(
      value.size,
      value.modify(),
      grad.read(),
      tensors.v.modify(),
      centered ? tensors.average.modify() : 0,
      momentum > 0 ? tensors.buffer.modify() : 0,
      lr,
      alpha,
      1 - alpha,
      eps,
      weightDecay,
      momentum,
    );
  }
}
