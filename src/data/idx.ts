import { showShape } from "../checks.js";
import { FormatError } from "../errors.js";
import { countOf, type FileBytes, isGzip, isSafeTensors, makeRoom, readBytes, tellFile } from "../formats/bytes.js";
import type { Bytes } from "../host-types.js";
import { MOST_AXES } from "../values.js";
import { peek, unpack } from "./gzip.js";

/** The types of values that IDX has. */
export type IdxData = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

/** What `readIdx` returns. */
export interface IdxArray<Data extends IdxData = Bytes> {
  /** Sizes of the axes: [60000, 28, 28] for MNIST's training images. */
  shape: number[];
  /** The values, row-major, in memory of their own. */
  data: Data;
}

type IdxType = (new (buffer: ArrayBuffer) => IdxData) & { readonly BYTES_PER_ELEMENT: number };

const TYPES: Readonly<Record<number, IdxType>> = {
  8: Uint8Array,
  9: Int8Array,
  11: Int16Array,
  12: Int32Array,
  13: Float32Array,
  14: Float64Array,
};

const MAGIC_BYTES = 4;
const SIZE_BYTES = 4;
const LONGEST_HEADER = MAGIC_BYTES + SIZE_BYTES * MOST_AXES;

/**
 * Reads the IDX format of the MNIST files: two zero bytes, the type, the number of axes, each size as a big-endian 32-bit integer,
 * then the values, row-major and big-endian. A gzipped file is unpacked. Give the type parameter if you know what the file holds: Uint8Array
 * (type 0x08), Int8Array (0x09), Int16Array (0x0B), Int32Array (0x0C), Float32Array (0x0D), Float64Array (0x0E).
 *
 * Throws FormatError for bytes that are no IDX file and for missing or surplus data, ArgumentError for anything but bytes, MemoryError if
 * there is no room.
 */
export function readIdx<Data extends IdxData = Bytes>(bytes: FileBytes): IdxArray<Data> {
  const file = readBytes(bytes, "readIdx");
  const isPacked = isGzip(file);
  const { start, count, shape, type } = readHeader(isPacked ? peek(file, LONGEST_HEADER, "readIdx") : file);
  const width = type.BYTES_PER_ELEMENT;
  const content = isPacked ? unpack(file, start + count * width, "readIdx") : file;
  const got = (content.length - start) / width;
  if (got !== count) throw new FormatError(`readIdx: got ${got} values, expected ${count} for ${showShape(shape)}`);
  const values = makeRoom(count * width, "readIdx", () => Uint8Array.prototype.slice.call(content, start));
  toNativeOrder(values, width);
  return { shape, data: new type(values.buffer) as Data };
}

interface Header {
  readonly shape: number[];
  readonly type: IdxType;
  /** How many values there are. */
  readonly count: number;
  /** Where they begin. */
  readonly start: number;
}

function readHeader(file: Uint8Array): Header {
  const wrong = (what: string) => new FormatError(`readIdx: got ${what}`);
  if (isGzip(file)) throw wrong("a file that is gzipped twice: unpack it once");
  if (file.length < MAGIC_BYTES) throw wrong(`${file.length} bytes, expected a header of at least ${MAGIC_BYTES}`);
  const [zero0, zero1, code, axes] = file;
  const type = TYPES[code];
  if (zero0 !== 0 || zero1 !== 0 || type === undefined) {
    const other = isSafeTensors(file) ? "a safetensors file: load reads it" : tellFile(file);
    if (other !== undefined) throw wrong(other);
    if (type !== undefined || zero0 !== 0 || zero1 !== 0) {
      throw wrong(`the magic bytes ${zero0} ${zero1}, expected 0 0 (an IDX file, or gzip 31 139)`);
    }
    const known = "0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e";
    throw wrong(`the type 0x${code.toString(16).padStart(2, "0")}, expected ${known}`);
  }
  if (axes > MOST_AXES) throw wrong(`${axes} axes, expected at most ${MOST_AXES}`);
  const start = MAGIC_BYTES + SIZE_BYTES * axes;
  if (file.length < start) throw wrong(`${file.length} bytes, expected a header of ${start} for ${axes} axes`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(MAGIC_BYTES + SIZE_BYTES * axis));
  const count = countOf(shape);
  if (count === undefined) throw wrong(`the shape ${showShape(shape)}, more values than can be counted`);
  return { shape, type, count, start };
}

/** Reverses the bytes of each value on little-endian machines, which nearly all are. */
function toNativeOrder(bytes: Uint8Array, width: number): void {
  if (width === 1 || new Uint8Array(Uint16Array.of(1).buffer)[0] === 0) return;
  for (let start = 0; start < bytes.length; start += width) {
    for (let low = start, high = start + width - 1; low < high; low++, high--) {
      const byte = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = byte;
    }
  }
}
