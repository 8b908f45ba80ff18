import { COPY, checkNonNegative, isArray, mark, reading, show } from "../checks.js";
import { ArgumentError, StateError } from "../errors.js";
import { type Tensor, zerosTensor } from "../tensor.js";
import { WeakBag } from "../weak.js";
import {
  type Group,
  GroupReader,
  haveParams,
  haveSettings,
  type OptimizerParameters,
  type ParameterGroup,
  type ReadGroup,
  type ReadParameter,
} from "./groups.js";
import { type LoadedGroup, type OptimizerState, ParameterState, readState, type SavedState } from "./state.js";

export interface LearningRate {
  /** The learning rate, finite and >= 0. */
  lr: number;
}

/** Of any kind. */
export type AnyOptimizer = Optimizer<LearningRate>;

/** A tensor of state that a parameter needs. */
type Wanted = readonly [value: Tensor, name: string];

/** One that was made. */
type Made = readonly [value: Tensor, name: string, tensor: Tensor];

/**
 * What optimizers share: groups, checks, state by parameter. A subclass checks its settings, names the tensors and numbers that it
 * keeps for a parameter, and makes the update.
 */
export abstract class Optimizer<Settings extends LearningRate> {
  /** The groups with their settings, which may be changed between steps. */
  readonly groups: Group<Settings>[];
  readonly #type: string;
  readonly #settingNames: readonly string[];
  /** The groups as they were last read. */
  #read: readonly ReadGroup<Settings>[];
  readonly #states = new WeakMap<Tensor, ParameterState>();
  /** All states, those of parameters that were taken out of the groups too. */
  readonly #allStates = new WeakBag<ParameterState>();
  #disposed = false;

  constructor(type: string, params: OptimizerParameters<Settings>, defaults: Settings) {
    // not an accessor of the class: bundlers keep a class with a computed member name, used or not
    Object.defineProperty(this, COPY, { value: mark("Optimizer") });
    this.#type = type;
    this.#settingNames = Object.keys(defaults);
    this.#read = reading(type, () => {
      if (!isArray(params)) {
        throw new ArgumentError(`${type}: got ${show(params)}, expected parameters or groups of them`);
      }
      const isGrouped = params.length > 0 && "params" in Object(params[0]);
      const groups = isGrouped ? params : [{ params }];
      return this.#readGroups(groups as readonly ParameterGroup<Settings>[], defaults);
    });
    if (this.#read.every((group) => group.params.length === 0)) {
      throw new ArgumentError(`${type}: got no parameters, expected at least one`);
    }
    assertUsable(this.#read);
    this.groups = this.#read.map((group) => ({
      ...this.readSettings(group.settings),
      params: group.params.map(({ given }) => given),
    }));
  }

  /** Asks for a private field, which no proxy has and none can forbid. @internal */
  static isOne(value: unknown): value is AnyOptimizer {
    return typeof value === "object" && value !== null && #states in value;
  }

  /** The optimizer's name in messages and states. */
  protected get type(): string {
    return this.#type;
  }

  /** Copies settings, each read once. Throws an ArgumentError for values that make no sense in the formula. */
  protected abstract readSettings(settings: Settings): Settings;

  /** The tensors of state that these settings need; they start as zeros. */
  protected abstract stateTensors(settings: Settings): readonly string[];

  /** The tensors of state that any settings may need. */
  protected abstract knownTensors(): readonly string[];

  /** The counters of state, which start at 0. */
  protected abstract stateNumbers(): readonly string[];

  protected abstract update(parameter: ReadParameter, state: ParameterState, settings: Settings): void;

  /** The learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    const [first] = this.#listOfGroups();
    return first.lr;
  }

  /** Sets it for every group. */
  set lr(value: number) {
    checkNonNegative(value, `${this.type}: lr`);
    this.#set(this.#listOfGroups().map(() => ({ lr: value }) as Partial<Settings>));
  }

  /**
   * Updates every parameter by its gradient. A gradient is none if nobody has sent, written or fetched it since `zeroGrad`: then the
   * parameter and its state stay as they are.
   *
   * Everything is checked before anything is written. Throws ArgumentError for settings or groups that have become wrong, StateError
   * for a parameter or an optimizer that was disposed, MemoryError if there is no room for the state.
   */
  step(): void {
    const groups = this.#currentGroups("step");
    const missing: Wanted[] = [];
    for (const { settings, params } of groups) {
      const names = this.stateTensors(settings);
      for (const { value, grad } of params) if (!grad.isNone) this.#addMissing(value, names, missing);
    }
    this.#keep(makeTensors(missing));
    for (const { settings, params } of groups) {
      for (const parameter of params) {
        if (!parameter.grad.isNone) this.update(parameter, this.#stateOf(parameter.value), settings);
      }
    }
  }

  /** Adds those of these tensors that the parameter's state lacks. */
  #addMissing(value: Tensor, names: readonly string[], missing: Wanted[]): void {
    const tensors = this.#states.get(value)?.tensors;
    for (const name of names) if (tensors?.[name] === undefined) missing.push([value, name]);
  }

  #keep(made: readonly Made[]): void {
    for (const [value, name, tensor] of made) this.#stateOf(value).tensors[name] = tensor;
  }

  /** The state of a parameter, a new one at its first step. */
  #stateOf(value: Tensor): ParameterState {
    let state = this.#states.get(value);
    if (state === undefined) {
      state = new ParameterState(value, Object.fromEntries(this.stateNumbers().map((name) => [name, 0])));
      this.#states.set(value, state);
      this.#allStates.add(state);
    }
    return state;
  }

  /** Sets the gradients of its parameters to none, as `Layer.zeroGrad` does. Throws StateError for what was disposed. */
  zeroGrad(): void {
    this.#assertAlive("zeroGrad");
    const what = this.type;
    const groups = reading(what, () => {
      if (haveParams(this.groups, this.#read)) return this.#read;
      const reader = new GroupReader<Settings>(what);
      return this.groups.map((group) => ({ params: reader.params(group) }));
    });
    assertUsable(groups);
    for (const { params } of groups) for (const { grad } of params) grad.markZero();
  }

  /** A copy of settings and state. Throws StateError for what was disposed. */
  stateDict(): OptimizerState {
    return this.#stateDict((tensor) => tensor.liveView().slice());
  }

  /** `stateDict` with live views instead of copies: good until the next step. @internal */
  liveStateDict(): OptimizerState {
    return this.#stateDict((tensor) => tensor.liveView());
  }

  #stateDict(read: (tensor: Tensor) => Float32Array): OptimizerState {
    return {
      type: this.type,
      groups: this.#currentGroups("stateDict").map((group) => ({
        settings: this.readSettings(group.settings) as unknown as Record<string, unknown>,
        states: group.params.map(({ value }) => {
          const state = this.#states.get(value);
          if (state === undefined) return null;
          const tensors = Object.entries(state.tensors).map(([name, tensor]) => [name, read(tensor)]);
          return { tensors: Object.fromEntries(tensors), numbers: { ...state.numbers } };
        }),
      })),
    };
  }

  /**
   * Takes over a state: what `stateDict` gave, or a copy of it by structuredClone or postMessage, of an optimizer of the same type with
   * the same groups of parameters of the same shapes. Throws StateError for any other state, MemoryError if there is no room; then nothing
   * has changed.
   */
  loadStateDict(state: OptimizerState): void {
    const groups = this.#currentGroups("loadStateDict");
    const what = `${this.type}: loadStateDict`;
    const loaded = reading(what, () =>
      readState(
        state,
        groups,
        {
          type: this.type,
          settings: this.#settingNames,
          tensors: this.knownTensors(),
          numbers: this.stateNumbers(),
          readSettings: (settings) => this.readSettings(settings),
          tensorsFor: (settings) => this.stateTensors(settings),
        },
        what,
      ),
    );
    // a getter may have disposed something
    this.#assertAlive("loadStateDict");
    assertUsable(groups);
    this.#replace(groups, loaded);
  }

  /** All that can fail comes first: memory, then settings. Then the loaded state is copied. */
  #replace(groups: readonly ReadGroup<Settings>[], loaded: readonly LoadedGroup<Settings>[]): void {
    const saved = new Map<Tensor, SavedState | null>();
    groups.forEach(({ params }, i) => {
      params.forEach(({ value }, j) => {
        saved.set(value, loaded[i].states[j]);
      });
    });
    const missing: Wanted[] = [];
    for (const [value, state] of saved)
      if (state !== null) this.#addMissing(value, Object.keys(state.tensors), missing);
    const made = makeTensors(missing);
    try {
      this.#set(loaded.map(({ settings }) => settings));
    } catch (error) {
      for (const [, , tensor] of made) tensor.dispose();
      throw error;
    }
    this.#keep(made);
    for (const [value, state] of saved) if (state !== null) this.#stateOf(value).take(state);
    for (const state of this.#allStates) if (!saved.get(state.value)) this.#forget(state);
  }

  /** Writes settings into the groups, or none of them: groups are the user's to change, and may be frozen. */
  #set(settings: readonly Partial<Settings>[]): void {
    reading(this.type, () => {
      const before: [group: object, name: string, value: unknown][] = [];
      for (const [i, changes] of settings.entries()) {
        const group = this.groups[i];
        for (const [name, value] of Object.entries(changes)) {
          before.push([group, name, group[name as keyof Settings]]);
          if (Reflect.set(group, name, value)) continue;
          for (const [changed, key, old] of before) Reflect.set(changed, key, old);
          throw new ArgumentError(
            `${this.type}: got a group whose ${name} cannot be set, expected one that is not frozen`,
          );
        }
      }
    });
  }

  /** The groups, at least one. */
  #listOfGroups(): readonly Group<Settings>[] {
    const what = `${this.type}: lr`;
    return reading(what, () => {
      const { groups } = this;
      if (isArray(groups) && groups.length > 0 && groups.every((group) => Object(group) === group)) return groups;
      throw new ArgumentError(`${what}: got ${show(groups)} as groups, expected at least one`);
    });
  }

  /**
   * Frees the state; the parameters stay as they are. Using the optimizer afterwards is a StateError, disposing it again does nothing.
   * A parameter that is disposed frees its state by itself.
   */
  dispose(): void {
    this.#disposed = true;
    for (const state of this.#allStates) this.#forget(state);
  }

  /** As `dispose`, at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #forget(state: ParameterState): void {
    this.#states.delete(state.value);
    this.#allStates.delete(state);
    state.dispose();
  }

  /** The groups as they are now, checked: users may change them. */
  #currentGroups(call: string): readonly ReadGroup<Settings>[] {
    this.#assertAlive(call);
    this.#read = reading(this.type, (): readonly ReadGroup<Settings>[] => {
      const { groups } = this;
      const isAsRead = haveParams(groups, this.#read) && haveSettings(groups, this.#read, this.#settingNames);
      return isAsRead ? this.#read : this.#readGroups(groups, undefined);
    });
    assertUsable(this.#read);
    return this.#read;
  }

  #readGroups(
    groups: readonly ParameterGroup<Settings>[],
    defaults: Settings | undefined,
  ): readonly ReadGroup<Settings>[] {
    const reader = new GroupReader<Settings>(this.type);
    const read: ReadGroup<Settings>[] = [];
    for (let i = 0; i < groups.length; i++) {
      const { params, settings } = reader.group(groups[i], this.#settingNames, defaults);
      read.push({ params, settings: this.readSettings(settings) });
    }
    return read;
  }

  #assertAlive(call: string): void {
    if (this.#disposed) throw new StateError(`${this.type}: ${call}: the optimizer was disposed`);
  }
}

/** Comes after everything was read: a getter may have disposed something. */
function assertUsable(groups: readonly { readonly params: readonly ReadParameter[] }[]): void {
  for (const { params } of groups) {
    for (const { value, grad } of params) {
      value.assertUsable();
      grad.assertUsable();
    }
  }
}

/** All of these, or none if memory runs out. */
function makeTensors(wanted: readonly Wanted[]): Made[] {
  const made: Made[] = [];
  try {
    for (const [value, name] of wanted) made.push([value, name, zerosTensor(value.engine, value.shape)]);
    return made;
  } catch (error) {
    for (const [, , tensor] of made) tensor.dispose();
    throw error;
  }
}
