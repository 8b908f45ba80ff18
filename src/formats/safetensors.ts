import { FormatError } from "../errors.js";
import { type Bytes, coders } from "../host.js";

/**
 * The safetensors format: 8 bytes with the header's length (little-endian), a JSON header { name: { dtype, shape, data_offsets } },
 * then the tensors' bytes, little-endian, without gaps. `__metadata__` maps strings to strings.
 * https://github.com/huggingface/safetensors#format
 */
export interface StoredTensor {
  readonly dtype: "F32" | "I64";
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface SafeTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const BYTES = { F32: 4, I64: 8 } as const;
export const METADATA = "__metadata__";
const LENGTH_BYTES = 8;
/** The format's own limit on headers, against files that only claim to have one. */
const MAXIMUM_HEADER = 100_000_000;

export function encodeSafeTensors({ tensors: given, metadata }: SafeTensors): Bytes {
  // the widest first, so that every tensor starts at a multiple of its element's size
  const tensors = new Map([...given].sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype]));
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header[METADATA] = metadata;
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const json = new (coders().TextEncoder)().encode(JSON.stringify(header));
  // spaces fill the header up, so that the data starts at a multiple of 8
  const headerLength = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(LENGTH_BYTES + headerLength + end).fill(0x20, LENGTH_BYTES, LENGTH_BYTES + headerLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.set(json, LENGTH_BYTES);
  let position = LENGTH_BYTES + headerLength;
  for (const { bytes } of tensors.values()) {
    file.set(bytes, position);
    position += bytes.length;
  }
  return file;
}

/** Throws FormatError for anything that the format does not allow. */
export function decodeSafeTensors(file: Uint8Array): SafeTensors {
  const { header, data } = splitHeader(file);
  const tensors = new Map<string, StoredTensor>();
  const ranges: [start: number, end: number][] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === METADATA) continue;
    const { dtype, shape, start, end } = readEntry(name, entry, data.length);
    tensors.set(name, { dtype, shape, bytes: data.subarray(start, end) });
    ranges.push([start, end]);
  }
  checkCoverage(ranges, data.length);
  return { tensors, metadata: readMetadata(header[METADATA]) };
}

function splitHeader(file: Uint8Array): { header: Record<string, unknown>; data: Uint8Array } {
  if (file.length < LENGTH_BYTES) throw new FormatError(`safetensors: got ${file.length} bytes, expected at least 8`);
  const declared = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const available = file.length - LENGTH_BYTES;
  if (declared > BigInt(Math.min(available, MAXIMUM_HEADER))) {
    throw new FormatError(`safetensors: the header claims ${declared} bytes, ${available} are there`);
  }
  const start = LENGTH_BYTES + Number(declared);
  const header = parseHeader(file.subarray(LENGTH_BYTES, start));
  return { header, data: file.subarray(start) };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new (coders().TextDecoder)("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("safetensors: the header is no JSON", { cause });
  }
  if (!text.startsWith("{")) throw new FormatError("safetensors: the header does not begin with {");
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw new FormatError("safetensors: the header is no JSON object");
  }
  if (countKeys(text) !== Object.keys(header).length) {
    throw new FormatError("safetensors: the header names a tensor twice");
  }
  return header as Record<string, unknown>;
}

/** The keys of the outermost object in JSON text that is known to be right: its colons at depth 1, outside of strings. */
function countKeys(json: string): number {
  const withoutStrings = json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  let depth = 0;
  let keys = 0;
  for (const character of withoutStrings) {
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === ":" && depth === 1) keys++;
  }
  return keys;
}

function readEntry(
  name: string,
  entry: unknown,
  available: number,
): { dtype: "F32" | "I64"; shape: number[]; start: number; end: number } {
  const what = `safetensors: ${JSON.stringify(name)}`;
  const { dtype, shape, data_offsets: offsets } = Object(entry) as Record<string, unknown>;
  if (dtype !== "F32" && dtype !== "I64") {
    throw new FormatError(`${what} has the dtype ${JSON.stringify(dtype)}, expected "F32" or "I64"`);
  }
  if (!isSizes(shape)) throw new FormatError(`${what} has the shape ${JSON.stringify(shape)}, expected integers >= 0`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1] || offsets[1] > available) {
    throw new FormatError(`${what} has the offsets ${JSON.stringify(offsets)}, expected a range in ${available} bytes`);
  }
  const [start, end] = offsets;
  const expected = shape.reduce((size, length) => size * length, BYTES[dtype]);
  if (end - start !== expected) {
    throw new FormatError(`${what} has ${end - start} bytes, expected ${expected} for [${shape.join(", ")}]`);
  }
  return { dtype, shape, start, end };
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** The tensors' ranges must cover the data exactly: no holes, no overlaps. */
function checkCoverage(ranges: [start: number, end: number][], available: number): void {
  let position = 0;
  for (const [start, end] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (start !== position) {
      throw new FormatError(`safetensors: data ${start < position ? "overlap" : "has a hole"} at byte ${position}`);
    }
    position = end;
  }
  if (position !== available) {
    throw new FormatError(`safetensors: got ${available} bytes of data, expected ${position}`);
  }
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const isStrings =
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === "string");
  if (!isStrings) throw new FormatError("safetensors: __metadata__ is no map from strings to strings");
  return value as Record<string, string>;
}
