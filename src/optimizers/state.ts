import { isArray, show } from "../checks.js";
import { LanegradError, StateError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import { copyOf, isFloat32Array, lengthOf } from "../values.js";
import { labelOf, type ReadGroup } from "./groups.js";

/** What an optimizer keeps for a parameter: tensors of its shape, and counters. It is disposed with the parameter's value. */
export class ParameterState {
  readonly tensors: Record<string, Tensor> = {};

  constructor(
    readonly value: Tensor,
    public numbers: Record<string, number>,
  ) {
    value.dependents.add(this);
  }

  /** Takes over a saved state, for which all tensors have been made. */
  take({ tensors, numbers }: SavedState): void {
    this.numbers = { ...numbers };
    for (const [name, tensor] of Object.entries(this.tensors)) {
      if (Object.hasOwn(tensors, name)) {
        tensor.data.set(tensors[name]);
      } else {
        tensor.dispose();
        delete this.tensors[name];
      }
    }
  }

  dispose(): void {
    this.value.dependents.delete(this);
    for (const tensor of Object.values(this.tensors)) tensor.dispose();
  }
}

/** A copy of a parameter's state. */
export interface SavedState {
  readonly tensors: Readonly<Record<string, Float32Array>>;
  readonly numbers: Readonly<Record<string, number>>;
}

/** An optimizer's state, to keep and to give back to `loadStateDict`. Its content may change between versions. */
export interface OptimizerState {
  /** The name of the optimizer's class. */
  readonly type: string;
  /** The groups, in order. */
  readonly groups: readonly {
    /** Its settings. */
    readonly settings: Readonly<Record<string, unknown>>;
    /** One for each parameter, in order; null before its first step. */
    readonly states: readonly (SavedState | null)[];
  }[];
}

/** What a state of an optimizer has to hold. */
export interface StateRules<Settings> {
  readonly type: string;
  readonly settings: readonly string[];
  /** The tensors that any settings may need. */
  readonly tensors: readonly string[];
  readonly numbers: readonly string[];
  /** Copies settings. Throws an ArgumentError for values that make no sense in the formula. */
  readSettings(settings: Settings): Settings;
  /** The tensors that these settings need. */
  tensorsFor(settings: Settings): readonly string[];
}

/** A group of a state, copied and checked. */
export interface LoadedGroup<Settings> {
  readonly settings: Settings;
  readonly states: readonly (SavedState | null)[];
}

/** Copies a state, each part of it read once. Throws a StateError if the copy does not fit the groups. */
export function readState<Settings>(
  state: unknown,
  groups: readonly ReadGroup<Settings>[],
  rules: StateRules<Settings>,
  what: string,
): LoadedGroup<Settings>[] {
  const { type, groups: given } = Object(state) as { type: unknown; groups: unknown };
  if (type !== rules.type) {
    throw new StateError(`${what}: got a state of ${show(type)}, expected one of ${rules.type}`);
  }
  const list = listOf(given, groups.length, "groups", what);
  return groups.map((group, i) => readGroupState(list[i], group, rules, `${what}: group ${i}`));
}

/** A list of `count` items, each read once. */
function listOf(given: unknown, count: number, items: string, what: string): unknown[] {
  const length: unknown = isArray(given) ? given.length : undefined;
  if (length !== count) throw new StateError(`${what}: got ${show(length ?? "no")} ${items}, expected ${count}`);
  return Array.from({ length: count }, (_, i) => (given as unknown[])[i]);
}

function readGroupState<Settings>(
  given: unknown,
  { params }: ReadGroup<Settings>,
  rules: StateRules<Settings>,
  what: string,
): LoadedGroup<Settings> {
  const { settings: givenSettings, states } = Object(given) as { settings: unknown; states: unknown };
  const settings = readStateSettings(givenSettings, rules, what);
  const list = listOf(states, params.length, "parameters", what);
  return {
    settings,
    states: params.map((parameter, j) => {
      if (list[j] === null) return null;
      const where = `${what}: ${labelOf(parameter.given, j)}`;
      return readParameterState(list[j], parameter.value.size, settings, rules, where);
    }),
  };
}

function readStateSettings<Settings>(given: unknown, rules: StateRules<Settings>, what: string): Settings {
  const settings = ownValues(given);
  checkNames([...settings.keys()], rules.settings, rules.settings, "setting", what);
  try {
    return rules.readSettings(Object.fromEntries(settings) as Settings);
  } catch (error) {
    throw error instanceof LanegradError ? new StateError(`${what}: ${error.message}`) : error;
  }
}

function readParameterState<Settings>(
  given: unknown,
  size: number,
  settings: Settings,
  rules: StateRules<Settings>,
  what: string,
): SavedState {
  const state = Object(given) as Partial<SavedState>;
  const numbers = ownValues(state.numbers);
  checkNames([...numbers.keys()], rules.numbers, rules.numbers, "number", what);
  for (const [name, value] of numbers) {
    if (!(Number.isSafeInteger(value) && (value as number) >= 0)) {
      throw new StateError(`${what}: got ${show(value)} as ${name}, expected an integer >= 0`);
    }
  }
  const tensors = ownValues(state.tensors);
  checkNames([...tensors.keys()], rules.tensorsFor(settings), rules.tensors, "tensor", what);
  const copies = [...tensors].map(([name, data]) => [name, copyTensor(data, size, name, what)] as const);
  return {
    tensors: Object.fromEntries(copies),
    numbers: Object.fromEntries(numbers) as Record<string, number>,
  };
}

/** An object's own properties, each read once. What is no object has none. */
function ownValues(given: unknown): Map<string, unknown> {
  const object = Object(given) === given ? (given as Record<string, unknown>) : {};
  return new Map(Object.keys(object).map((key) => [key, object[key]]));
}

/** Throws a StateError if a needed name is missing, or if one is not known. */
function checkNames(
  names: readonly string[],
  needed: readonly string[],
  known: readonly string[],
  kind: string,
  what: string,
): void {
  for (const name of needed) {
    if (!names.includes(name)) throw new StateError(`${what}: got no ${kind} ${name}`);
  }
  for (const name of names) {
    if (!known.includes(name)) {
      throw new StateError(`${what}: got the ${kind} ${show(name)}, expected ${known.join(", ") || "none"}`);
    }
  }
}

function copyTensor(data: unknown, size: number, name: string, what: string): Float32Array {
  const expected = `expected a Float32Array of ${size}`;
  if (!isFloat32Array(data)) {
    // in JSON a typed array is an object with the keys "0", "1", ...
    const isFromJson = Object(data) === data && !ArrayBuffer.isView(data);
    const hint = isFromJson
      ? "; JSON does not keep Float32Arrays: keep a state as it is, or as structuredClone or postMessage copies it"
      : "";
    throw new StateError(`${what}: got ${show(data)} as ${name}, ${expected}${hint}`);
  }
  const length = lengthOf(data, `${what}: ${name}`);
  if (length !== size) throw new StateError(`${what}: got a Float32Array of ${length} as ${name}, ${expected}`);
  return copyOf(data, `${what}: ${name}`);
}
