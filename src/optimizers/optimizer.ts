import { COPY, checkNonNegative, type Mark, mark, reading, show } from "../checks.js";
import { ArgumentError, StateError } from "../errors.js";
import { zeroGradients } from "../layers/layer.js";
import { type Tensor, zerosTensor } from "../tensor.js";
import { WeakBag } from "../weak.js";
import { type Group, GroupReader, type OptimizerParameters, type ParameterGroup, type ReadGroup } from "./groups.js";
import { type LoadedGroup, type OptimizerState, ParameterState, readState, type SavedState } from "./state.js";

export interface LearningRate {
  lr: number;
}

/** A tensor of state that was made for a parameter. */
type Made = readonly [value: Tensor, name: string, tensor: Tensor];

/** What the update of one parameter works with. */
export interface Move<Settings> {
  readonly value: Tensor;
  readonly grad: Tensor;
  readonly settings: Settings;
}

/**
 * What optimizers share: groups, checks, state by parameter. A subclass gives its settings' check, the names of the tensors and
 * numbers that it keeps for a parameter, and the update.
 */
export abstract class Optimizer<Settings extends LearningRate> {
  /** The groups with their settings, which may be changed between steps. */
  readonly groups: Group<Settings>[];
  readonly #settingNames: readonly string[];
  readonly #states = new WeakMap<Tensor, ParameterState>();
  /** All states, also of parameters that are in no group any more. */
  readonly #allStates = new WeakBag<ParameterState>();
  #disposed = false;

  constructor(params: OptimizerParameters<Settings>, defaults: Settings) {
    this.#settingNames = Object.keys(defaults);
    const what = this.typeName();
    this.groups = reading(what, () => {
      if (!Array.isArray(params)) {
        throw new ArgumentError(`${what}: got ${show(params)}, expected parameters or groups of them`);
      }
      const isGrouped = params.length > 0 && "params" in Object(params[0]);
      const reader = new GroupReader<Settings>(what);
      const groups = this.#readGroups(isGrouped ? params : [{ params }], defaults, reader);
      if (reader.count === 0) throw new ArgumentError(`${what}: got no parameters, expected at least one`);
      assertUsable(groups);
      return groups.map(({ settings, params: read }) => ({ ...settings, params: read.map(({ given }) => given) }));
    });
  }

  /** The optimizer's name in messages and states. The constructor above asks for it. */
  protected abstract typeName(): string;

  /** Copies settings, each read once. Throws an ArgumentError for those that the formula has no meaning for. */
  protected abstract readSettings(settings: Settings): Settings;

  /** The tensors of state that these settings ask for; they start as zeros. */
  protected abstract stateTensors(settings: Settings): readonly string[];

  /** All tensors of state that any settings may ask for. */
  protected abstract knownTensors(): readonly string[];

  /** The numbers of state, which count from 0. */
  protected abstract stateNumbers(): readonly string[];

  protected abstract update(move: Move<Settings>, state: ParameterState): void;

  /** @internal */
  get [COPY](): Mark {
    return mark("Optimizer");
  }

  /** The learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    if (this.groups.length === 0)
      throw new ArgumentError(`${this.typeName()}: lr: got no groups, expected at least one`);
    return this.groups[0].lr;
  }

  set lr(value: number) {
    checkNonNegative(value, `${this.typeName()}: lr`);
    for (const group of this.groups) group.lr = value;
  }

  /**
   * One update of every parameter by its gradient. A parameter whose gradient is none, since nobody has sent, written or fetched it
   * after `zeroGrad`, stays as it is, and so does its state.
   *
   * Settings, tensors and memory are checked before anything is written: ArgumentError for settings or groups that are wrong now,
   * StateError where a parameter, or the optimizer, was disposed, MemoryError where there is no room for the state.
   */
  step(): void {
    const moves: Move<Settings>[] = [];
    for (const { settings, params } of this.#currentGroups("step")) {
      for (const { value, grad } of params) if (!grad.storage.isNone) moves.push({ value, grad, settings });
    }
    this.#keep(this.#makeTensors(moves.map(({ value, settings }) => [value, this.stateTensors(settings)])));
    for (const move of moves) this.update(move, this.#stateOf(move.value));
  }

  /** The tensors of state, out of these, that are missing; none where memory runs out. */
  #makeTensors(wanted: readonly (readonly [value: Tensor, names: readonly string[]])[]): Made[] {
    const made: Made[] = [];
    try {
      for (const [value, names] of wanted) {
        const tensors = this.#states.get(value)?.tensors;
        for (const name of names) {
          if (tensors?.[name] === undefined) made.push([value, name, zerosTensor(value.engine, value.shape)]);
        }
      }
      return made;
    } catch (error) {
      for (const [, , tensor] of made) tensor.dispose();
      throw error;
    }
  }

  #keep(made: readonly Made[]): void {
    for (const [value, name, tensor] of made) this.#stateOf(value).tensors[name] = tensor;
  }

  /** The state of a parameter, which begins here. */
  #stateOf(value: Tensor): ParameterState {
    let state = this.#states.get(value);
    if (state === undefined) {
      state = new ParameterState(value, Object.fromEntries(this.stateNumbers().map((name) => [name, 0])));
      this.#states.set(value, state);
      this.#allStates.add(state);
    }
    return state;
  }

  /** Sets the gradients of its parameters to none, as `Layer.zeroGrad` does. */
  zeroGrad(): void {
    this.#assertAlive("zeroGrad");
    const what = this.typeName();
    const params = reading(what, () => {
      const reader = new GroupReader<Settings>(what);
      return this.groups.flatMap((group) => reader.params(group));
    });
    zeroGradients(params);
  }

  /** Settings and state, copied out. */
  stateDict(): OptimizerState {
    return {
      type: this.typeName(),
      groups: this.#currentGroups("stateDict").map(({ settings, params }) => ({
        settings: { ...settings } as Record<string, unknown>,
        states: params.map(({ value }) => {
          const state = this.#states.get(value);
          if (state === undefined) return null;
          const tensors = Object.entries(state.tensors).map(([name, tensor]) => [name, tensor.liveView().slice()]);
          return { tensors: Object.fromEntries(tensors), numbers: { ...state.numbers } };
        }),
      })),
    };
  }

  /**
   * Takes over what `stateDict` gave, of an optimizer of the same type over parameters of the same shapes in the same groups, or what
   * structuredClone or postMessage made of that. Otherwise throws a StateError, and nothing is changed; nor where memory runs out.
   */
  loadStateDict(state: OptimizerState): void {
    const groups = this.#currentGroups("loadStateDict");
    const what = `${this.typeName()}: loadStateDict`;
    const loaded = reading(what, () =>
      readState(
        state,
        groups,
        {
          type: this.typeName(),
          settings: this.#settingNames,
          tensors: this.knownTensors(),
          numbers: this.stateNumbers(),
          readSettings: (settings) => this.readSettings(settings),
          tensorsFor: (settings) => this.stateTensors(settings),
        },
        what,
      ),
    );
    // what reading ran may have disposed something
    this.#assertAlive("loadStateDict");
    assertUsable(groups);
    this.#replace(groups, loaded);
  }

  /** Takes the memory that is missing and sets the settings, then switches to the loaded state, where nothing can fail. */
  #replace(groups: readonly ReadGroup<Settings>[], loaded: readonly LoadedGroup<Settings>[]): void {
    const saved = new Map<Tensor, SavedState | null>();
    groups.forEach(({ params }, i) => {
      params.forEach(({ value }, j) => {
        saved.set(value, loaded[i].states[j]);
      });
    });
    const made = this.#makeTensors([...saved].map(([value, state]) => [value, Object.keys(state?.tensors ?? {})]));
    try {
      this.#writeSettings(groups, loaded);
    } catch (error) {
      for (const [, , tensor] of made) tensor.dispose();
      throw error;
    }
    for (const [value, state] of saved) if (state !== null) this.#stateOf(value);
    this.#keep(made);
    for (const state of this.#allStates) {
      const given = saved.get(state.value);
      if (given) state.take(given);
      else this.#forget(state);
    }
  }

  /** Sets the groups' settings, or none: groups are the user's to change, and may be frozen. */
  #writeSettings(before: readonly ReadGroup<Settings>[], after: readonly LoadedGroup<Settings>[]): void {
    const write = ({ settings }: { settings: Settings }, i: number): boolean =>
      Object.entries(settings).every(([name, value]) => Reflect.set(this.groups[i], name, value));
    if (after.every(write)) return;
    before.forEach(write);
    throw new ArgumentError(
      `${this.typeName()}: got a group whose settings cannot be set, expected one that is not frozen`,
    );
  }

  /**
   * Gives the state's memory back; the parameters stay as they are. Using the optimizer afterwards is a StateError, disposing it again
   * does nothing. A parameter that is disposed takes its state with it without this.
   */
  dispose(): void {
    this.#disposed = true;
    for (const state of this.#allStates) this.#forget(state);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #forget(state: ParameterState): void {
    this.#states.delete(state.value);
    this.#allStates.delete(state);
    state.dispose();
  }

  /** The groups as they are now, checked: users may change them. */
  #currentGroups(call: string): ReadGroup<Settings>[] {
    this.#assertAlive(call);
    const what = this.typeName();
    const groups = reading(what, () => this.#readGroups(this.groups, undefined, new GroupReader(what)));
    assertUsable(groups);
    return groups;
  }

  #readGroups(
    groups: readonly ParameterGroup<Settings>[],
    defaults: Settings | undefined,
    reader: GroupReader<Settings>,
  ): ReadGroup<Settings>[] {
    const read: ReadGroup<Settings>[] = [];
    for (let i = 0; i < groups.length; i++) {
      const { params, settings } = reader.group(groups[i], this.#settingNames, defaults);
      read.push({ params, settings: this.readSettings(settings) });
    }
    return read;
  }

  #assertAlive(call: string): void {
    if (this.#disposed) throw new StateError(`${this.typeName()}: ${call}: the optimizer was disposed`);
  }
}

/** Asked when everything was read: what that ran may have disposed something. */
function assertUsable(groups: readonly ReadGroup<unknown>[]): void {
  for (const { params } of groups) {
    for (const { value, grad } of params) {
      value.assertUsable();
      grad.assertUsable();
    }
  }
}
