import { unwatch, watch } from "./collector.js";
import type { Engine } from "./engine.js";
import { sameShape, sizeOf, Tensor, TensorStorage } from "./tensor.js";

/** A buffer and the shape it is wanted in. */
export type BufferRequest = readonly [buffer: TensorBuffer, shape: readonly number[]];

/** The buffers that become a record of tensors, by the same names; undefined where there will be none. */
export type Requests<Tensors> = {
  readonly [Name in keyof Tensors]: BufferRequest | Extract<Tensors[Name], undefined>;
};

/**
 * Counts the changes that may end what was found out about layers: that a buffer changed its tensor, or that a layer was disposed. While
 * it stays, every tensor that was taken is still there, and every layer that was usable still is.
 */
export let changes = 0;

export function noteChange(): void {
  changes++;
}

/**
 * A tensor that a layer keeps and overwrites: the same object while the shape stays. When the shape changes the old object is
 * disposed and a new one takes its storage, or a larger one. A steady loop allocates nothing.
 */
export class TensorBuffer {
  #tensor: Tensor | undefined;
  /** The tensor's, which passes from one to the next. */
  #storage: TensorStorage | undefined;

  constructor(
    readonly engine: Engine,
    /** Whether a layer's messages write it, so that a tensor given to one of them may lie in it. */
    readonly isOfLayer = false,
  ) {}

  /** Whether the tensor, or another handle on its memory, lies here. */
  holds({ memory }: Pick<Tensor, "memory">): boolean {
    return this.#storage === memory;
  }

  fits(shape: readonly number[]): boolean {
    return this.#tensor !== undefined && sameShape(this.#tensor.shape, shape);
  }

  /** The tensor in this shape. Its content is whatever was there. */
  take(shape: readonly number[]): Tensor {
    if (this.#tensor !== undefined && sameShape(this.#tensor.shape, shape)) return this.#tensor;
    return this.replace(shape, this.storageFor(shape));
  }

  /** Storage that holds `shape`: today's if it is large enough and nobody else has a handle on it. */
  storageFor(shape: readonly number[]): TensorStorage {
    const current = this.#storage;
    const size = sizeOf(shape);
    if (current !== undefined && current.capacity >= size && !current.isShared) return current;
    return TensorStorage.allocate(this.engine, size);
  }

  replace(shape: readonly number[], storage: TensorStorage): Tensor {
    const previous = this.#tensor;
    if (this.#storage === storage) {
      storage.retain();
    } else {
      // the buffer stands for its tensors, which come and go with every change of shape
      if (previous !== undefined) unwatch(this);
      watch(this, storage);
    }
    previous?.discard();
    this.#tensor = new Tensor(storage, shape, true, this);
    this.#storage = storage;
    noteChange();
    return this.#tensor;
  }

  dispose(): void {
    if (this.#tensor === undefined) return;
    unwatch(this);
    this.#tensor.discard();
    this.#tensor = undefined;
    this.#storage = undefined;
    noteChange();
  }
}

/** Several buffers in their shapes, or none: where memory runs out all stay as they were. */
export function takeAll(requests: readonly BufferRequest[]): Tensor[] {
  const storages: (TensorStorage | undefined)[] = [];
  try {
    for (const [buffer, shape] of requests) storages.push(buffer.fits(shape) ? undefined : buffer.storageFor(shape));
  } catch (error) {
    storages.forEach((storage, i) => {
      if (storage !== undefined && !requests[i][0].holds({ memory: storage })) storage.release();
    });
    throw error;
  }
  return requests.map(([buffer, shape], i) => {
    const storage = storages[i];
    return storage === undefined ? buffer.take(shape) : buffer.replace(shape, storage);
  });
}

/** The memory of a message, asked for by names layer by layer and then taken at once: all of it, or none. */
export class Reservation {
  readonly #places: { record: Record<string, unknown>; name: string; request: BufferRequest }[] = [];

  /** The record itself, which has its tensors in the requests' places once the memory was taken: so records of a layer are of one shape. */
  add<Tensors extends object>(requests: Requests<Tensors>): Tensors {
    const record = requests as Record<string, unknown>;
    for (const name in record) {
      const request = record[name] as BufferRequest | undefined;
      if (request !== undefined) this.#places.push({ record, name, request });
    }
    return record as Tensors;
  }

  take(): void {
    const tensors = takeAll(this.#places.map(({ request }) => request));
    this.#places.forEach(({ record, name }, i) => {
      record[name] = tensors[i];
    });
  }
}
