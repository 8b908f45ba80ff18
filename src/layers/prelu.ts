import { checkOptions, checkSize } from "../checks.js";
import { engineFrom } from "../engine.js";
import type { Floats } from "../host-types.js";
import { ActivationLayer } from "./activation-layer.js";
import { createParameters } from "./built-in-layer.js";
import type { LayerOptions, Parameter } from "./layer.js";
import { SlopeActivation, type SlopeOptions, slopeSettings } from "./slopes.js";

/** What PReLU takes. */
export interface PReLUOptions extends LayerOptions, SlopeOptions {
  /** 1 (the default) shares one slope, otherwise the number of channels. */
  numParameters?: number;
}

const OPTIONS = ["engine", "numParameters", "init", "constraint", "penalty"] as const;

/**
 * y = x where x > 0, a x elsewhere, with trainable slopes a (torch.nn.PReLU; He et al., 2015). x: any shape with one slope;
 * [N, C, ...] or [C] with numParameters = C. A NaN takes the slope's side.
 * Parameter `weight` [numParameters]; dL/da_c = Σ over x <= 0 of dy · x. Throws ArgumentError for a numParameters that is no integer >= 1.
 */
export class PReLU extends ActivationLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  declare readonly activation: SlopeActivation;

  constructor(options?: PReLUOptions) {
    const settings = checkOptions(options, OPTIONS, "PReLU");
    const { numParameters = 1 } = settings;
    checkSize(numParameters, "PReLU: numParameters");
    const slopes = slopeSettings(settings, "PReLU");
    const engine = engineFrom(settings);
    const [slope] = createParameters(engine, [["weight", [numParameters]]]);
    super(new SlopeActivation(slope, slopes), { engine });
  }

  /** The trained β: the slopes themselves without a constraint. */
  get weight(): Parameter {
    return this.activation.slope;
  }

  /** The slopes in effect, a copy. */
  slopes(): Floats {
    this.assertUsable();
    return this.activation.slopes();
  }

  override constraints(): Record<string, string> {
    return this.activation.constraints();
  }

  override get type(): string {
    return "PReLU";
  }

  override describe(): string {
    return this.activation.count === 1 ? "PReLU()" : `PReLU(${this.activation.count})`;
  }
}
