/**
 * A work array of doubles that only grows: kernels keep one each, so that a steady training loop allocates nothing.
 * Its content is whatever the last user left.
 */
export class Scratch {
  #array = new Float64Array(0);

  take(length: number): Float64Array {
    if (this.#array.length < length) this.#array = new Float64Array(length);
    return this.#array;
  }
}
