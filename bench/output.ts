import { renameSync, rmSync, writeFileSync } from "node:fs";
import { InputError } from "./options.js";

/** A file that will be written. */
export interface Output extends Disposable {
  save(text: string): void;
}

/**
 * Checks whether the file can be written before minutes of measuring. Its old content stays until the new text is complete.
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
