import { show, showShape } from "../checks.js";
import { ArgumentError, FormatError } from "../errors.js";
import { type Bytes, builtin } from "../host.js";
import { sizeOf } from "../tensor.js";

export interface IdxArray {
  /** Sizes of the axes: [60000, 28, 28] for MNIST's training images. */
  shape: number[];
  data: Bytes;
}

const UNSIGNED_BYTE = 0x08;

/**
 * Reads the IDX format of the MNIST files: two zero bytes, the type, the number of axes, each size as a big-endian 32-bit integer,
 * then the values, row-major. Gzip is recognised and unpacked. Throws FormatError for anything but unsigned bytes (0x08) and for
 * cut or surplus data.
 */
export function readIdx(bytes: Uint8Array): IdxArray {
  if (!(bytes instanceof Uint8Array)) throw new ArgumentError(`readIdx: got ${show(bytes)}, expected a Uint8Array`);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const file = isGzip ? unpack(bytes) : bytes;
  if (file.length < 4) throw new FormatError(`readIdx: got ${file.length} bytes, expected a header of at least 4`);
  const [zero0, zero1, type, axes] = file;
  if (zero0 !== 0 || zero1 !== 0) {
    throw new FormatError(`readIdx: got the magic bytes ${zero0} ${zero1}, expected 0 0 (an IDX file, or gzip 31 139)`);
  }
  if (type !== UNSIGNED_BYTE) {
    throw new FormatError(
      `readIdx: got the type 0x${type.toString(16).padStart(2, "0")}, expected 0x08 (unsigned bytes)`,
    );
  }
  const start = 4 + 4 * axes;
  if (file.length < start)
    throw new FormatError(`readIdx: got ${file.length} bytes, expected a header of ${start} for ${axes} axes`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = sizeOf(shape);
  if (file.length - start !== size) {
    throw new FormatError(`readIdx: got ${file.length - start} values, expected ${size} for ${showShape(shape)}`);
  }
  // a copy also of a Buffer, whose own slice is a view
  return { shape, data: Uint8Array.prototype.slice.call(file, start) };
}

interface Zlib {
  gunzipSync(bytes: Uint8Array, options: { info: true }): { buffer: Uint8Array; engine: { bytesWritten: number } };
}

/** The runtime's own gunzip, which checks lengths and checksums; asked for when it is needed, so that importing loads nothing. */
function unpack(bytes: Uint8Array): Uint8Array {
  const zlib = builtin<Zlib>("node:zlib");
  if (zlib === undefined) {
    throw new FormatError("readIdx: got gzip data, which this runtime cannot unpack at once: expected them unpacked");
  }
  let unpacked: ReturnType<Zlib["gunzipSync"]>;
  try {
    unpacked = zlib.gunzipSync(bytes, { info: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`readIdx: the gzip data are damaged: ${reason}`, { cause });
  }
  const surplus = bytes.length - unpacked.engine.bytesWritten;
  if (surplus > 0) throw new FormatError(`readIdx: got ${surplus} bytes behind the gzip data, expected none`);
  return unpacked.buffer;
}
