import { checkOptions } from "../checks.js";
import { ReluActivation } from "./activation.js";
import { ActivationLayer } from "./elementwise.js";
import type { LayerOptions } from "./layer.js";

/** y = max(0, x) (torch.nn.ReLU): 0 where x <= 0, and x elsewhere, so that NaN stays; dx = dy there and 0 where x <= 0. */
export class ReLU extends ActivationLayer {
  constructor(options?: LayerOptions) {
    super(new ReluActivation(), checkOptions(options, "ReLU"));
  }

  override get type(): string {
    return "ReLU";
  }

  override describe(): string {
    return "ReLU()";
  }
}
