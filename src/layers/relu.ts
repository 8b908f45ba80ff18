import { checkOptions } from "../checks.js";
import type { Tensor } from "../tensor.js";
import { FixedActivation } from "./activation.js";
import { ActivationLayer } from "./activation-layer.js";
import { LAYER_OPTIONS, type LayerOptions } from "./layer.js";

class ReluActivation extends FixedActivation {
  forward(s: Tensor, y: Tensor): void {
    s.engine.ops.relu(s.size, s.read(), y.overwrite());
  }

  protected mask(s: Tensor, dy: Tensor, ds: Tensor): void {
    s.engine.ops.reluBackward(s.size, s.read(), dy.read(), ds.overwrite());
  }
}

/**
 * y = max(0, x) (torch.nn.ReLU), x of any shape: 0 where x < 0 and x elsewhere, so that NaN stays; dx = dy, and 0 where x <= 0.
 */
export class ReLU extends ActivationLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  constructor(options?: LayerOptions) {
    super(new ReluActivation(), checkOptions(options, LAYER_OPTIONS, "ReLU"));
  }

  override get type(): string {
    return "ReLU";
  }

  override describe(): string {
    return "ReLU()";
  }
}
