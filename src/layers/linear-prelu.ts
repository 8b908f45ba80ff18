import { checkOptions, show } from "../checks.js";
import { engineFrom } from "../engine.js";
import { ArgumentError } from "../errors.js";
import type { Floats } from "../host-types.js";
import { fillNormal } from "../tensor.js";
import { createParameters } from "./built-in-layer.js";
import { DenseLayer, DenseMap, denseParameterShapes } from "./dense.js";
import type { LayerOptions, Parameter } from "./layer.js";
import { SlopeActivation, type SlopeOptions, slopeSettings } from "./slopes.js";

/** What LinearPReLU takes beside its sizes. */
export interface LinearPReLUOptions extends LayerOptions, SlopeOptions {
  /** Whether b is added; default true. */
  bias?: boolean;
  /** 1 shares one slope, outFeatures (the default) gives each unit its own. */
  numParameters?: number;
}

const OPTIONS = ["engine", "bias", "numParameters", "init", "constraint", "penalty"] as const;

/**
 * The fused module of Linear and PReLU: s = x · Wᵀ + b, y_k = s_k where s_k > 0, a_k s_k elsewhere.
 * x: [N, inFeatures] or [inFeatures]; y: [N, outFeatures] or [outFeatures].
 *
 * Parameters `weight` [outFeatures, inFeatures], drawn from N(0, 2 / (inFeatures (1 + a²))) (He et al., 2015); `bias`
 * [outFeatures], 0; `slope` [numParameters]. Throws ArgumentError for sizes that are not integers >= 1 and for a numParameters
 * that is neither 1 nor outFeatures; forward throws ShapeError for an x of another shape.
 */
export class LinearPReLU extends DenseLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  readonly #activation: SlopeActivation;

  constructor(inFeatures: number, outFeatures: number, options?: LinearPReLUOptions) {
    const settings = checkOptions(options, OPTIONS, "LinearPReLU");
    const { bias: hasBias = true, numParameters = outFeatures } = settings;
    const shapes = denseParameterShapes(inFeatures, outFeatures, hasBias, "LinearPReLU");
    if (numParameters !== 1 && numParameters !== outFeatures) {
      throw new ArgumentError(`LinearPReLU: numParameters: got ${show(numParameters)}, expected 1 or ${outFeatures}`);
    }
    const slopes = slopeSettings(settings, "LinearPReLU");
    const engine = engineFrom(settings);
    const parameters = createParameters(engine, [...shapes, ["slope", [numParameters]]]);
    const slope = parameters.pop()!;
    const [weight, bias] = parameters as [Parameter, Parameter?];
    const activation = new SlopeActivation(slope, slopes);
    super(new DenseMap(weight, bias), activation);
    this.#activation = activation;
    fillNormal(weight.value, Math.sqrt(2 / (inFeatures * (1 + slopes.init * slopes.init))));
  }

  /** The trained β: the slopes themselves without a constraint. */
  get slope(): Parameter {
    return this.#activation.slope;
  }

  /** The slopes in effect, a copy. */
  slopes(): Floats {
    this.assertUsable();
    return this.#activation.slopes();
  }

  override constraints(): Record<string, string> {
    return this.#activation.constraints();
  }

  override get type(): string {
    return "LinearPReLU";
  }

  override describe(): string {
    return `LinearPReLU(${this.inFeatures}, ${this.outFeatures})`;
  }
}
