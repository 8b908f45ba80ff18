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
   * Stores a snapshot whose revision follows the latest one's. False, and nothing is changed, where somebody else has stored one of
   * that revision meanwhile. (A conditional write, as DynamoDB and S3 have it.)
   */
  write(name: string, snapshot: Snapshot): Promise<boolean>;
}

/** In the memory of this process: gone when it ends, and nobody else's. */
export class MemoryStore implements Store {
  readonly #snapshots = new Map<string, Snapshot>();

  async read(name: string): Promise<Snapshot | undefined> {
    return this.#snapshots.get(name);
  }

  async write(name: string, snapshot: Snapshot): Promise<boolean> {
    const { revision } = this.#snapshots.get(name) ?? { revision: 0 };
    if (revision >= snapshot.revision) return false;
    this.#snapshots.set(name, snapshot);
    return true;
  }
}
