import { checkBoolean, checkNonNegative, checkOptions, show } from "./checks.js";
import { ArgumentError, EngineError, StateError } from "./errors.js";
import { type Parameter, zeroGradients } from "./layers/layer.js";
import { newTensor, sameShape, Tensor } from "./tensor.js";

/** Parameters with settings of their own; what is not given comes from the optimizer's options. */
export type ParameterGroup<Settings> = { params: readonly Parameter[] } & Partial<Settings>;

/** A group as the optimizer holds it: mutable, read at every step. */
export type Group<Settings> = { params: Parameter[] } & Settings;

interface LearningRate {
  lr: number;
}

/**
 * What optimizers share: groups, checks, state by parameter. A subclass gives its settings' check, the state of a parameter and
 * the update.
 */
abstract class Optimizer<Settings extends LearningRate, State> {
  /** The groups with their settings, which may be changed between steps. */
  readonly groups: Group<Settings>[];
  readonly #states = new Map<Tensor, State>();
  protected readonly name: string;

  constructor(name: string, params: readonly Parameter[] | readonly ParameterGroup<Settings>[], defaults: Settings) {
    this.name = name;
    this.groups = readGroups(name, params, defaults);
    for (const group of this.groups) this.checkSettings(group);
  }

  /** Throws an ArgumentError for settings that the formula has no meaning for. */
  protected abstract checkSettings(settings: Settings): void;

  /** State of zeros for a parameter at its first step. */
  protected abstract createState(parameter: Parameter, settings: Settings): State;

  protected abstract update(parameter: Parameter, state: State, settings: Settings): void;

  /** Tensors that a setting asks for after the first step (amsgrad switched on). */
  protected completeState(_state: State, _parameter: Parameter, _settings: Settings): void {}

  /** The learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    return this.groups[0].lr;
  }

  set lr(value: number) {
    checkNonNegative(value, `${this.name}: lr`);
    for (const group of this.groups) group.lr = value;
  }

  /** One update of every parameter by its gradient. Settings, tensors and memory are checked before anything is written. */
  step(): void {
    for (const group of this.groups) {
      this.checkSettings(group);
      for (const { value, grad } of group.params) {
        value.assertUsable();
        grad.assertUsable();
      }
    }
    for (const group of this.groups) for (const parameter of group.params) this.#stateOf(parameter, group);
    for (const group of this.groups) {
      for (const parameter of group.params) {
        parameter.value.storage.version++;
        this.update(parameter, this.#states.get(parameter.value)!, group);
      }
    }
  }

  #stateOf(parameter: Parameter, settings: Settings): void {
    const state = this.#states.get(parameter.value);
    if (state === undefined) this.#states.set(parameter.value, this.createState(parameter, settings));
    else this.completeState(state, parameter, settings);
  }

  /** Makes the gradients of its parameters zero; they may only be marked so, and are written when they are read. */
  zeroGrad(): void {
    for (const group of this.groups) zeroGradients(group.params);
  }
}

function readGroups<Settings extends LearningRate>(
  name: string,
  params: readonly Parameter[] | readonly ParameterGroup<Settings>[],
  defaults: Settings,
): Group<Settings>[] {
  if (!Array.isArray(params))
    throw new ArgumentError(`${name}: got ${show(params)}, expected parameters or groups of them`);
  const isGrouped = params.length > 0 && "params" in Object(params[0]);
  const groups = (isGrouped ? params : [{ params }]) as readonly ParameterGroup<Settings>[];
  const seen = new Set<Tensor>();
  const result = groups.map((group) => {
    if (!Array.isArray(Object(group).params)) {
      throw new ArgumentError(`${name}: got ${show(group)}, expected a group { params: [...] }`);
    }
    const settings: Settings = { ...defaults };
    for (const key of Object.keys(defaults) as (keyof Settings)[]) {
      const own = (group as Partial<Settings>)[key];
      if (own !== undefined) settings[key] = own as Settings[keyof Settings];
    }
    for (const parameter of group.params) checkParameter(name, parameter, seen);
    return { ...settings, params: [...group.params] };
  });
  if (seen.size === 0) throw new ArgumentError(`${name}: got no parameters, expected at least one`);
  return result;
}

function checkParameter(name: string, parameter: Parameter, seen: Set<Tensor>): void {
  const { value, grad } = Object(parameter) as Partial<Parameter>;
  if (!(value instanceof Tensor) || !(grad instanceof Tensor) || !sameShape(value.shape, grad.shape)) {
    throw new ArgumentError(
      `${name}: got ${show(parameter)}, expected parameters { name, value, grad } with tensors of one shape`,
    );
  }
  value.assertUsable();
  grad.assertUsable();
  if (value.engine !== grad.engine)
    throw new EngineError(`${name}: ${parameter.name}: value and grad are of different engines`);
  if (seen.has(value)) throw new StateError(`${name}: the parameter ${parameter.name} is there twice`);
  seen.add(value);
}

/** A tensor like the parameter's value, of zeros. */
function zerosLike({ value }: Parameter): Tensor {
  const zeros = newTensor(value.engine, value.shape);
  return zeros.fill_(0);
}

export interface SGDSettings {
  lr: number;
  momentum: number;
  dampening: number;
  nesterov: boolean;
  weightDecay: number;
}

export type SGDOptions = Partial<SGDSettings> & LearningRate;

/**
 * torch.optim.SGD:  g' = g + weightDecay · p;  buffer = momentum · buffer + (1 - dampening) · g' (g' at the first step);
 * p -= lr · (nesterov ? g' + momentum · buffer : buffer); without momentum p -= lr · g'.
 *
 * `lr` has no default. Throws ArgumentError for numbers that are not finite and >= 0, nesterov without momentum or with
 * dampening, and no parameters; StateError for a parameter twice.
 */
export class SGD extends Optimizer<SGDSettings, { buffer: Tensor | undefined; isFirst: boolean }> {
  constructor(params: readonly Parameter[] | readonly ParameterGroup<SGDSettings>[], options: SGDOptions) {
    const { lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = checkOptions(options, "SGD");
    super("SGD", params, { lr: lr as number, momentum, dampening, nesterov, weightDecay });
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

  protected override createState(parameter: Parameter, { momentum }: SGDSettings) {
    return {
      buffer: momentum === 0 ? undefined : newTensor(parameter.value.engine, parameter.value.shape),
      isFirst: true,
    };
  }

  protected override completeState(
    state: { buffer: Tensor | undefined; isFirst: boolean },
    { value }: Parameter,
    { momentum }: SGDSettings,
  ): void {
    if (momentum !== 0) state.buffer ??= newTensor(value.engine, value.shape);
  }

  protected override update(
    { value, grad }: Parameter,
    state: { buffer: Tensor | undefined; isFirst: boolean },
    { lr, momentum, dampening, nesterov, weightDecay }: SGDSettings,
  ): void {
    const buffer = momentum === 0 ? undefined : state.buffer;
    const isFirst = buffer !== undefined && state.isFirst;
    value.engine.ops.sgd(
      value.size,
      value.read(),
      grad.read(),
      buffer?.storage.offset ?? 0,
      lr,
      weightDecay,
      momentum,
      isFirst ? 0 : momentum,
      isFirst ? 1 : 1 - dampening,
      nesterov,
    );
    if (isFirst) state.isFirst = false;
  }
}

export interface AdamSettings {
  lr: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  amsgrad: boolean;
}

export type AdamOptions = Partial<AdamSettings>;

interface AdamState {
  m: Tensor;
  v: Tensor;
  vMax: Tensor | undefined;
  /** β1^t and β2^t as running products: powers would ask the host. */
  power1: number;
  power2: number;
}

/**
 * torch.optim.Adam (Kingma and Ba, 2015):  g' = g + weightDecay · p;  m = β1 m + (1 - β1) g';  v = β2 v + (1 - β2) g'²;
 * p -= lr / (1 - β1^t) · m / (sqrt(v̂ / (1 - β2^t)) + eps), v̂ = v or, with amsgrad, the largest v so far.
 *
 * Throws ArgumentError for numbers that are not finite and >= 0, betas outside [0, 1) and no parameters; StateError for a
 * parameter twice.
 */
export class Adam extends Optimizer<AdamSettings, AdamState> {
  constructor(params: readonly Parameter[] | readonly ParameterGroup<AdamSettings>[], options?: AdamOptions) {
    const {
      lr = 1e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0,
      amsgrad = false,
    } = checkOptions(options, "Adam");
    super("Adam", params, { lr, betas, eps, weightDecay, amsgrad });
  }

  protected override checkSettings({ lr, betas, eps, weightDecay, amsgrad }: AdamSettings): void {
    checkNonNegative(lr, "Adam: lr");
    checkNonNegative(eps, "Adam: eps");
    checkNonNegative(weightDecay, "Adam: weightDecay");
    checkBoolean(amsgrad, "Adam: amsgrad");
    const areBetas = Array.isArray(betas) && betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
    if (!areBetas) throw new ArgumentError(`Adam: betas: got ${show(betas)}, expected two numbers in [0, 1)`);
  }

  protected override createState(parameter: Parameter, { amsgrad }: AdamSettings): AdamState {
    return {
      m: zerosLike(parameter),
      v: zerosLike(parameter),
      vMax: amsgrad ? zerosLike(parameter) : undefined,
      power1: 1,
      power2: 1,
    };
  }

  protected override completeState(state: AdamState, parameter: Parameter, { amsgrad }: AdamSettings): void {
    if (amsgrad) state.vMax ??= zerosLike(parameter);
  }

  protected override update({ value, grad }: Parameter, state: AdamState, settings: AdamSettings): void {
    const { lr, betas, eps, weightDecay, amsgrad } = settings;
    const [beta1, beta2] = betas;
    state.power1 *= beta1;
    state.power2 *= beta2;
    value.engine.ops.adam(
      value.size,
      value.read(),
      grad.read(),
      state.m.storage.offset,
      state.v.storage.offset,
      amsgrad ? state.vMax!.storage.offset : 0,
      lr / (1 - state.power1),
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - state.power2),
      eps,
      weightDecay,
      1,
    );
  }
}
