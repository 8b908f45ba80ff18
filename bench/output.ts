import { renameSync, rmSync, writeFileSync } from "node:fs";
import { InputError } from "./options.js";

/** A file to be. */
export interface Output extends Disposable {
  save(text: string): void;
}

/**
 * Finds out now, and not after minutes of measuring, whether the file can be written; what it held stays until the new
 * text is whole.
 */
export function openOutput(file: string): Output {
  const partial = `${file}.partial`;
  try {
    writeFileSync(partial, "");
  } catch (error) {
    throw new InputError(`--json: ${(error as Error).message}`);
  }
  return {
    save(text) {
      writeFileSync(partial, text);
      renameSync(partial, file);
    },
    [Symbol.dispose]: () => rmSync(partial, { force: true }),
  };
}
