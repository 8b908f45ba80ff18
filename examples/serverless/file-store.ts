import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot, Store } from "./store.js";

/**
 * In files FOLDER/NAME/REVISION, which are safetensors files that PyTorch reads too. Several processes may share the folder: a file is
 * written beside its place and then linked to it, which happens at once, and for one of them only.
 */
export class FileStore implements Store {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(name: string): Promise<Snapshot | undefined> {
    for (;;) {
      const revision = Math.max(0, ...(await this.#revisions(name)));
      if (revision === 0) return undefined;
      try {
        return { weights: await readFile(this.#path(name, revision)), revision };
      } catch (error) {
        // a later one has just taken its place
        if (!isSystemError(error, "ENOENT")) throw error;
      }
    }
  }

  async write(name: string, { weights, revision }: Snapshot): Promise<boolean> {
    await mkdir(this.#path(name), { recursive: true });
    const beside = this.#path(name, `${randomUUID()}.tmp`);
    try {
      await writeFile(beside, weights, { flush: true });
      await link(beside, this.#path(name, revision));
    } catch (error) {
      if (isSystemError(error, "EEXIST")) return false;
      throw error;
    } finally {
      await rm(beside, { force: true });
    }
    const revisions = await this.#revisions(name);
    // the place was free again because others have gone further since
    const isLate = Math.max(...revisions) > revision;
    const old = revisions.filter((other) => (isLate ? other === revision : other < revision));
    await Promise.all(old.map((other) => rm(this.#path(name, other), { force: true })));
    return !isLate;
  }

  #path(name: string, ...file: (string | number)[]): string {
    return join(this.#folder, name, ...file.map(String));
  }

  async #revisions(name: string): Promise<number[]> {
    try {
      return (await readdir(this.#path(name))).filter((file) => /^\d+$/.test(file)).map(Number);
    } catch (error) {
      if (isSystemError(error, "ENOENT")) return [];
      throw error;
    }
  }
}

const isSystemError = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
