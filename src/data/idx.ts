import { gunzipSync } from "fflate";
import { show, showShape } from "../checks.js";
import { ArgumentError, FormatError } from "../errors.js";
import { sizeOf } from "../tensor.js";

export interface IdxArray {
  /** Sizes of the axes: [60000, 28, 28] for MNIST's training images. */
  shape: number[];
  data: Uint8Array;
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
  return { shape, data: file.slice(start) };
}

function unpack(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new FormatError(`readIdx: the gzip data is damaged: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}
