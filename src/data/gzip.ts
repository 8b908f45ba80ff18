// Gzip by the runtime's own zlib, which checks lengths and checksums. It is loaded on first use, not at import.

import { reasonOf } from "../checks.js";
import { FormatError, MemoryError } from "../errors.js";
import { builtin } from "../host-types.js";

interface Options {
  maxOutputLength: number;
  chunkSize?: number;
  finishFlush?: number;
  info: true;
}

interface Zlib {
  readonly constants: { readonly Z_SYNC_FLUSH: number };
  gunzipSync(bytes: Uint8Array, options: Options): { buffer: Uint8Array; engine: { bytesWritten: number } };
}

/** The most bytes that one byte of deflate data can become. */
const LARGEST_RATIO = 1032;
/** How many packed bytes are tried first, and how many may come out of a try. */
const FIRST_TRY = 1024;
const LONGEST_TRY = 2 ** 21;

/**
 * The beginning of the content, at least `count` bytes if it has as many. Unpacks only a part of the file that is just long enough,
 * so a file that would unpack to any size is harmless.
 */
export function peek(packed: Uint8Array, count: number, what: string): Uint8Array {
  let tooShort = 0;
  let tooLong = packed.length + 1;
  let length = Math.min(FIRST_TRY, packed.length);
  for (;;) {
    const head = run(packed.subarray(0, length), LONGEST_TRY, what, { isCut: length < packed.length });
    if (head === undefined) tooLong = length;
    else if (head.length >= count || length === packed.length) return head;
    else tooShort = length;
    const isBounded = tooLong <= packed.length;
    length = isBounded ? Math.floor((tooShort + tooLong) / 2) : Math.min(2 * length, packed.length);
    if (length === tooShort) throw new FormatError(`${what}: the gzip data are damaged`);
  }
}

/** The whole content, which must be no more than `length` bytes. */
export function unpack(packed: Uint8Array, length: number, what: string): Uint8Array {
  if (length > packed.length * LARGEST_RATIO) {
    throw new FormatError(`${what}: got ${packed.length} bytes of gzip data, which cannot hold the ${length} promised`);
  }
  // the last four bytes are the length of the last member: if that is all, it is unpacked in one piece
  const trailer = new DataView(packed.buffer, packed.byteOffset).getUint32(packed.length - 4, true);
  const isWhole = trailer === length % 2 ** 32;
  const content = run(packed, length, what, { isWhole });
  if (content === undefined)
    throw new FormatError(`${what}: got more than the ${length} bytes that the header promises`);
  return content;
}

/** Undefined if more than `most` bytes come out. */
function run(
  packed: Uint8Array,
  most: number,
  what: string,
  { isCut = false, isWhole = false },
): Uint8Array | undefined {
  const zlib = builtin<Zlib>("node:zlib");
  if (zlib === undefined) {
    throw new FormatError(`${what}: got gzip data, which this runtime cannot unpack at once: expected them unpacked`);
  }
  const options: Options = { maxOutputLength: Math.max(most, 1), info: true };
  if (isCut) options.finishFlush = zlib.constants.Z_SYNC_FLUSH;
  // one more than comes out, so that the end is seen
  if (isWhole) options.chunkSize = Math.max(most + 1, FIRST_TRY);
  try {
    const { buffer, engine } = zlib.gunzipSync(packed, options);
    const surplus = packed.length - engine.bytesWritten;
    if (surplus > 0) throw new FormatError(`${what}: got ${surplus} bytes behind the gzip data, expected none`);
    return buffer;
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const { code, name } = Object(cause) as { code?: unknown; name?: unknown };
    if (code === "ERR_BUFFER_TOO_LARGE") return undefined;
    // out of memory; by name, since the error may be of another realm
    if (name === "RangeError") throw new MemoryError(`${what}: no room to unpack ${most} bytes`, { cause });
    throw new FormatError(`${what}: the gzip data are damaged: ${reasonOf(cause)}`, { cause });
  }
}
