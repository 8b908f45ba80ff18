import { checkBoolean, checkNonNegative, checkOptions, checkSize, reading, reasonOf, show } from "../checks.js";
import { ArgumentError, EngineError, StateError } from "../errors.js";
import { builtin } from "../host-types.js";
import { Optimizer } from "../optimizers/optimizer.js";
import type { Stepper } from "./settings.js";

/** A path, or a URL object with file:. */
export type FilePath =
  | string
  | {
      /** As of a URL. */
      readonly href: string;
    };

/**
 * Where and how often `fit` writes its state: weights, optimizer, place in the epoch, generators, history, early stopping's best net. A
 * training with the same options that finds the file goes on from there, and ends with the same bits as one that was not interrupted.
 *
 * - It is written between batches, when the training ends, and when a signal ends it. Writing takes at most 2 % of the time at the default
 *   interval.
 * - It is written under another name, flushed and renamed. The one before is kept as `<path>.previous`, and is read if the file is damaged.
 * - The file of a training that has ended gives its history and its net: nothing is trained, unless `epochs` is larger now.
 * - Another net, optimizer, batch size, seed, data size or kernel set is a StateError that says what differs, two damaged files are a FormatError.
 * - A write that fails (a full disk) ends the training with an EngineError, which has the system's error as `cause` and the records so far as
 *   `history`. The file before stays, and the net keeps what it has learned.
 */
export interface CheckpointOptions {
  /** The file. Its folder must exist. */
  path: FilePath;
  /** Seconds from one write to the next, finite and >= 0; default 30, or never if `everyEpochs` is given. */
  everySeconds?: number;
  /** Writes after so many epochs, an integer >= 1; default: never. */
  everyEpochs?: number;
  /** Whether a checkpoint of another kernel set may be continued, with other bits then; default false. */
  allowOtherKernels?: boolean;
}

/** Checked options. */
export interface CheckpointSettings {
  readonly path: string;
  readonly everySeconds: number;
  readonly everyEpochs: number;
  readonly allowOtherKernels: boolean;
  /** How many times longer than a write takes the training goes on before the next. */
  readonly leastShare: number;
  readonly fs: FileSystem;
}

/** What is needed of node:fs. */
interface FileSystem {
  readFileSync(path: string): Uint8Array;
  openSync(path: string, flags: string): number;
  writeSync(file: number, bytes: Uint8Array, offset: number): number;
  fsyncSync(file: number): void;
  closeSync(file: number): void;
  renameSync(from: string, to: string): void;
  unlinkSync(path: string): void;
  readdirSync(path: string): string[];
  statSync(path: string): { isDirectory(): boolean };
}

interface Paths {
  dirname(path: string): string;
  basename(path: string): string;
  join(...parts: string[]): string;
  resolve(path: string): string;
}

interface Process {
  readonly pid: number;
  kill(pid: number, signal: number): void;
}

const OPTIONS = ["path", "everySeconds", "everyEpochs", "allowOtherKernels"] as const;
const DEFAULT_SECONDS = 30;
const LEAST_SHARE = 50;

export function readCheckpointSettings(given: unknown, optimizer: Stepper): CheckpointSettings | undefined {
  if (given === undefined) return undefined;
  const what = "fit: checkpoint";
  const options = isPath(given) ? { path: given } : checkOptions(given as CheckpointOptions, OPTIONS, what);
  const { path, everyEpochs, allowOtherKernels = false }: Partial<CheckpointOptions> = options;
  const {
    everySeconds = everyEpochs === undefined ? DEFAULT_SECONDS : Number.POSITIVE_INFINITY,
  }: Partial<CheckpointOptions> = options;
  if (options.everySeconds !== undefined) checkNonNegative(everySeconds, `${what}: everySeconds`);
  if (everyEpochs !== undefined) checkSize(everyEpochs, `${what}: everyEpochs`);
  checkBoolean(allowOtherKernels, `${what}: allowOtherKernels`);
  if (!isPath(path)) throw new ArgumentError(`${what}: path: got ${show(path)}, expected a path`);
  if (!Optimizer.isOne(optimizer)) {
    throw new ArgumentError(
      `${what}: got ${show(optimizer)} as optimizer, expected one of lanegrad, whose state can be kept`,
    );
  }
  const fs = builtin<FileSystem>("node:fs");
  if (fs === undefined) throw new EngineError(`${what}: this runtime has no file system`);
  return {
    path: absolute(path, fs, what),
    everySeconds,
    everyEpochs: everyEpochs ?? Number.POSITIVE_INFINITY,
    allowOtherKernels,
    leastShare: options.everySeconds === undefined ? LEAST_SHARE : 0,
    fs,
  };
}

const isPath = (given: unknown): given is FilePath =>
  (typeof given === "string" && given !== "") ||
  reading("fit: checkpoint", () => typeof (Object(given) as { href?: unknown }).href === "string");

const paths = (): Paths => builtin<Paths>("node:path")!;

/** The whole path, checked as far as it can be before the first write. */
function absolute(given: FilePath, fs: FileSystem, what: string): string {
  const isDirectory = (path: string): boolean => {
    try {
      return fs.statSync(path).isDirectory();
    } catch {
      return false;
    }
  };
  const path = reading(what, () =>
    paths().resolve(
      typeof given === "string"
        ? given
        : builtin<{ fileURLToPath(href: string): string }>("node:url")!.fileURLToPath(given.href),
    ),
  );
  if (isDirectory(path)) throw new ArgumentError(`${what}: got ${show(path)}, which is a folder, expected a file`);
  const folder = paths().dirname(path);
  if (!isDirectory(folder)) throw new ArgumentError(`${what}: got ${show(path)}, whose folder does not exist`);
  return path;
}

/** Files that a training of this process writes. */
const open = /* @__PURE__ */ new Set<string>();

/** A file as it was found. */
export interface FoundFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A checkpoint's files: the last, the one before, and one that is being written. */
export class CheckpointFile {
  readonly #path: string;
  readonly #fs: FileSystem;
  /** Whether the last file is worth keeping as the one before. */
  #isGood = true;

  /** Throws a StateError if another training writes this file. */
  constructor({ path, fs }: CheckpointSettings) {
    if (open.has(path)) throw new StateError(`fit: checkpoint: ${path} is being written by another fit`);
    this.#path = path;
    this.#fs = fs;
    open.add(path);
  }

  get path(): string {
    return this.#path;
  }

  get #previous(): string {
    return `${this.#path}.previous`;
  }

  close(): void {
    open.delete(this.#path);
  }

  /** The files that are there, the newest first. */
  find(): FoundFile[] {
    return [this.#path, this.#previous].flatMap((path) => {
      const bytes = this.#read(path);
      return bytes === undefined ? [] : [{ path, bytes }];
    });
  }

  #read(path: string): Uint8Array | undefined {
    try {
      // a Buffer's methods are not all those of its class
      const { buffer, byteOffset, length } = this.#fs.readFileSync(path);
      return new Uint8Array(buffer, byteOffset, length);
    } catch (cause) {
      if ((cause as { code?: string }).code === "ENOENT") return undefined;
      throw new EngineError(`fit: checkpoint: reading ${path} failed: ${reasonOf(cause)}`, { cause });
    }
  }

  /** The last file is damaged: the next one takes its place, and the one before stays. */
  distrustLast(): void {
    this.#isGood = false;
  }

  /** Throws an EngineError if that fails; then the files are as they were. */
  write(bytes: Uint8Array): void {
    const fs = this.#fs;
    const temporary = `${this.#path}.${processOf().pid}.tmp`;
    try {
      this.#writeAll(temporary, bytes);
      if (this.#isGood) this.#keepLast();
      fs.renameSync(temporary, this.#path);
    } catch (cause) {
      quietly(() => fs.unlinkSync(temporary));
      throw new EngineError(`fit: checkpoint: writing ${this.#path} failed: ${reasonOf(cause)}`, { cause });
    }
    this.#isGood = true;
    this.#flushFolder();
  }

  #writeAll(path: string, bytes: Uint8Array): void {
    const fs = this.#fs;
    const file = fs.openSync(path, "w");
    try {
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(file, bytes, at);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
  }

  #keepLast(): void {
    try {
      this.#fs.renameSync(this.#path, this.#previous);
    } catch (cause) {
      if ((cause as { code?: string }).code !== "ENOENT") throw cause;
    }
  }

  /** So that the new name survives a loss of power. Windows does not open folders, and needs no flush. */
  #flushFolder(): void {
    const fs = this.#fs;
    quietly(() => {
      const folder = fs.openSync(paths().dirname(this.#path), "r");
      try {
        fs.fsyncSync(folder);
      } finally {
        fs.closeSync(folder);
      }
    });
  }

  /** Removes what processes left that were killed while they wrote. */
  removeStale(): void {
    const fs = this.#fs;
    const folder = paths().dirname(this.#path);
    const start = `${paths().basename(this.#path)}.`;
    quietly(() => {
      for (const name of fs.readdirSync(folder)) {
        const [, pid] = name.startsWith(start) ? (/^(\d+)\.tmp$/.exec(name.slice(start.length)) ?? []) : [];
        if (pid !== undefined && !isAlive(Number(pid))) quietly(() => fs.unlinkSync(paths().join(folder, name)));
      }
    });
  }
}

const processOf = (): Process => (globalThis as unknown as { process: Process }).process;

/** Whether another process of this number runs. In containers the number of the one that died may be ours. */
function isAlive(pid: number): boolean {
  if (pid === processOf().pid) return false;
  try {
    processOf().kill(pid, 0);
    return true;
  } catch (error) {
    // somebody else's
    return (error as { code?: string }).code === "EPERM";
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // it is no worse than before
  }
}
