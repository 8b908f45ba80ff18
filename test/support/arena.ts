import type { LinearMemory } from "../../src/memory.js";
import type { Problems } from "./compare.js";

/** A quiet NaN with a payload that no arithmetic produces: read by mistake it shows in a result, overwritten it is missed. */
const GUARD = 0x7fc0dead;
const GUARD_WORDS = 16;
/** Where a region with shift 0 starts: as tensors do, at a multiple of 64 bytes. */
const ALIGNMENT_WORDS = 16;

export interface Placement {
  /** Words past a multiple of 64 bytes. */
  shift?: number;
  rows?: number;
  /** Words from row to row. */
  stride?: number;
}

/** A matrix (or a row) in the arena; `address` is its byte offset in the linear memory. */
export interface Region {
  readonly address: number;
  readonly start: number;
  readonly rows: number;
  readonly length: number;
  readonly stride: number;
}

/**
 * Lays out the buffers of one kernel call in one block of linear memory, with guard words around every buffer and between the
 * rows of matrices with gaps. `run` puts everything there (again), makes the call and notes whether any word outside the outputs
 * changed: guards, gaps and operands.
 */
export class Arena {
  readonly #memory: LinearMemory;
  readonly #base: number;
  readonly #image: Int32Array;
  readonly #floats: Float32Array;
  #top = 0;
  #outputs: Region[] = [];

  constructor(memory: LinearMemory, words: number) {
    this.#memory = memory;
    this.#base = memory.allocate(words * 4) / 4;
    this.#image = new Int32Array(words).fill(GUARD);
    this.#floats = new Float32Array(this.#image.buffer);
  }

  /** Forgets every buffer. */
  clear(): void {
    this.#image.fill(GUARD, 0, this.#top);
    this.#top = 0;
    this.#outputs = [];
  }

  /** A buffer that the call must leave as it is. */
  input(values: Float32Array | Int32Array, { shift = 0, rows = 1, stride }: Placement = {}): Region {
    const length = rows === 0 ? 0 : values.length / rows;
    stride ??= length;
    const guarded = this.#top + GUARD_WORDS;
    const start = Math.ceil(guarded / ALIGNMENT_WORDS) * ALIGNMENT_WORDS + shift;
    const end = start + Math.max(0, rows - 1) * stride + length;
    if (end + GUARD_WORDS > this.#image.length) throw new Error(`the arena is too small for ${end} words`);
    const image = values instanceof Int32Array ? this.#image : this.#floats;
    for (let row = 0; row < rows; row++) {
      image.set(values.subarray(row * length, (row + 1) * length), start + row * stride);
    }
    this.#top = end + GUARD_WORDS;
    return { address: (this.#base + start) * 4, start, rows, length, stride };
  }

  /** A buffer that the call may write. */
  output(values: Float32Array, placement?: Placement): Region {
    const region = this.input(values, placement);
    this.#outputs.push(region);
    return region;
  }

  run<T>(call: () => T, problems: Problems, label: () => string): T {
    this.#memory.i32.set(this.#image.subarray(0, this.#top), this.#base);
    const result = call();
    problems.note(label, this.#damage());
    return result;
  }

  read({ start, rows, length, stride }: Region): Float32Array {
    const values = new Float32Array(rows * length);
    const from = this.#base + start;
    for (let row = 0; row < rows; row++) {
      values.set(this.#memory.f32.subarray(from + row * stride, from + row * stride + length), row * length);
    }
    return values;
  }

  /** The first word outside the outputs that is no longer what it was, in words. */
  #damage(): string | undefined {
    let from = 0;
    for (const { start, rows, length, stride } of this.#outputs) {
      for (let row = 0; row < rows; row++) {
        const problem = this.#changed(from, start + row * stride);
        if (problem !== undefined) return problem;
        from = start + row * stride + length;
      }
    }
    return this.#changed(from, this.#top);
  }

  #changed(from: number, to: number): string | undefined {
    const heap = this.#memory.i32;
    for (let i = from; i < to; i++) {
      const now = heap[this.#base + i];
      if (now !== this.#image[i]) {
        const kind = this.#image[i] === GUARD ? "a guard word" : "an operand";
        return `${kind} was overwritten: byte ${(this.#base + i) * 4} holds 0x${(now >>> 0).toString(16)}`;
      }
    }
    return undefined;
  }
}
