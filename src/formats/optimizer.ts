import { show, showShape } from "../checks.js";
import { ArgumentError, FormatError, StateError } from "../errors.js";
import type { Bytes } from "../host-types.js";
import { type AnyOptimizer, Optimizer } from "../optimizers/optimizer.js";
import type { OptimizerState, SavedState } from "../optimizers/state.js";
import { sameShape } from "../tensor.js";
import { type FileBytes, readBytes } from "./bytes.js";
import { writeFloats } from "./elements.js";
import { JsonReader } from "./json.js";
import { decodeSafeTensors, encodeSafeTensors, type StoredTensor, storedFloats, storedTensors } from "./safetensors.js";

/** Metadata keys: the optimizer's type; and its groups, their settings and counters, as JSON. */
const TYPE = "optimizer";
const GROUPS = "groups";

/** A state in the parts of a file. */
export interface EncodedOptimizer {
  /** `<group>.<parameter>.<name>`, in the parameter's shape. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The optimizer's state as a safetensors file: the settings of its groups, and what it keeps for each parameter. Counters are exact, so
 * that a training goes on with the same bits.
 *
 * Throws ArgumentError for anything but an optimizer of lanegrad, StateError for one that was disposed or has a parameter that was.
 */
export function saveOptimizer(optimizer: AnyOptimizer): Bytes {
  checkOptimizer(optimizer, "saveOptimizer");
  const { tensors, metadata } = encodeOptimizer(optimizer);
  return encodeSafeTensors(tensors, metadata, "saveOptimizer");
}

/**
 * Reads what `saveOptimizer` wrote into an optimizer of the same type, with the same groups of parameters of the same shapes. The settings
 * become those of the file, the learning rates too.
 *
 * Throws FormatError for bytes that are no such file, StateError for another optimizer's state, ArgumentError for anything but an
 * optimizer of lanegrad and bytes, MemoryError if there is no room. Then nothing has changed.
 */
export function loadOptimizer(optimizer: AnyOptimizer, bytes: FileBytes): void {
  checkOptimizer(optimizer, "loadOptimizer");
  const { entries, data, metadata } = decodeSafeTensors(readBytes(bytes, "loadOptimizer"));
  optimizer.loadStateDict(decodeOptimizer(optimizer, storedTensors(entries, data), metadata, "loadOptimizer"));
}

function checkOptimizer(optimizer: unknown, what: string): asserts optimizer is AnyOptimizer {
  if (!Optimizer.isOne(optimizer)) {
    throw new ArgumentError(`${what}: got ${show(optimizer)}, expected an optimizer of lanegrad`);
  }
}

/** The tensors are live views: good until the next step. */
export function encodeOptimizer(optimizer: AnyOptimizer): EncodedOptimizer {
  const { type, groups } = optimizer.liveStateDict();
  const tensors = new Map<string, StoredTensor>();
  const texts = groups.map(({ settings, states }, i) => ({
    settings,
    counters: states.map((state, j) => {
      if (state === null) return null;
      const { shape } = optimizer.groups[i].params[j].value;
      for (const [name, data] of Object.entries(state.tensors))
        tensors.set(`${i}.${j}.${name}`, storedFloats(data, shape));
      return state.numbers;
    }),
  }));
  return { tensors, metadata: { [TYPE]: type, [GROUPS]: JSON.stringify(texts) } };
}

/** The state in a file, for `loadStateDict`, which checks what this does not. Throws FormatError, or StateError for other shapes. */
export function decodeOptimizer(
  optimizer: AnyOptimizer,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
  what: string,
): OptimizerState {
  for (const key of [TYPE, GROUPS]) {
    if (!Object.hasOwn(metadata, key)) throw new FormatError(`${what}: got a file without an optimizer's state`);
  }
  const groups = JsonReader.parse(metadata[GROUPS], `${what}: ${GROUPS}`)
    .list()
    .map((group) => ({
      settings: group.field("settings").value as Record<string, unknown>,
      counters: group.field("counters").list(),
    }));
  const kept = groups.map(({ counters }) => counters.map(() => new Map<string, Float32Array>()));
  for (const [name, stored] of tensors) {
    const [, i, j, part] = /^(\d{1,6})\.(\d{1,6})\.(\w{1,40})$/.exec(name) ?? [];
    const place = kept[Number(i)]?.[Number(j)];
    if (place === undefined || groups[Number(i)].counters[Number(j)].isAbsent || stored.dtype !== "F32") {
      throw new FormatError(
        `${what}: got the tensor ${show(name)} of ${stored.dtype}, which is no part of an optimizer's state`,
      );
    }
    const shape = optimizer.groups[Number(i)]?.params[Number(j)]?.value.shape;
    if (shape !== undefined && !sameShape(stored.shape, shape)) {
      throw new StateError(`${what}: ${name} is ${showShape(stored.shape)}, expected ${showShape(shape)}`);
    }
    const values = new Float32Array(stored.bytes.length / 4);
    writeFloats(stored, values);
    place.set(part, values);
  }
  return {
    type: metadata[TYPE],
    groups: groups.map(({ settings, counters }, i) => ({
      settings,
      states: counters.map((counter, j) =>
        counter.isAbsent
          ? null
          : { tensors: Object.fromEntries(kept[i][j]), numbers: counter.value as SavedState["numbers"] },
      ),
    })),
  };
}
