// A file's bytes, as the caller gave them, and what kind of file they are if not the expected one.

import { reading, show } from "../checks.js";
import { ArgumentError, MemoryError } from "../errors.js";
import { isByteArray, lengthOf, MOST_AXES, placeOf } from "../values.js";

/** A file's bytes: a Uint8Array (a Buffer is one), or an ArrayBuffer as `fetch` gives it. */
export type FileBytes = Uint8Array | Uint8ClampedArray | ArrayBufferLike;

/** The bytes of a file, of any realm. They are copied if another thread could write them, or the buffer could shrink. */
export function readBytes(value: unknown, what: string): Uint8Array {
  return reading(what, () => {
    const isView = isByteArray(value);
    if (!isView && !isBuffer(value)) {
      throw new ArgumentError(`${what}: got ${show(value)}, expected a Uint8Array or ArrayBuffer`);
    }
    const view = isView ? viewOf(value, what) : new Uint8Array(value);
    const { buffer } = view;
    return hasGetter(ArrayBuffer, buffer) && !buffer.resizable ? view : new Uint8Array(view);
  });
}

/** The array's bytes, by the accessors of all typed arrays: a subclass may have others. */
function viewOf(array: Uint8Array | Uint8ClampedArray, what: string): Uint8Array<ArrayBufferLike & Resizable> {
  const length = lengthOf(array, what);
  const { buffer, byteOffset } = placeOf(array);
  return new Uint8Array(buffer, byteOffset, length);
}

/** In newer runtimes an ArrayBuffer has this. */
interface Resizable {
  readonly resizable?: boolean;
}

const isBuffer = (value: unknown): value is ArrayBufferLike & Resizable =>
  hasGetter(ArrayBuffer, value) || (typeof SharedArrayBuffer === "function" && hasGetter(SharedArrayBuffer, value));

/** Whether a value is a buffer of this class, of any realm: the class's accessor takes nothing else. */
function hasGetter(type: { prototype: object }, value: unknown): value is ArrayBuffer & Resizable {
  try {
    Object.getOwnPropertyDescriptor(type.prototype, "byteLength")!.get!.call(value);
    return true;
  } catch {
    return false;
  }
}

/** The number of values; undefined for a shape that no tensor can have, of too many axes or values. */
export function countOf(shape: readonly number[]): number | undefined {
  const product = shape.reduce((size, length) => size * Math.max(length, 1), 1);
  if (shape.length > MOST_AXES || product > Number.MAX_SAFE_INTEGER) return undefined;
  return shape.includes(0) ? 0 : product;
}

/** Allocates, or throws a MemoryError. */
export function makeRoom<T>(bytes: number, what: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new MemoryError(`${what}: no room for ${bytes} bytes`, { cause });
  }
}

const startsWith = (bytes: Uint8Array, ...start: readonly number[]): boolean =>
  start.every((byte, i) => bytes[i] === byte);

/** What kind of file these bytes are, if it is one that we know. */
export function tellFile(bytes: Uint8Array): string | undefined {
  if (startsWith(bytes, 0x50, 0x4b, 3, 4)) return "a zip archive, as PyTorch's .pt and NumPy's .npz files are";
  if (startsWith(bytes, 0x80) && bytes[1] >= 2 && bytes[1] <= 5)
    return "a Python pickle, as old .pt and .pth files are";
  if (startsWith(bytes, 0x89, 0x48, 0x44, 0x46)) return "an HDF5 file";
  const text = String.fromCharCode(...bytes.subarray(0, 256));
  if (text.startsWith("version https://git-lfs")) return "a git-lfs pointer: `git lfs pull` fetches the file itself";
  if (/^(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|!--|\?xml)/i.test(text)) {
    return "an HTML page: is the address right, and does the server want a login?";
  }
  return /^\s*[[{]\s*["[{\d\]}]/.test(text) ? "JSON text" : undefined;
}

export const isGzip = (bytes: Uint8Array): boolean => startsWith(bytes, 0x1f, 0x8b);

export const isIdx = (bytes: Uint8Array): boolean => startsWith(bytes, 0, 0) && bytes[2] >= 0x08 && bytes[2] <= 0x0e;

/** A header of less than 2^40 bytes that begins with {. */
export const isSafeTensors = (bytes: Uint8Array): boolean =>
  startsWith(bytes.subarray(5), 0, 0, 0) && bytes[8] === 0x7b;
