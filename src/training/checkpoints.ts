import { reasonOf } from "../checks.js";
import { FormatError, LanegradError, StateError } from "../errors.js";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, type Resumable, resume } from "./checkpoint.js";
import { CheckpointFile, type CheckpointSettings } from "./checkpoint-file.js";
import { now } from "./turns.js";

/** The checkpoints of one training: finds the newest, and writes when it is time. */
export class Checkpoints {
  readonly #settings: CheckpointSettings;
  readonly #file: CheckpointFile;
  /** Where the one that was found lies. */
  #found = "";
  /** When the last one was written, or the training began, and how long that took, in milliseconds. */
  #last = now();
  #cost = 0;

  /** Throws a StateError if another training writes the file. */
  constructor(settings: CheckpointSettings) {
    this.#settings = settings;
    this.#file = new CheckpointFile(settings);
  }

  close(): void {
    this.#file.close();
  }

  /** The newest that is whole; undefined if there is none at all. Throws a FormatError if all are damaged. */
  find(): Checkpoint | undefined {
    this.#file.removeStale();
    const problems: string[] = [];
    for (const { path, bytes } of this.#file.find()) {
      try {
        const checkpoint = decodeCheckpoint(bytes);
        this.#found = path;
        return checkpoint;
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        problems.push(`${path}: ${reasonOf(error)}`);
        if (path === this.#file.path) this.#file.distrustLast();
      }
    }
    if (problems.length === 0) return undefined;
    throw new FormatError(`fit: checkpoint: ${problems.join("; ")}; to begin anew take the file away`);
  }

  /** Takes a training to where the checkpoint was written. Throws StateError or FormatError; then nothing has changed. */
  resume(checkpoint: Checkpoint, training: Resumable): void {
    try {
      resume(checkpoint, training, this.#settings.allowOtherKernels);
    } catch (error) {
      if (!(error instanceof LanegradError)) throw error;
      const Kind = error instanceof FormatError ? FormatError : error instanceof StateError ? StateError : undefined;
      throw Kind === undefined
        ? error
        : new Kind(`fit: checkpoint: ${this.#found}: ${error.message}`, { cause: error });
    }
  }

  /** Whether it is time to write. */
  get isDue(): boolean {
    const { everySeconds, leastShare } = this.#settings;
    const passed = now() - this.#last;
    return passed >= everySeconds * 1000 && passed >= leastShare * this.#cost;
  }

  /** The same after an epoch, counted from 1. */
  isDueAfter(epoch: number): boolean {
    return epoch % this.#settings.everyEpochs === 0 || this.isDue;
  }

  /** Throws an EngineError if that fails. */
  write(training: Resumable): void {
    const begin = now();
    this.#file.write(encodeCheckpoint(training));
    this.#last = now();
    this.#cost = this.#last - begin;
  }
}
