import { checkFinite, checkOptions } from "../checks.js";
import type { Tensor } from "../tensor.js";
import { FixedActivation } from "./activation.js";
import { ActivationLayer } from "./activation-layer.js";
import type { LayerOptions } from "./layer.js";

/** What ELU takes. */
export interface ELUOptions extends LayerOptions {
  /** What y tends to at -Infinity, negated; default 1. */
  alpha?: number;
}

export class EluActivation extends FixedActivation {
  constructor(readonly alpha: number) {
    super();
  }

  forward(s: Tensor, y: Tensor): void {
    s.engine.ops.elu(s.size, s.read(), this.alpha, y.overwrite());
  }

  protected mask(s: Tensor, dy: Tensor, ds: Tensor): void {
    s.engine.ops.eluBackward(s.size, s.read(), dy.read(), this.alpha, ds.overwrite());
  }
}

const OPTIONS = ["engine", "alpha"] as const;

/**
 * y = x where x > 0, alpha · (exp(x) - 1) elsewhere (torch.nn.ELU; Clevert et al., 2016), x of any shape; dx = dy where x > 0,
 * dy · alpha · exp(x) elsewhere. Near 0 it has expm1's relative accuracy. Throws ArgumentError for an alpha that is not finite.
 */
export class ELU extends ActivationLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  declare readonly activation: EluActivation;

  constructor(options?: ELUOptions) {
    const settings = checkOptions(options, OPTIONS, "ELU");
    const { alpha = 1 } = settings;
    super(new EluActivation(checkFinite(alpha, "ELU: alpha")), settings);
  }

  /** What y tends to at -Infinity, negated. */
  get alpha(): number {
    return this.activation.alpha;
  }

  override get type(): string {
    return "ELU";
  }

  override describe(): string {
    return "ELU()";
  }
}
