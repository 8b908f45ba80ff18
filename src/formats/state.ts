import { checkBoolean, checkOptions, listed, reading, shorten, show, showShape } from "../checks.js";
import { ArgumentError, StateError } from "../errors.js";
import type { Bytes } from "../host-types.js";
import { checkNet, countsFromZero, type Layer } from "../layers/layer.js";
import { checkTensor, sameShape, type Tensor } from "../tensor.js";
import { type FileBytes, readBytes } from "./bytes.js";
import { countBytes, readCount, readsAsCount, readsAsFloats, writeFloats } from "./elements.js";
import { decodeSafeTensors, encodeSafeTensors, type StoredTensor, storedFloats, storedTensors } from "./safetensors.js";

/** What `save` puts beside the state. */
export interface SaveOptions {
  /** Texts to keep in the file; `load` returns them. The keys "format" and "constraint.…" are lanegrad's own. Default: none. */
  metadata?: Readonly<Record<string, string>>;
}

/** How `load` treats what does not fit. */
export interface LoadOptions {
  /** Whether everything must fit; default true. If false, what fits by name and shape is taken. */
  strict?: boolean;
}

/** What `load` returns. */
export interface LoadResult {
  /** All metadata of the file. */
  metadata: Record<string, string>;
  /** Names in the net for which the file had nothing that fits. */
  missing: string[];
  /** Names in the file that were not taken: unknown, or of another shape, type or constraint. */
  unexpected: string[];
}

/** Metadata key that PyTorch's readers look for. */
const FORMAT = "format";
/** Begins the metadata key of a constrained slope; the value is the constraint. */
const CONSTRAINT = "constraint.";

/**
 * The net's state, parameters and running statistics, as a safetensors file, which PyTorch reads. For nets of plain layers the names are
 * PyTorch's. A constrained slope is saved as its β, with its constraint in the metadata.
 *
 * Throws ArgumentError for metadata that are no strings and for keys that are lanegrad's own, StateError for a net that was disposed.
 */
export function save(net: Layer, options?: SaveOptions): Bytes {
  checkNet(net, "save");
  const { metadata } = checkOptions(options, ["metadata"], "save");
  const own = readMetadata(metadata);
  const { tensors, constraints } = encodeNet(net, "save");
  return encodeSafeTensors(tensors, Object.fromEntries([[FORMAT, "pt"], ...constraints, ...own]));
}

/** A net's state in the parts of a file. The tensors are live views. */
export function encodeNet(
  net: Layer,
  what: string,
): { tensors: Map<string, StoredTensor>; constraints: [key: string, constraint: string][] } {
  return {
    tensors: new Map([...stateOf(net, what)].map(([name, tensor]) => [name, stored(tensor)])),
    constraints: Object.entries(net.constraints()).map(([name, constraint]) => [CONSTRAINT + name, constraint]),
  };
}

/** The caller's metadata, each entry read once. */
function readMetadata(metadata: unknown): [string, string][] {
  if (metadata === undefined) return [];
  if (typeof metadata !== "object" || metadata === null) {
    throw new ArgumentError(`save: metadata: got ${show(metadata)}, expected an object of strings`);
  }
  const entries = reading("save: metadata", () => Object.entries(metadata));
  for (const [key, value] of entries) {
    if (key === FORMAT || key.startsWith(CONSTRAINT)) {
      throw new ArgumentError(`save: metadata: got the key ${show(key)}, which is lanegrad's own`);
    }
    if (typeof value !== "string") {
      throw new ArgumentError(`save: metadata: ${show(key)}: got ${show(value)}, expected a string`);
    }
  }
  return entries;
}

function stored(tensor: Tensor): StoredTensor {
  const { shape } = tensor;
  if (tensor.exact !== undefined) return { dtype: "I64", shape, bytes: countBytes(tensor.counted) };
  return storedFloats(tensor.liveView(), shape);
}

/**
 * Reads a file that `save` or PyTorch wrote into a net with the same names and shapes. F64, F16 and BF16 become float32. A
 * `num_batches_tracked` that the file lacks becomes 0. With `strict: false` what fits is taken, and the result says what did not.
 *
 * Throws FormatError for bytes that are no safetensors file, ArgumentError for anything but bytes, and one StateError that lists all that is
 * missing, unexpected, or of another shape, type or constraint. Then nothing has changed.
 */
export function load(net: Layer, bytes: FileBytes, options?: LoadOptions): LoadResult {
  checkNet(net, "load");
  const { strict = true } = checkOptions(options, ["strict"], "load");
  checkBoolean(strict, "load: strict");
  const state = stateOf(net, "load");
  const constraints = net.constraints();
  // from here on none of the caller's code runs
  const { entries, data, metadata } = decodeSafeTensors(readBytes(bytes, "load"));
  const { take, missing, unexpected, problems } = match(state, constraints, storedTensors(entries, data), metadata);
  if (strict && problems.length > 0) throw new StateError(`load: ${listed(problems)}`);
  take();
  return { metadata, missing, unexpected };
}

/** How a file's tensors fit a net's. */
interface Match {
  /** Copies what fits into the net. */
  take(): void;
  readonly missing: string[];
  readonly unexpected: string[];
  /** All that does not fit, in words. */
  readonly problems: string[];
}

/** Compares a file with a net, for a caller that has read the file already. */
export const matchNet = (
  net: Layer,
  stored: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
  what: string,
): Match => match(stateOf(net, what), net.constraints(), stored, metadata);

function match(
  state: ReadonlyMap<string, Tensor>,
  constraints: Readonly<Record<string, string>>,
  stored: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): Match {
  const fitting: [Tensor, StoredTensor | undefined][] = [];
  const missing: string[] = [];
  const problems: string[] = [];
  const unexpected = new Set(stored.keys());
  for (const [name, tensor] of state) {
    const source = stored.get(name);
    const saved = lookUp(metadata, CONSTRAINT + name);
    const problem = mismatch(tensor, source) ?? otherConstraint(saved, lookUp(constraints, name));
    if (problem === undefined || countsFromZero(name, tensor, stored)) {
      fitting.push([tensor, source]);
      unexpected.delete(name);
    } else {
      missing.push(name);
      problems.push(`${label(name)} is ${problem}`);
    }
  }
  for (const name of unexpected) if (!state.has(name)) problems.push(`${label(name)} is unexpected`);
  return {
    take: () => {
      for (const [tensor, source] of fitting) take(tensor, source);
    },
    missing,
    unexpected: [...unexpected],
    problems,
  };
}

/** The net's live tensors by name, checked. */
function stateOf(net: Layer, what: string): Map<string, Tensor> {
  const state = new Map(Object.entries(net.stateDict()));
  for (const [name, tensor] of state) checkTensor(tensor, `${what}: ${shorten(name)}`);
  return state;
}

function take(tensor: Tensor, source: StoredTensor | undefined): void {
  if (tensor.exact !== undefined) {
    tensor.setCounted(source === undefined ? 0 : readCount(source));
    return;
  }
  writeFloats(source!, tensor.liveView());
  tensor.markWritten();
}

/** Why the stored tensor does not fit the net's, in words; undefined if it does. */
function mismatch({ exact, shape }: Tensor, source: StoredTensor | undefined): string | undefined {
  if (source === undefined) return "missing";
  const { dtype } = source;
  if (exact === undefined && !readsAsFloats(dtype)) return `${dtype}, expected F32, F64, F16 or BF16`;
  if (exact !== undefined && !readsAsCount(dtype)) return `${dtype}, expected I64 or other integers`;
  if (!sameShape(source.shape, shape)) return `${showShape(source.shape)}, expected ${showShape(shape)}`;
  if (exact !== undefined && !Number.isSafeInteger(readCount(source))) return "beyond what can be counted";
  return undefined;
}

/** A constraint by name, or "none". Own properties only: a layer may be called "toString". */
function lookUp(constraints: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(constraints, name) ? constraints[name] : "none";
}

const otherConstraint = (saved: string, expected: string): string | undefined =>
  saved === expected ? undefined : `of the constraint ${show(saved)}, expected ${show(expected)}`;

/** A name in a message, in quotes unless it is plain. */
const label = (name: string): string => (/^[\w.-]{1,80}$/.test(name) ? name : show(name));
