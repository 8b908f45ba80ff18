import { show, showShape } from "../checks.js";
import { ArgumentError, FormatError } from "../errors.js";
import { type Bytes, coders } from "../host-types.js";
import { MOST_AXES } from "../values.js";
import { countOf, isGzip, isIdx, tellFile } from "./bytes.js";
import { HeaderReader, hasLoneSurrogate, MOST_TEXT } from "./header.js";

/**
 * The safetensors format: 8 bytes with the header's length (little-endian), a JSON header { name: { dtype, shape, data_offsets } },
 * then the tensors' bytes, little-endian, without gaps. `__metadata__` maps strings to strings.
 * https://github.com/huggingface/safetensors#format
 */
export interface StoredTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A tensor as the header describes it, with its range in the data. */
export interface Entry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface SafeTensors {
  readonly entries: ReadonlyMap<string, Entry>;
  /** The bytes that the ranges are in: a view of the file. */
  readonly data: Uint8Array;
  readonly metadata: Record<string, string>;
}

/** How many bits an element has. */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;
export type Dtype = keyof typeof BITS;

const METADATA = "__metadata__";
const LENGTH_BYTES = 8;
/** The format's own limit, against files that claim any length. */
const MAXIMUM_HEADER = 100_000_000;
/** The most tensors, and the most entries of metadata: ten times what the largest models have. */
const MOST_ENTRIES = 2 ** 17;

/** float32 values, in place. */
export const storedFloats = (data: Float32Array, shape: readonly number[]): StoredTensor => ({
  dtype: "F32",
  shape,
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** Throws ArgumentError, which begins with `what`, for names and metadata that a file cannot have. */
export function encodeSafeTensors(
  given: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
  what = "save",
): Bytes {
  // the widest first, so that every tensor starts at a multiple of its element's size
  const tensors = new Map([...given].sort(([, a], [, b]) => BITS[b.dtype] - BITS[a.dtype]));
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header[METADATA] = metadata;
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    if (name === METADATA) {
      throw new ArgumentError(`${what}: got a parameter called ${METADATA}, which the format keeps for itself`);
    }
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const json = encodeHeader(header, what);
  // padded with spaces, so that the data starts at a multiple of 8
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

/** The header in JSON. Throws ArgumentError for one that could not be read back. */
function encodeHeader(header: Readonly<Record<string, unknown>>, what: string): Uint8Array {
  const names = [...Object.keys(header), ...Object.entries(Object(header[METADATA])).flat()] as string[];
  const broken = names.find(hasLoneSurrogate);
  if (broken !== undefined) throw new ArgumentError(`${what}: got ${show(broken)}, which has half a character`);
  const json = new (coders().TextEncoder)().encode(JSON.stringify(header));
  if (json.length > MOST_TEXT || names.length > MOST_ENTRIES) {
    throw new ArgumentError(
      `${what}: got ${names.length} names and metadata that take ${json.length} bytes, expected at most ${MOST_ENTRIES} and ${MOST_TEXT}`,
    );
  }
  return json;
}

/** Reads a file. Throws FormatError for anything that the format does not allow, and for more names or text than any net needs. */
export function decodeSafeTensors(file: Uint8Array): SafeTensors {
  const { header, data } = splitHeader(file);
  const reader = new HeaderReader(header);
  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> | undefined;
  reader.object((name) => {
    if (entries.has(name) || (name === METADATA && metadata !== undefined)) throw twice(name);
    if (entries.size === MOST_ENTRIES) throw tooMany("tensors");
    if (name === METADATA) metadata = readMetadata(reader);
    else entries.set(name, readEntry(reader, name, data.length));
  });
  reader.end();
  checkCoverage([...entries.values()], data.length);
  return { entries, data, metadata: metadata ?? {} };
}

/** The tensors of a file, as views of it. */
export const storedTensors = (entries: SafeTensors["entries"], data: Uint8Array): Map<string, StoredTensor> =>
  new Map(
    [...entries].map(([name, { dtype, shape, start, end }]) => [
      name,
      { dtype, shape, bytes: data.subarray(start, end) },
    ]),
  );

const twice = (name: string) => new FormatError(`safetensors: the header has ${show(name)} twice`);

const tooMany = (what: string) => new FormatError(`safetensors: the header has more than ${MOST_ENTRIES} ${what}`);

function splitHeader(file: Uint8Array): { header: Uint8Array; data: Uint8Array } {
  const available = file.length - LENGTH_BYTES;
  if (available < 0)
    throw new FormatError(`safetensors: got ${tellOther(file) ?? `${file.length} bytes, expected at least 8`}`);
  const declared = new DataView(file.buffer, file.byteOffset, file.length).getBigUint64(0, true);
  if (declared > BigInt(Math.min(available, MAXIMUM_HEADER))) {
    const claim = `a header that claims ${declared} bytes, ${available} are there and ${MAXIMUM_HEADER} allowed`;
    throw new FormatError(`safetensors: got ${tellOther(file) ?? claim}`);
  }
  if (file[LENGTH_BYTES] !== 0x7b) {
    throw new FormatError(`safetensors: got ${tellOther(file) ?? "a header that does not begin with {"}`);
  }
  const start = LENGTH_BYTES + Number(declared);
  return { header: file.subarray(LENGTH_BYTES, start), data: file.subarray(start) };
}

/** What the file is instead, if it is of a kind that we know. */
function tellOther(file: Uint8Array): string | undefined {
  if (isGzip(file)) return "gzip data: unpack them first";
  if (isIdx(file)) return "an IDX file: readIdx reads it";
  return tellFile(file);
}

interface Fields {
  dtype?: string;
  shape?: number[];
  data_offsets?: number[];
}

function readEntry(reader: HeaderReader, name: string, available: number): Entry {
  const fields: Fields = {};
  reader.object((key) => {
    if (Object.hasOwn(fields, key)) throw twice(`${name}: ${key}`);
    if (key === "dtype") fields.dtype = reader.string();
    else if (key === "shape") fields.shape = reader.integers(MOST_AXES);
    else if (key === "data_offsets") fields.data_offsets = reader.integers(2);
    else throw new FormatError(`safetensors: ${show(name)} has ${show(key)}, expected dtype, shape and data_offsets`);
  });
  return checkFields(fields, name, available);
}

function checkFields({ dtype, shape, data_offsets: offsets }: Fields, name: string, available: number): Entry {
  const wrong = (what: string) => new FormatError(`safetensors: ${show(name)} has ${what}`);
  if (dtype === undefined || !Object.hasOwn(BITS, dtype)) throw wrong(`the dtype ${show(dtype)}, which is not known`);
  if (shape === undefined) throw wrong("no shape");
  if (offsets?.length !== 2 || offsets[0] > offsets[1] || offsets[1] > available) {
    throw wrong(`the offsets ${show(offsets)}, expected a range in ${available} bytes`);
  }
  const [start, end] = offsets;
  const count = countOf(shape);
  if (count === undefined) throw wrong(`the shape ${showShape(shape)}, more values than can be counted`);
  const expected = (count * BITS[dtype as Dtype]) / 8;
  if (end - start !== expected) throw wrong(`${end - start} bytes, expected ${expected} for ${showShape(shape)}`);
  return { dtype: dtype as Dtype, shape, start, end };
}

/** The ranges of the tensors must cover the data without holes and overlaps. */
function checkCoverage(entries: Entry[], available: number): void {
  let position = 0;
  for (const { start, end } of entries.sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== position) {
      throw new FormatError(`safetensors: data ${start < position ? "overlap" : "has a hole"} at byte ${position}`);
    }
    position = end;
  }
  if (position !== available) {
    throw new FormatError(`safetensors: got ${available} bytes of data, expected ${position}`);
  }
}

function readMetadata(reader: HeaderReader): Record<string, string> {
  const entries = new Map<string, string>();
  reader.object((key) => {
    if (entries.has(key)) throw twice(key);
    if (entries.size === MOST_ENTRIES) throw tooMany("metadata");
    entries.set(key, reader.string());
  });
  return Object.fromEntries(entries);
}
