import { checkOptions } from "../checks.js";
import { engineFrom } from "../engine.js";
import { fillUniform } from "../tensor.js";
import { createParameters } from "./built-in-layer.js";
import { DenseLayer, DenseMap, denseParameterShapes } from "./dense.js";
import type { LayerOptions, Parameter } from "./layer.js";

/** What Linear takes beside its sizes. */
export interface LinearOptions extends LayerOptions {
  /** Whether b is added; default true. */
  bias?: boolean;
}

const OPTIONS = ["engine", "bias"] as const;

/**
 * y = x · Wᵀ + b (torch.nn.Linear). x: [N, inFeatures] or [inFeatures]; y: [N, outFeatures] or [outFeatures].
 * Parameters `weight` [outFeatures, inFeatures] and `bias` [outFeatures], both drawn from U(±1/sqrt(inFeatures)) as in PyTorch.
 * Throws ArgumentError for sizes that are not integers >= 1; forward throws ShapeError for an x of another shape.
 */
export class Linear extends DenseLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  constructor(inFeatures: number, outFeatures: number, options?: LinearOptions) {
    const settings = checkOptions(options, OPTIONS, "Linear");
    const { bias: hasBias = true } = settings;
    const shapes = denseParameterShapes(inFeatures, outFeatures, hasBias, "Linear");
    const engine = engineFrom(settings);
    const [weight, bias] = createParameters(engine, shapes) as [Parameter, Parameter?];
    super(new DenseMap(weight, bias));
    const bound = 1 / Math.sqrt(inFeatures);
    for (const { value } of this.parameters()) fillUniform(value, bound);
  }

  override get type(): string {
    return "Linear";
  }

  override describe(): string {
    return `Linear(${this.inFeatures}, ${this.outFeatures})`;
  }
}
