import { checkFinite, checkOptions } from "../checks.js";
import { engineFrom } from "../engine.js";
import { fillNormal } from "../tensor.js";
import { createParameters } from "./built-in-layer.js";
import { DenseLayer, DenseMap, denseParameterShapes } from "./dense.js";
import { EluActivation } from "./elu.js";
import type { LayerOptions, Parameter } from "./layer.js";

/** What LinearELU takes beside its sizes. */
export interface LinearELUOptions extends LayerOptions {
  /** Whether b is added; default true. */
  bias?: boolean;
  /** What y tends to where s goes to -Infinity, negated; default 1. */
  alpha?: number;
}

const OPTIONS = ["engine", "bias", "alpha"] as const;

/**
 * The fused module of Linear and ELU (Clevert et al., 2016): s = x · Wᵀ + b, y_k = s_k where s_k > 0, alpha · (exp(s_k) - 1) elsewhere.
 * x: [N, inFeatures] or [inFeatures]; y: [N, outFeatures] or [outFeatures].
 *
 * Parameters `weight` [outFeatures, inFeatures], drawn from N(0, 2 / inFeatures), and `bias` [outFeatures], 0. Throws ArgumentError
 * for sizes that are not integers >= 1 and an alpha that is not finite; forward throws ShapeError for an x of another shape.
 */
export class LinearELU extends DenseLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  /** What y tends to where s goes to -Infinity, negated. */
  readonly alpha: number;

  constructor(inFeatures: number, outFeatures: number, options?: LinearELUOptions) {
    const settings = checkOptions(options, OPTIONS, "LinearELU");
    const { bias: hasBias = true, alpha: givenAlpha = 1 } = settings;
    const shapes = denseParameterShapes(inFeatures, outFeatures, hasBias, "LinearELU");
    const alpha = checkFinite(givenAlpha, "LinearELU: alpha");
    const engine = engineFrom(settings);
    const [weight, bias] = createParameters(engine, shapes) as [Parameter, Parameter?];
    super(new DenseMap(weight, bias), new EluActivation(alpha));
    this.alpha = alpha;
    fillNormal(weight.value, Math.sqrt(2 / inFeatures));
  }

  override get type(): string {
    return "LinearELU";
  }

  override describe(): string {
    return `LinearELU(${this.inFeatures}, ${this.outFeatures})`;
  }
}
