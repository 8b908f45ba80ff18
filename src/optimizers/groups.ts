import { checkKnown, isArray, shorten, show, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, EngineError, StateError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { isTensor, sameShape, type Tensor } from "../tensor.js";

/** Parameters with settings of their own. A setting that is not given is the optimizer's. */
export type ParameterGroup<Settings> = {
  /** The parameters that the settings are for. */
  params: readonly Parameter[];
} & Partial<Settings>;

/** What an optimizer takes: parameters, or groups of them. A parameter left out stays as it is: it is frozen. */
export type OptimizerParameters<Settings> = readonly Parameter[] | readonly ParameterGroup<Settings>[];

/** A group as the optimizer holds it: mutable, read at every step. */
export type Group<Settings> = { params: Parameter[] } & Settings;

/** A parameter as it was read, once: a getter may return something else the next time. */
export interface ReadParameter {
  readonly given: Parameter;
  readonly value: Tensor;
  readonly grad: Tensor;
}

/** A group as it was read, once. */
export interface ReadGroup<Settings> {
  readonly settings: Settings;
  readonly params: readonly ReadParameter[];
}

/** Whether the groups still hold the parameters that were read: then nothing has to be checked again. */
export function haveParams<Settings>(
  groups: readonly { params: readonly Parameter[] }[],
  read: readonly ReadGroup<Settings>[],
): boolean {
  if (!isArray(groups) || groups.length !== read.length) return false;
  for (let i = 0; i < read.length; i++) {
    const { params } = groups[i];
    const expected = read[i].params;
    if (!isArray(params) || params.length !== expected.length) return false;
    for (let j = 0; j < expected.length; j++) {
      const { given, value, grad } = expected[j];
      if (params[j] !== given || given.value !== value || given.grad !== grad) return false;
    }
  }
  return true;
}

/** Whether their settings, by these names, are still those that were read. */
export function haveSettings<Settings>(
  groups: readonly Group<Settings>[],
  read: readonly ReadGroup<Settings>[],
  names: readonly string[],
): boolean {
  for (let i = 0; i < read.length; i++) {
    const group = groups[i];
    const { settings } = read[i];
    for (const name of names as (keyof Settings)[]) if (!isSame(group[name], settings[name])) return false;
    if (Object.keys(group).length !== names.length + 1) return false;
  }
  return true;
}

/** Numbers, booleans, or arrays of them. */
function isSame(a: unknown, b: unknown): boolean {
  if (!isArray(b)) return a === b;
  return isArray(a) && a.length === b.length && b.every((item, i) => item === a[i]);
}

/** A parameter's name in messages. */
export function labelOf({ name }: Parameter, index: number): string {
  return typeof name === "string" ? shorten(name) : `parameter ${index}`;
}

/** Reads groups. Checks that all tensors are of one engine, and that no parameter is there twice. */
export class GroupReader<Settings> {
  readonly #seen = new Set<object>();
  #engine: Engine | undefined;

  constructor(readonly what: string) {}

  /** A group. Its settings, named in `known`, are not checked; `defaults` are for those that are not given. */
  group(
    group: ParameterGroup<Settings>,
    known: readonly string[],
    defaults: Settings | undefined,
  ): ReadGroup<Settings> {
    const params = this.params(group);
    checkKnown(group, [...known, "params"], `${this.what}: a group`);
    const settings = { ...defaults } as Settings;
    for (const key of known as (keyof Settings)[]) {
      const own = (group as Partial<Settings>)[key];
      if (own !== undefined) settings[key] = own as Settings[keyof Settings];
    }
    return { settings, params };
  }

  /** A group's parameters. */
  params(group: { params: readonly Parameter[] }): ReadParameter[] {
    const params: unknown = Object(group).params;
    if (!isArray(params)) {
      throw new ArgumentError(`${this.what}: got ${show(group)}, expected a group { params: [...] }`);
    }
    const read: ReadParameter[] = [];
    // not forEach, which skips holes
    for (let i = 0; i < params.length; i++) read.push(this.#parameter(params[i] as Parameter, i));
    return read;
  }

  #parameter(given: Parameter, index: number): ReadParameter {
    const { value, grad } = Object(given) as Parameter;
    if (!(isTensor(value) && isTensor(grad))) {
      const [part, wrong] = isTensor(value) ? ["grad", grad] : ["value", value];
      const described = wrong === undefined ? show(given) : `${show(given)} with ${show(wrong)} as its ${part}`;
      throw new ArgumentError(
        `${this.what}: got ${described}, expected parameters { name, value, grad } with tensors of one shape`,
      );
    }
    if (!sameShape(value.shape, grad.shape)) {
      throw new ArgumentError(
        `${this.what}: ${labelOf(given, index)}: got a value ${showShape(value.shape)} and a grad ${showShape(grad.shape)}, expected parameters with tensors of one shape`,
      );
    }
    if (value.engine !== grad.engine) {
      throw new EngineError(`${this.what}: ${labelOf(given, index)}: value and grad are of different engines`);
    }
    this.#engine ??= value.engine;
    if (value.engine !== this.#engine) {
      throw new EngineError(`${this.what}: got parameters of different engines, expected one engine`);
    }
    if (this.#seen.has(value.memory)) {
      throw new StateError(`${this.what}: the parameter ${labelOf(given, index)} is there twice`);
    }
    this.#seen.add(value.memory);
    return { given, value, grad };
  }
}
