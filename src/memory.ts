import { MemoryError } from "./errors.js";

/** Views over a whole linear memory. They are replaced when it grows: read them again after anything may have allocated. */
export interface Heap {
  readonly f32: Float32Array;
  readonly i32: Int32Array;
}

const PAGE = 65_536;
const ALIGNMENT = 64;
/** The lowest addresses hold the static data of the WebAssembly module (asconfig.json's `memoryBase` and what follows). */
const HEAP_BASE = PAGE;
/** Growing costs a system call and, where memory is not shared, new views: take a sixteenth of what there is, at least 1 MiB. */
const MINIMUM_GROWTH = 1 << 20;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

interface FreeBlock {
  offset: number;
  bytes: number;
}

/**
 * One engine's linear memory and its allocator: first fit over a list of free blocks sorted by address, neighbours merged when
 * freed, so that allocating and freeing the same sizes for ever settles into the same addresses. Blocks are aligned to 64 bytes.
 * A shared memory is used wherever there is one, even for a single thread: its views stay valid when it grows.
 */
export class LinearMemory implements Heap {
  readonly memory: WebAssembly.Memory;
  readonly maximum: number;
  readonly isShared: boolean;
  f32!: Float32Array;
  i32!: Int32Array;
  used = 0;
  peak = 0;
  readonly #free: FreeBlock[] = [];
  readonly #sizes = new Map<number, number>();

  constructor({
    maximum,
    isShared = typeof SharedArrayBuffer !== "undefined",
  }: { maximum: number; isShared?: boolean }) {
    const pages = Math.floor(maximum / PAGE);
    const initial = Math.min(pages, (HEAP_BASE + MINIMUM_GROWTH) / PAGE);
    if (pages * PAGE <= HEAP_BASE) {
      throw new MemoryError(`maximumMemory: got ${maximum} bytes, expected more than ${HEAP_BASE + PAGE}`);
    }
    this.isShared = isShared;
    this.memory = new WebAssembly.Memory({ initial, maximum: pages, shared: isShared });
    this.maximum = pages * PAGE;
    this.#free.push({ offset: HEAP_BASE, bytes: this.reserved - HEAP_BASE });
    this.#readViews();
  }

  /** The size of the linear memory in bytes. */
  get reserved(): number {
    return this.memory.buffer.byteLength;
  }

  /** A block of at least `bytes`, as its offset; its content is whatever was there. Throws MemoryError and changes nothing where there is no room. */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, roundUp(bytes, ALIGNMENT));
    let index = this.#free.findIndex((block) => block.bytes >= size);
    if (index < 0) {
      this.#grow(size);
      index = this.#free.length - 1;
    }
    const block = this.#free[index];
    const offset = block.offset;
    if (block.bytes === size) {
      this.#free.splice(index, 1);
    } else {
      block.offset += size;
      block.bytes -= size;
    }
    this.#sizes.set(offset, size);
    this.used += size;
    this.peak = Math.max(this.peak, this.used);
    return offset;
  }

  free(offset: number): void {
    const bytes = this.#sizes.get(offset);
    if (bytes === undefined) throw new Error(`free: no block at ${offset}`);
    this.#sizes.delete(offset);
    this.used -= bytes;
    this.#insertFree({ offset, bytes });
  }

  #insertFree(block: FreeBlock): void {
    const list = this.#free;
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (list[middle].offset < block.offset) low = middle + 1;
      else high = middle;
    }
    const before = list[low - 1];
    const after = list[low];
    const joinsBefore = before !== undefined && before.offset + before.bytes === block.offset;
    const joinsAfter = after !== undefined && block.offset + block.bytes === after.offset;
    if (joinsBefore) {
      before.bytes += block.bytes;
      if (joinsAfter) {
        before.bytes += after.bytes;
        list.splice(low, 1);
      }
    } else if (joinsAfter) {
      after.offset = block.offset;
      after.bytes += block.bytes;
    } else {
      list.splice(low, 0, block);
    }
  }

  /** Makes room for a block of `size` at the end of the memory; the last free block then has it. */
  #grow(size: number): void {
    const end = this.reserved;
    const last = this.#free.at(-1);
    const atEnd = last !== undefined && last.offset + last.bytes === end ? last.bytes : 0;
    const needed = roundUp(size - atEnd, PAGE);
    const wanted = Math.max(needed, MINIMUM_GROWTH, roundUp(end / 16, PAGE));
    const growth = Math.min(wanted, this.maximum - end);
    if (growth < needed || !this.#growBy(growth)) {
      throw new MemoryError(
        `out of linear memory: ${size} bytes were asked for, ${this.used} are in use, ${this.maximum} are allowed ` +
          "(createEngine({ maximumMemory }) allows more; in a synchronous loop dispose the tensors you make: dropped ones are collected at a turn of the event loop)",
      );
    }
    this.#insertFree({ offset: end, bytes: growth });
    this.#readViews();
  }

  #growBy(bytes: number): boolean {
    try {
      this.memory.grow(bytes / PAGE);
      return true;
    } catch {
      return false;
    }
  }

  #readViews(): void {
    this.f32 = new Float32Array(this.memory.buffer);
    this.i32 = new Int32Array(this.memory.buffer);
  }
}
