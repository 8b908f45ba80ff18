import { checkNonNegative, show } from "../checks.js";
import { ArgumentError, EngineError, StateError } from "../errors.js";
import { type Parameter, zeroGradients } from "../layers/layer.js";
import { sameShape, Tensor, tensorFrom, zerosTensor } from "../tensor.js";

/** Parameters with settings of their own; what is not given comes from the optimizer's options. */
export type ParameterGroup<Settings> = { params: readonly Parameter[] } & Partial<Settings>;

export type OptimizerParameters<Settings> = readonly Parameter[] | readonly ParameterGroup<Settings>[];

/** A group as the optimizer holds it: mutable, read at every step. */
export type Group<Settings> = { params: Parameter[] } & Settings;

export interface LearningRate {
  lr: number;
}

/** What an optimizer keeps for a parameter: tensors of its shape, and numbers. */
export interface ParameterState {
  readonly tensors: Record<string, Tensor>;
  readonly numbers: Record<string, number>;
}

/** An optimizer's state, to be kept and given back to `loadStateDict`; its content is the optimizer's business. */
export interface OptimizerState {
  readonly type: string;
  readonly groups: readonly {
    readonly settings: Readonly<Record<string, unknown>>;
    readonly states: readonly ({ tensors: Record<string, Float32Array>; numbers: Record<string, number> } | null)[];
  }[];
}

/**
 * What optimizers share: groups, checks, state by parameter. A subclass gives its settings' check, the names of the tensors and
 * numbers that it keeps for a parameter, and the update.
 */
export abstract class Optimizer<Settings extends LearningRate> {
  /** The groups with their settings, which may be changed between steps. */
  readonly groups: Group<Settings>[];
  readonly #states = new Map<Tensor, ParameterState>();

  constructor(params: OptimizerParameters<Settings>, defaults: Settings) {
    this.groups = readGroups(this.typeName(), params, defaults);
    for (const group of this.groups) this.checkSettings(group);
  }

  /** The optimizer's name in messages and states. The constructor above asks for it. */
  protected abstract typeName(): string;

  /** Throws an ArgumentError for settings that the formula has no meaning for. */
  protected abstract checkSettings(settings: Settings): void;

  /** The tensors of state that these settings ask for; they start as zeros. */
  protected abstract stateTensors(settings: Settings): readonly string[];

  /** All tensors of state that any settings may ask for. */
  protected abstract knownTensors(): readonly string[];

  /** The numbers of state at the start. */
  protected abstract initialNumbers(): Record<string, number>;

  protected abstract update(parameter: Parameter, state: ParameterState, settings: Settings): void;

  /** The learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    return this.groups[0].lr;
  }

  set lr(value: number) {
    checkNonNegative(value, `${this.typeName()}: lr`);
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
    this.#prepareStates();
    for (const group of this.groups) {
      for (const parameter of group.params) {
        parameter.value.storage.version++;
        this.update(parameter, this.#states.get(parameter.value)!, group);
      }
    }
  }

  /** Makes what state is missing for this step, or nothing where memory runs out. */
  #prepareStates(): void {
    const made: [state: ParameterState, name: string, tensor: Tensor][] = [];
    const fresh = new Map<Tensor, ParameterState>();
    try {
      for (const group of this.groups) {
        for (const { value } of group.params) {
          const state = this.#states.get(value) ?? { tensors: {}, numbers: this.initialNumbers() };
          for (const name of this.stateTensors(group)) {
            if (!(name in state.tensors)) made.push([state, name, zerosTensor(value.engine, value.shape)]);
          }
          if (!this.#states.has(value)) fresh.set(value, state);
        }
      }
    } catch (error) {
      for (const [, , tensor] of made) tensor.dispose();
      throw error;
    }
    for (const [state, name, tensor] of made) state.tensors[name] = tensor;
    for (const [value, state] of fresh) this.#states.set(value, state);
  }

  /** Makes the gradients of its parameters zero; they may only be marked so, and are written when they are read. */
  zeroGrad(): void {
    for (const group of this.groups) zeroGradients(group.params);
  }

  /** Settings and state, copied out. */
  stateDict(): OptimizerState {
    return {
      type: this.typeName(),
      groups: this.groups.map(({ params, ...settings }) => ({
        settings: structuredClone(settings),
        states: params.map(({ value }) => {
          const state = this.#states.get(value);
          if (state === undefined) return null;
          const tensors = Object.entries(state.tensors).map(([name, tensor]) => [name, tensor.data.slice()]);
          return { tensors: Object.fromEntries(tensors), numbers: { ...state.numbers } };
        }),
      })),
    };
  }

  /**
   * Takes over what `stateDict` gave, of an optimizer of the same type over parameters of the same shapes in the same groups;
   * a StateError otherwise, and nothing is changed.
   */
  loadStateDict(state: OptimizerState): void {
    const problem = this.#mismatch(state);
    if (problem !== undefined) throw new StateError(`${this.typeName()}: loadStateDict: ${problem}`);
    const loaded = this.#readStates(state);
    for (const { tensors } of this.#states.values()) for (const tensor of Object.values(tensors)) tensor.dispose();
    this.#states.clear();
    for (const [value, parameterState] of loaded) this.#states.set(value, parameterState);
    this.groups.forEach((group, i) => {
      Object.assign(group, structuredClone(state.groups[i].settings));
    });
  }

  #readStates({ groups }: OptimizerState): Map<Tensor, ParameterState> {
    const loaded = new Map<Tensor, ParameterState>();
    try {
      this.groups.forEach(({ params }, i) => {
        params.forEach(({ value }, j) => {
          const given = groups[i].states[j];
          if (given === null) return;
          const state: ParameterState = { tensors: {}, numbers: { ...given.numbers } };
          loaded.set(value, state);
          for (const [name, data] of Object.entries(given.tensors)) {
            state.tensors[name] = tensorFrom(value.engine, data, value.shape);
          }
        });
      });
    } catch (error) {
      for (const { tensors } of loaded.values()) for (const tensor of Object.values(tensors)) tensor.dispose();
      throw error;
    }
    return loaded;
  }

  /** What keeps `state` from fitting, if anything does. */
  #mismatch(state: OptimizerState): string | undefined {
    const { type, groups } = Object(state) as Partial<OptimizerState>;
    if (type !== this.typeName()) return `got a state of ${show(type)}, expected one of ${this.typeName()}`;
    if (!Array.isArray(groups) || groups.length !== this.groups.length) {
      return `got ${Array.isArray(groups) ? groups.length : "no"} groups, expected ${this.groups.length}`;
    }
    for (const [i, group] of groups.entries()) {
      const problem = this.#groupMismatch(Object(group), this.groups[i]);
      if (problem !== undefined) return `group ${i}: ${problem}`;
    }
    return undefined;
  }

  #groupMismatch(
    { settings, states }: Partial<OptimizerState["groups"][number]>,
    { params, ...own }: Group<Settings>,
  ): string | undefined {
    const missing = Object.keys(own).filter((key) => !Object.hasOwn(Object(settings), key));
    if (missing.length > 0) return `got no setting ${missing.join(", ")}`;
    try {
      this.checkSettings(settings as unknown as Settings);
    } catch (error) {
      return (error as Error).message;
    }
    if (!Array.isArray(states) || states.length !== params.length) {
      return `got ${Array.isArray(states) ? states.length : "no"} parameters, expected ${params.length}`;
    }
    for (const [j, { name, value }] of params.entries()) {
      const problem = states[j] === null ? undefined : this.#stateMismatch(Object(states[j]), value.size, settings!);
      if (problem !== undefined) return `${name}: ${problem}`;
    }
    return undefined;
  }

  #stateMismatch(
    { tensors, numbers }: { tensors?: Record<string, Float32Array>; numbers?: Record<string, number> },
    size: number,
    settings: object,
  ): string | undefined {
    const expectedNumbers = Object.keys(this.initialNumbers());
    const areNumbers = expectedNumbers.every((key) => typeof Object(numbers)[key] === "number");
    if (!areNumbers || Object.keys(Object(numbers)).length !== expectedNumbers.length || typeof numbers !== "object") {
      return `got the numbers ${show(numbers)}, expected ${expectedNumbers.join(", ") || "none"}`;
    }
    if (typeof tensors !== "object" || tensors === null) return `got the tensors ${show(tensors)}`;
    for (const name of this.stateTensors(settings as Settings)) {
      if (!Object.hasOwn(tensors, name)) return `got no tensor ${name}`;
    }
    for (const [name, data] of Object.entries(tensors)) {
      if (!this.knownTensors().includes(name)) return `got the tensor ${name}, which is not known`;
      if (!(data instanceof Float32Array) || data.length !== size) {
        return `got ${show(data)} of ${data?.length} as ${name}, expected a Float32Array of ${size}`;
      }
    }
    return undefined;
  }
}

function readGroups<Settings extends LearningRate>(
  name: string,
  params: OptimizerParameters<Settings>,
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
  const engines = new Set([...seen].map((value) => value.engine));
  if (engines.size > 1) throw new EngineError(`${name}: got parameters of different engines, expected one engine`);
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
