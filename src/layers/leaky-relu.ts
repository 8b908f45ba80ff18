import { checkFinite, checkOptions } from "../checks.js";
import { type Engine, engineFrom } from "../engine.js";
import { newTensor, type Tensor } from "../tensor.js";
import { FixedActivation } from "./activation.js";
import { ActivationLayer } from "./activation-layer.js";
import type { LayerOptions } from "./layer.js";

/** What LeakyReLU takes. */
export interface LeakyReLUOptions extends LayerOptions {
  /** The slope where x <= 0; default 0.01. */
  negativeSlope?: number;
}

/** PReLU's kernels with one slope that nobody trains. */
class LeakyActivation extends FixedActivation {
  readonly #slope: Tensor;

  constructor(engine: Engine, negativeSlope: number) {
    super();
    this.#slope = newTensor(engine, [1], true).fill_(negativeSlope);
  }

  forward(s: Tensor, y: Tensor): void {
    s.engine.ops.prelu(1, 1, s.size, s.read(), this.#slope.read(), y.overwrite());
  }

  protected mask(s: Tensor, dy: Tensor, ds: Tensor): void {
    const slope = this.#slope.read();
    const { ops } = s.engine;
    ops.preluBackward(1, 1, s.size, s.read(), dy.read(), slope, ds.overwrite(), 0, false, 0, false);
  }

  override dispose(): void {
    this.#slope.discard();
  }
}

const OPTIONS = ["engine", "negativeSlope"] as const;

/**
 * y = x where x > 0, negativeSlope · x elsewhere (torch.nn.LeakyReLU), x of any shape; dx likewise. A NaN takes the slope's side.
 * Throws ArgumentError for a slope that is not finite.
 */
export class LeakyReLU extends ActivationLayer {
  /** Own to this class, not to those derived from it. @internal */
  static readonly isOurs = true;

  /** The slope where x <= 0. */
  readonly negativeSlope: number;

  constructor(options?: LeakyReLUOptions) {
    const settings = checkOptions(options, OPTIONS, "LeakyReLU");
    const { negativeSlope = 0.01 } = settings;
    checkFinite(negativeSlope, "LeakyReLU: negativeSlope");
    const engine = engineFrom(settings);
    super(new LeakyActivation(engine, negativeSlope), { engine });
    this.negativeSlope = negativeSlope;
  }

  override get type(): string {
    return "LeakyReLU";
  }

  override describe(): string {
    return "LeakyReLU()";
  }
}
