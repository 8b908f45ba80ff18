import { checkBoolean, checkNonNegative, checkOptions, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { type LearningRate, Optimizer, type OptimizerParameters, type ParameterState } from "./optimizer.js";

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

  protected override checkSettings({ lr, momentum, dampening, nesterov, weightDecay }: SGDSettings): void {
    checkNonNegative(lr, "SGD: lr");
    checkNonNegative(momentum, "SGD: momentum");
    checkNonNegative(weightDecay, "SGD: weightDecay");
    if (typeof dampening !== "number" || !Number.isFinite(dampening)) {
      throw new ArgumentError(`SGD: dampening: got ${show(dampening)}, expected a finite number`);
    }
    checkBoolean(nesterov, "SGD: nesterov");
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new ArgumentError(
        `SGD: nesterov: got momentum ${momentum} and dampening ${dampening}, expected momentum > 0 and no dampening`,
      );
    }
  }

  protected override stateTensors({ momentum }: SGDSettings): readonly string[] {
    return momentum === 0 ? [] : ["buffer"];
  }

  protected override knownTensors(): readonly string[] {
    return ["buffer"];
  }

  protected override initialNumbers(): Record<string, number> {
    return { momentumSteps: 0 };
  }

  protected override update({ value, grad }: Parameter, state: ParameterState, settings: SGDSettings): void {
    const { lr, momentum, dampening, nesterov, weightDecay } = settings;
    const buffer = momentum === 0 ? 0 : state.tensors.buffer.storage.offset;
    const isFirst = buffer !== 0 && state.numbers.momentumSteps === 0;
    value.engine.ops.sgd(
      value.size,
      value.read(),
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
