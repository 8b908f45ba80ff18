import { imageFeature } from "./feature.js";
import type { KernelSet } from "./kernels.js";
import { askForUnsharedMemory, decode } from "./module-text.js";
import { core, layouts } from "./pieces.js";
import type { Code } from "./wide/compile.js";

/**
 * The kernel modules that travel inside the JavaScript: they survive every bundler and need no file access or top-level await. Most of
 * their functions are the same, so both are there in one list of pieces, in turns of all sets and of each (written by `npm run build`);
 * the kernels for images come in if the program needs them.
 * modules.edge.ts stands in for this file where nothing can be compiled from bytes.
 */
export { images as imagePieces } from "./pieces.js";

export type WasmKernelSet = Exclude<KernelSet, "js">;

const TURNS = 3;
/** Of the code section's size, a LEB128 number with as many bytes as there can be. */
const SIZE_BYTES = 5;
const TURN: Record<WasmKernelSet, number> = { simd: 1, "relaxed-simd": 2 };

/** Whether the modules can be had for a shared memory. */
export const isMadeForSharing: boolean = true;

/** Whether this build has a set. */
export const hasModule = (set: WasmKernelSet): boolean => set in TURN;

const compiled = new Map<string, WebAssembly.Module>();

/** The module of a set, for a memory that is shared or not; compiled once. */
export function moduleOf(set: WasmKernelSet, isShared: boolean): WebAssembly.Module {
  const key = `${set} ${isShared}`;
  let module = compiled.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(codeOf(set, isShared).bytes);
    compiled.set(key, module);
  }
  return module;
}

/** A build, for a memory that is shared or not, and which of its functions can be widened. */
export function codeOf(set: WasmKernelSet, isShared: boolean): Code {
  const bytes = assemble(set);
  if (!isShared) askForUnsharedMemory(bytes);
  return { bytes, widening: layouts[set].widening };
}

function assemble(set: WasmKernelSet): Uint8Array<ArrayBuffer> {
  const images = imageFeature()?.pieces;
  const pieces = images === undefined ? core : core.map((piece, i) => images[i] ?? piece);
  const bytes = decode(pieces.filter((_, i) => i % TURNS === 0 || i % TURNS === TURN[set]).join(""));
  const { codeSizeAt, tailBytes } = layouts[set];
  const code = codeSizeAt + SIZE_BYTES;
  for (let i = 0, rest = bytes.length - tailBytes - code; i < SIZE_BYTES; i++, rest >>>= 7) {
    bytes[codeSizeAt + i] = (rest & 127) | (i < SIZE_BYTES - 1 ? 128 : 0);
  }
  return bytes;
}
