import { checkBoolean, checkNonNegative, checkOptions } from "../checks.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

export interface RMSpropSettings {
  lr: number;
  alpha: number;
  eps: number;
  weightDecay: number;
  momentum: number;
  centered: boolean;
}

export type RMSpropOptions = Partial<RMSpropSettings>;

const OPTIONS = ["lr", "alpha", "eps", "weightDecay", "momentum", "centered"] as const;

/**
 * torch.optim.RMSprop:  g' = g + weightDecay · p;  v = alpha · v + (1 - alpha) · g'²;  d = g' / (sqrt(v̂) + eps), v̂ = v or, centered,
 * v - a² with a = alpha · a + (1 - alpha) · g';  p -= lr · d, or with momentum lr · b, b = momentum · b + d.
 *
 * Throws ArgumentError for numbers that are not finite and >= 0 and no parameters; StateError for a parameter twice.
 */
export class RMSprop extends Optimizer<RMSpropSettings> {
  constructor(params: OptimizerParameters<RMSpropSettings>, options?: RMSpropOptions) {
    const settings = checkOptions(options, OPTIONS, "RMSprop");
    const { lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0, centered = false } = settings;
    super(params, { lr, alpha, eps, weightDecay, momentum, centered });
  }

  protected override typeName(): string {
    return "RMSprop";
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
      tensors.v.storage.offset,
      centered ? tensors.average.storage.offset : 0,
      momentum > 0 ? tensors.buffer.storage.offset : 0,
      lr,
      alpha,
      1 - alpha,
      eps,
      weightDecay,
      momentum,
    );
  }
}
