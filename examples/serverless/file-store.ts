import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot, Store } from "./store.js";

/** Says in its name which weights are the latest: REVISION-ID. */
const TOKEN = /^(\d+)-([\da-f-]+)$/;
/** Weights, and what a process leaves behind that dies at the first of them. */
const OURS = /^[\da-f-]+\.(safetensors|start)$/;

interface Latest {
  revision: number;
  id: string;
}

/**
 * In files FOLDER/NAME/ID.safetensors, which PyTorch reads too. FOLDER/NAME/latest holds nothing but an empty file, the token, with
 * the latest one's revision and ID for a name. Several processes may share the folder: who writes a revision renames the token from the
 * name that it had when the revision before was read, which succeeds for one of them only and never again.
 */
export class FileStore implements Store {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(name: string): Promise<Snapshot | undefined> {
    for (;;) {
      const latest = await this.#latest(name);
      if (latest === undefined) return undefined;
      try {
        return { weights: await readFile(this.#path(name, weightsFile(latest.id))), revision: latest.revision };
      } catch (error) {
        if (!isSystemError(error, "ENOENT")) throw error;
        // a later one has just taken its place, or it was lost
        if ((await this.#latest(name))?.id === latest.id) throw error;
      }
    }
  }

  async write(name: string, { weights, revision }: Snapshot): Promise<boolean> {
    const before = await this.#latest(name);
    if (revision !== (before?.revision ?? 0) + 1) return false;
    await mkdir(this.#path(name), { recursive: true });
    // also of others who are writing now: they saw the same token or an older one, and come too late if we are in time
    const old = (await readdir(this.#path(name))).filter((file) => OURS.test(file));
    const own = { revision, id: randomUUID() };
    let isLatest = false;
    try {
      await writeFile(this.#path(name, weightsFile(own.id)), weights, { flush: true });
      isLatest = before === undefined ? await this.#start(name, own) : await this.#follow(name, before, own);
    } finally {
      if (!isLatest) await removeAll(this.#path(name, weightsFile(own.id)));
    }
    // what cannot be removed is left to the next one: this revision stands
    if (isLatest) await Promise.allSettled(old.map((file) => removeAll(this.#path(name, file))));
    return isLatest;
  }

  /** The first token comes with its folder: a folder takes the place of none that has something in it. */
  async #start(name: string, own: Latest): Promise<boolean> {
    const folder = this.#path(name, `${own.id}.start`);
    try {
      return await isInTime(async () => {
        await mkdir(folder);
        await writeFile(join(folder, tokenOf(own)), "");
        await rename(folder, this.#path(name, "latest"));
      });
    } finally {
      await removeAll(folder);
    }
  }

  #follow(name: string, before: Latest, own: Latest): Promise<boolean> {
    return isInTime(() =>
      rename(this.#path(name, "latest", tokenOf(before)), this.#path(name, "latest", tokenOf(own))),
    );
  }

  async #latest(name: string): Promise<Latest | undefined> {
    try {
      const tokens = (await readdir(this.#path(name, "latest"))).flatMap(readToken);
      // a folder that is read while a file gets another name may show both
      return tokens.toSorted((a, b) => a.revision - b.revision).at(-1);
    } catch (error) {
      if (isSystemError(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  #path(name: string, ...file: string[]): string {
    return join(this.#folder, name, ...file);
  }
}

const weightsFile = (id: string): string => `${id}.safetensors`;
const tokenOf = ({ revision, id }: Latest): string => `${revision}-${id}`;

function readToken(file: string): Latest[] {
  const [, revision, id] = TOKEN.exec(file) ?? [];
  return id === undefined ? [] : [{ revision: Number(revision), id }];
}

const removeAll = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

/** False where somebody else was faster: what was to be renamed is gone, or its new name is taken. */
async function isInTime(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTEMPTY", "EEXIST"].some((code) => isSystemError(error, code))) return false;
    throw error;
  }
}

const isSystemError = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
