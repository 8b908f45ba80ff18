/** What is kept of a model. */
export interface Snapshot {
  weights: Uint8Array;
  /** How many examples it has learned. */
  revision: number;
}

/** Where models are kept, by their names. A snapshot is stored whole or not at all. */
export interface Store {
  /** The latest snapshot; undefined of a model that has not learned yet. */
  read(name: string): Promise<Snapshot | undefined>;
  /**
   * Stores a snapshot whose revision follows the latest one's. False, and nothing is changed, where it does not: somebody else has
   * stored one meanwhile. (A conditional write, as DynamoDB and S3 have it.)
   */
  write(name: string, snapshot: Snapshot): Promise<boolean>;
}

/** Some hundred megabytes of the network in model.ts. */
const MAXIMUM_MODELS = 1000;

/**
 * In the memory of this process: gone when it ends, and nobody else's. Where there are too many models, the one that was used least
 * recently is forgotten: it starts anew.
 */
export class MemoryStore implements Store {
  readonly #maximumModels: number;
  /** The least recently used first. */
  readonly #snapshots = new Map<string, Snapshot>();

  constructor({ maximumModels = MAXIMUM_MODELS } = {}) {
    this.#maximumModels = maximumModels;
  }

  async read(name: string): Promise<Snapshot | undefined> {
    const snapshot = this.#snapshots.get(name);
    if (snapshot !== undefined) this.#put(name, snapshot);
    return snapshot;
  }

  async write(name: string, snapshot: Snapshot): Promise<boolean> {
    const { revision } = this.#snapshots.get(name) ?? { revision: 0 };
    if (snapshot.revision !== revision + 1) return false;
    this.#put(name, snapshot);
    return true;
  }

  #put(name: string, snapshot: Snapshot): void {
    this.#snapshots.delete(name);
    this.#snapshots.set(name, snapshot);
    if (this.#snapshots.size <= this.#maximumModels) return;
    const [oldest] = this.#snapshots.keys();
    this.#snapshots.delete(oldest);
  }
}
