import { checkBoolean, checkFinite, checkNonNegative, checkOptions } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { type LearningRate, Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

/** What `groups` of SGD hold beside their parameters. */
export interface SGDSettings {
  /** The learning rate, finite and >= 0; no default. */
  lr: number;
  /** How much the buffer of gradients keeps at a step, finite and >= 0; default 0: no buffer. */
  momentum: number;
  /** How much less than 1 the gradient counts in the buffer, finite; default 0. */
  dampening: number;
  /** Nesterov's momentum (Sutskever et al., 2013), for momentum > 0 and no dampening; default false. */
  nesterov: boolean;
  /** Adds weightDecay · p to the gradient, finite and >= 0; default 0. */
  weightDecay: number;
}

/** SGD's settings: `lr`, and the others, each with its default. */
export type SGDOptions = Partial<SGDSettings> & LearningRate;

const OPTIONS = ["lr", "momentum", "dampening", "nesterov", "weightDecay"] as const;

/**
 * Stochastic gradient descent, with momentum if wanted, as torch.optim.SGD. For a parameter p with gradient g:
 *
 *     g' = g + weightDecay · p
 *     p -= lr · g'                                              without momentum
 *     buffer = momentum · buffer + (1 - dampening) · g'         with momentum; g' at the first step
 *     p -= lr · (nesterov ? g' + momentum · buffer : buffer)
 *
 * Throws as Adam does, and ArgumentError for a missing `lr` and for nesterov without momentum or with dampening.
 */
export class SGD extends Optimizer<SGDSettings> {
  constructor(params: OptimizerParameters<SGDSettings>, options: SGDOptions) {
    const {
      lr,
      momentum = 0,
      dampening = 0,
      nesterov = false,
      weightDecay = 0,
    } = checkOptions(options, OPTIONS, "SGD");
    super("SGD", params, { lr: lr as number, momentum, dampening, nesterov, weightDecay });
  }

  protected override readSettings({ lr, momentum, dampening, nesterov, weightDecay }: SGDSettings): SGDSettings {
    checkNonNegative(lr, "SGD: lr");
    checkNonNegative(momentum, "SGD: momentum");
    checkNonNegative(weightDecay, "SGD: weightDecay");
    checkFinite(dampening, "SGD: dampening");
    checkBoolean(nesterov, "SGD: nesterov");
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new ArgumentError(
        `SGD: nesterov: got momentum ${momentum} and dampening ${dampening}, expected momentum > 0 and no dampening`,
      );
    }
    return { lr, momentum, dampening, nesterov, weightDecay };
  }

  protected override stateTensors({ momentum }: SGDSettings): readonly string[] {
    return momentum === 0 ? [] : ["buffer"];
  }

  protected override knownTensors(): readonly string[] {
    return ["buffer"];
  }

  /** Updates with momentum so far: at the first one the buffer becomes the gradient itself. */
  protected override stateNumbers(): readonly string[] {
    return ["momentumSteps"];
  }

  protected override update({ value, grad }: ReadParameter, state: ParameterState, settings: SGDSettings): void {
    const { lr, momentum, dampening, nesterov, weightDecay } = settings;
    const buffer = momentum === 0 ? 0 : state.tensors.buffer.modify();
    const isFirst = buffer !== 0 && state.numbers.momentumSteps === 0;
    value.engine.ops.sgd(
      value.size,
      value.modify(),
      grad.read(),
      buffer,
      lr,
      weightDecay,
      momentum,
      isFirst ? 0 : momentum,
      isFirst ? 1 : 1 - dampening,
      nesterov,
    );
    if (buffer !== 0) state.numbers.momentumSteps++;
  }
}
