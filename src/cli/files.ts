import { constants, type Stats } from "node:fs";
import { access, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError, reasonOf } from "./failures.js";

const failure = (path: string, error: unknown): InputError => new InputError(`${path}: ${reasonOf(error)}`);

/** A file's bytes; "-" is standard input. Throws an InputError. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    if (path !== "-") return await readFile(path);
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    return Buffer.concat(chunks);
  } catch (error) {
    throw failure(path === "-" ? "standard input" : path, error);
  }
}

const statusOf = (path: string): Promise<Stats | undefined> => stat(path).catch(() => undefined);

/** Asks before long work whether a file can be written after it. Throws an InputError. */
export async function checkWritable(path: string): Promise<void> {
  const status = await statusOf(path);
  if (status?.isDirectory()) throw new InputError(`${path}: is a folder`);
  // what is no file, such as a pipe, is written to; a file is replaced by a new one
  const written = status === undefined || status.isFile() ? dirname(path) : path;
  try {
    if (!(await stat(dirname(path))).isDirectory()) throw new InputError(`${dirname(path)}: is no folder`);
    await access(written, constants.W_OK);
  } catch (error) {
    throw error instanceof InputError ? error : failure(path, error);
  }
}

/** Writes a file whole or not at all: it takes its name when it is on the disk. Throws an InputError. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const status = await statusOf(path);
  const unfinished = `${path}.${process.pid}.unfinished`;
  try {
    if (status !== undefined && !status.isFile()) return await writeFile(path, content);
    await writeFile(unfinished, content, { flush: true });
    await rename(unfinished, path);
    await flushFolder(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw failure(path, error);
  }
}

/** So that the name outlives a crash of the machine, where the system can do that. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
