import { EngineError } from "../errors.js";
import { builtin } from "../host-types.js";
import { askForMemory } from "./module-text.js";
import type { WasmKernelSet } from "./modules.js";
import { whole } from "./pieces.js";
import type { Code } from "./wide/compile.js";

/**
 * Stands in for codes.ts in CommonJS, which only programs load that have files: bundlers take the ES module. The package has the kernels as
 * files, for the edge; so they need not be there once more as text.
 */

/** CommonJS' own: where index.cjs is, and its import. */
declare const __dirname: string;
declare const require: (name: string) => unknown;

interface FileSystem {
  readFileSync(path: string): Uint8Array;
}

/** One module with every kernel; for the rest, see codes.ts. */
export function codesOf(set: WasmKernelSet, isShared: boolean): Code[] {
  const bytes = read(`${__dirname}/kernels/${set}.wasm`);
  return [{ bytes: askForMemory(bytes, isShared), widening: whole[set] }];
}

/** Where a file cannot be read, "auto" takes the twin, ten times as slow: not without a word. */
function read(path: string): Uint8Array<ArrayBuffer> {
  try {
    // test runners mock what is required; Node 22.0 to 22.2 has nothing else
    const fs = builtin<FileSystem>("node:fs") ?? (require("node:fs") as FileSystem);
    return new Uint8Array(fs.readFileSync(path));
  } catch (cause) {
    const message = `cannot read ${path}: deploy dist/kernels beside index.cjs, or bundle the ES module`;
    const warn = builtin<{ emitWarning(message: string): void }>("node:process")?.emitWarning ?? console.warn;
    warn(`lanegrad: ${message}`);
    throw new EngineError(`createEngine: ${message}`, { cause });
  }
}
