import { checkFinite, checkOptions, checkSize } from "../checks.js";
import { engineFrom } from "../engine.js";
import { SlopeActivation } from "./activation.js";
import { createParameters } from "./core.js";
import { ActivationLayer } from "./elementwise.js";
import type { LayerOptions } from "./layer.js";

export interface PReLUOptions extends LayerOptions {
  /** 1 (the default) shares one slope, otherwise the number of channels. */
  numParameters?: number;
  /** The slope at the start. */
  init?: number;
}

/**
 * y = x where x > 0, a x elsewhere, with trainable slopes a (torch.nn.PReLU; He et al., 2015). x: any shape with one slope;
 * [N, C, ...] or [C] with numParameters = C. A NaN takes the slope's side.
 * Parameter `weight` [numParameters]; dL/da_c = Σ over x <= 0 of dy · x. Throws ArgumentError for a numParameters that is no integer >= 1.
 */
export class PReLU extends ActivationLayer {
  declare readonly activation: SlopeActivation;

  constructor(options?: PReLUOptions) {
    const settings = checkOptions(options, "PReLU");
    const { numParameters = 1, init = 0.25 } = settings;
    checkSize(numParameters, "PReLU: numParameters");
    checkFinite(init, "PReLU: init");
    const engine = engineFrom(settings);
    const [slope] = createParameters(engine, [["weight", [numParameters]]]);
    super(new SlopeActivation(slope, init), { engine });
  }

  /** The slopes in effect, a copy. */
  slopes(): Float32Array {
    this.assertUsable();
    return this.activation.slopes();
  }

  override get type(): string {
    return "PReLU";
  }

  override describe(): string {
    return this.activation.count === 1 ? "PReLU()" : `PReLU(${this.activation.count})`;
  }
}
