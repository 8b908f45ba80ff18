import { constants } from "node:fs";
import { access, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import * as lg from "lanegrad";
import { InputError } from "./errors.js";

/** Reads weights into the net; a file that is missing, damaged or of another net is an InputError. */
export async function loadWeights(net: lg.Layer, path: string): Promise<void> {
  try {
    lg.load(net, await readFile(path));
  } catch (error) {
    throw new InputError(`--load ${path}: ${(error as Error).message}`);
  }
}

/** Asks before training whether the file can be written after it. */
export async function checkWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw new InputError(`--save ${path}: ${(error as Error).message}`);
  }
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (isFolder) throw new InputError(`--save ${path}: is a folder`);
}

/** The whole file or none: it takes its name when it is complete. */
export async function saveWeights(net: lg.Layer, path: string): Promise<void> {
  const unfinished = `${path}.${process.pid}.unfinished`;
  try {
    await writeFile(unfinished, lg.save(net), { flush: true });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw new InputError(`--save ${path}: ${(error as Error).message}`);
  }
}
