import { checkBoolean, checkFinite, checkNonNegative, checkOptions } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { OptimizerParameters, ReadParameter } from "./groups.js";
import { type LearningRate, Optimizer } from "./optimizer.js";
import type { ParameterState } from "./state.js";

export interface SGDSettings {
  lr: number;
  momentum: number;
  dampening: number;
  nesterov: boolean;
  weightDecay: number;
}

export type SGDOptions = Partial<SGDSettings> & LearningRate;

const OPTIONS = ["lr", "momentum", "dampening", "nesterov", "weightDecay"] as const;

/**
 * torch.optim.SGD:  g' = g + weightDecay · p;  buffer = momentum · buffer + (1 - dampening) · g' (g' at the first step);
 * p -= lr · (nesterov ? g' + momentum · buffer : buffer); without momentum p -= lr · g'.
 *
 * `lr` has no default. Throws ArgumentError for numbers that are not finite and >= 0, nesterov without momentum or with
 * dampening, and no parameters; StateError for a parameter twice.
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
    super(params, { lr: lr as number, momentum, dampening, nesterov, weightDecay });
  }

  protected override typeName(): string {
    return "SGD";
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

  /** Updates with momentum so far: the first of them begins the buffer with the gradient itself. */
  protected override stateNumbers(): readonly string[] {
    return ["momentumSteps"];
  }

  protected override update({ value, grad }: ReadParameter, state: ParameterState, settings: SGDSettings): void {
    const { lr, momentum, dampening, nesterov, weightDecay } = settings;
    const buffer = momentum === 0 ? 0 : state.tensors.buffer.storage.offset;
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
