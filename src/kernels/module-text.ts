import { coders } from "../host-types.js";

/**
 * Bytes as printable ASCII: one character for the bytes that WebAssembly mostly consists of, two for the rest. Unlike base64 it keeps
 * bytes apart, so that gzip finds in the text what it would find in the bytes: the text of a module compresses to the size of the
 * compressed module.
 */

/** "#"; the space and the quotation mark are below. */
const FIRST = 35;
/** "#" to "~". The last two start a pair. */
const CHARACTERS = 92;
const SINGLES = CHARACTERS - 2;
const FIRST_OF_PAIR = FIRST + SINGLES;
/** Turns 0xfd, which SIMD instructions start with, into a single character. */
const SHIFT = 3;

export function encode(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    const value = (byte + SHIFT) & 255;
    if (value < SINGLES) return String.fromCharCode(FIRST + value);
    const rest = value - SINGLES;
    return String.fromCharCode(FIRST_OF_PAIR + Math.floor(rest / CHARACTERS), FIRST + (rest % CHARACTERS));
  }).join("");
}

export function decode(text: string): Uint8Array<ArrayBuffer> {
  // a cold start waits for this loop: over bytes it takes two thirds of the time that it takes over a string
  const bytes = new (coders().TextEncoder)().encode(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i];
    if (code < FIRST_OF_PAIR) bytes[length++] = code - FIRST - SHIFT;
    else bytes[length++] = SINGLES - SHIFT - FIRST + (code - FIRST_OF_PAIR) * CHARACTERS + bytes[++i];
  }
  return bytes.slice(0, length);
}

/** One byte of a kernel module says whether it asks for a shared memory; this sets it, in place. */
export function askForMemory<T extends Uint8Array>(bytes: T, isShared: boolean): T {
  const text = (name: string): number[] => [name.length, ...Array.from(name, (character) => character.charCodeAt(0))];
  // the import env.memory, up to the kind of its limits: 3 is shared with a maximum, 1 is not shared
  const memoryImport = [...text("env"), ...text("memory"), 2];
  const start = bytes.findIndex((_, i) => memoryImport.every((byte, j) => bytes[i + j] === byte));
  bytes[start + memoryImport.length] = isShared ? 3 : 1;
  return bytes;
}
