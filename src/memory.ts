import { collectDropped, collectGarbage } from "./collector.js";
import { MemoryError } from "./errors.js";

/** Views over a whole linear memory. They are replaced when it grows: read them again after anything may have allocated. */
export interface Heap {
  readonly f32: Float32Array;
  readonly i32: Int32Array;
}

const PAGE = 65_536;
/** A 32-bit address reaches no further. */
const MOST_PAGES = 65_536;
const ALIGNMENT = 64;
/** The lowest addresses hold the static data of the WebAssembly module (asconfig.json's `memoryBase` and what follows). */
const HEAP_BASE = PAGE;
/** Growing costs a system call and, unless memory is shared, new views: so it grows by a sixteenth, at least by 1 MiB. */
const MINIMUM_GROWTH = 1 << 20;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

interface FreeBlock {
  offset: number;
  bytes: number;
}

/**
 * One engine's linear memory and its allocator: first fit over a list of free blocks, sorted by address and merged with their
 * neighbours. Allocating and freeing the same sizes for ever ends up at the same addresses. Blocks are aligned to 64 bytes.
 * A shared memory is preferred even for a single thread: its views stay valid when it grows.
 *
 * If the runtime has no room for `maximum`, it takes less. If there is none at all, or no WebAssembly, an ordinary buffer takes its place,
 * provided that it `mayBeArray`: the twin can run over one.
 */
export class LinearMemory implements Heap {
  readonly memory: WebAssembly.Memory;
  readonly maximum: number;
  readonly isShared: boolean;
  f32!: Float32Array;
  i32!: Int32Array;
  used = 0;
  peak = 0;
  /** What was in use at the last collection, or the least in use since. */
  #settled = 0;
  readonly #isReduced: boolean;
  readonly #free: FreeBlock[] = [];
  readonly #sizes = new Map<number, number>();

  constructor({
    maximum,
    isShared = typeof SharedArrayBuffer !== "undefined",
    mayBeArray = false,
  }: { maximum: number; isShared?: boolean; mayBeArray?: boolean }) {
    const pages = Math.floor(maximum / PAGE);
    if (pages * PAGE <= HEAP_BASE) {
      throw new MemoryError(`maximumMemory: got ${maximum} bytes, expected more than ${HEAP_BASE + PAGE}`);
    }
    const initial = Math.min(pages, (HEAP_BASE + MINIMUM_GROWTH) / PAGE);
    const opened = openMemory(initial, pages, isShared) ?? (mayBeArray ? openArray(initial, pages) : undefined);
    if (opened === undefined) {
      throw new MemoryError(
        `the runtime has no room for a memory of ${pages * PAGE} bytes or less: dispose other engines` +
          (mayBeArray ? "" : ', or take createEngine({ kernels: "js" }), which runs over an ordinary buffer'),
      );
    }
    this.memory = opened.memory;
    this.maximum = opened.pages * PAGE;
    this.isShared = isShared && !this.isArray;
    this.#isReduced = opened.pages < pages;
    this.#free.push({ offset: HEAP_BASE, bytes: this.reserved - HEAP_BASE });
    this.#readViews();
  }

  /** Whether it is an ordinary buffer: WebAssembly cannot use that. */
  get isArray(): boolean {
    return this.memory instanceof ArrayMemory;
  }

  /** The size of the linear memory in bytes. */
  get reserved(): number {
    return this.memory.buffer.byteLength;
  }

  /** The offset of a block of at least `bytes`, its content undefined. Throws MemoryError if there is no room; then nothing has changed. */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, roundUp(bytes, ALIGNMENT));
    this.#collectIfDue();
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
    this.#settled = Math.min(this.#settled, this.used);
    this.#insertFree({ offset, bytes });
  }

  /** Takes what is in use now for what will stay in use. */
  settle(): void {
    this.#settled = this.used;
  }

  /**
   * What was allocated since the last collection may have been dropped. It is collected before that is a third of the room left: what is
   * found comes back only at a turn of the event loop.
   */
  #collectIfDue(): void {
    const due = Math.max((this.maximum - this.used) / 3, this.maximum / 16);
    if (this.used - this.#settled >= due) this.#collect();
  }

  #collect(): void {
    if (this.used > this.#settled) collectDropped();
    this.settle();
  }

  /**
   * Ends the memory's use. The next engine of the same maximum takes it over, or it is collected, as it always is where another thread
   * may still write to it. Old views still lie over it.
   */
  release({ mayBeWritten = false } = {}): void {
    const { memory } = this;
    this.f32 = new Float32Array(0);
    this.i32 = new Int32Array(0);
    if (!mayBeWritten) handOver({ memory, pages: this.maximum / PAGE, isShared: this.isShared });
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

  /** Grows the memory until its last free block has `size` bytes. */
  #grow(size: number): void {
    const end = this.reserved;
    const last = this.#free.at(-1);
    const atEnd = last !== undefined && last.offset + last.bytes === end ? last.bytes : 0;
    const needed = roundUp(size - atEnd, PAGE);
    const wanted = Math.max(needed, MINIMUM_GROWTH, roundUp(end / (this.isArray ? 2 : 16), PAGE));
    const growth = Math.min(wanted, this.maximum - end);
    const isRefused = growth >= needed && !this.#growBy(growth);
    if (growth < needed || isRefused) {
      this.#collect();
      throw new MemoryError(this.#outOfMemory(size, isRefused ? needed : 0));
    }
    this.#insertFree({ offset: end, bytes: growth });
    this.#readViews();
  }

  #outOfMemory(size: number, refused: number): string {
    const { used, maximum } = this;
    const canBeMore = refused === 0 && !this.#isReduced && maximum < MOST_PAGES * PAGE;
    return (
      `out of linear memory: ${size} bytes were asked for, ${used} are in use, ${maximum} are allowed` +
      (refused > 0 ? `, and the runtime refuses to add ${refused} to the ${this.reserved} that there are` : "") +
      (this.#isReduced ? ", which is all that the runtime had room for" : "") +
      ` (${canBeMore ? "createEngine({ maximumMemory }) allows more; " : ""}in a synchronous loop dispose the tensors you make, ` +
      "make them inside tidy(), or pass Float32Arrays: dropped tensors come back at a turn of the event loop only)"
    );
  }

  #growBy(bytes: number): boolean {
    try {
      this.memory.grow(bytes / PAGE);
      if (!this.isArray) noteReserved(bytes);
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

/** Takes the place of a WebAssembly.Memory. Growing detaches all views, as an unshared memory does. */
class ArrayMemory {
  buffer: ArrayBuffer;

  constructor(pages: number) {
    this.buffer = new ArrayBuffer(pages * PAGE);
  }

  grow(pages: number): number {
    const { buffer } = this;
    this.buffer = new ArrayBuffer(buffer.byteLength + pages * PAGE);
    new Uint8Array(this.buffer).set(new Uint8Array(buffer));
    const before = buffer.byteLength / PAGE;
    // detaches the old views: writes to them must not go unnoticed
    structuredClone(buffer, { transfer: [buffer] });
    return before;
  }
}

/** A memory, and how many pages it may grow to. */
interface Opened {
  readonly memory: WebAssembly.Memory;
  readonly pages: number;
}

function openArray(initial: number, pages: number): Opened | undefined {
  try {
    return { memory: new ArrayMemory(initial) as unknown as WebAssembly.Memory, pages };
  } catch {
    return undefined;
  }
}

/** A WebAssembly.Memory of this maximum; if the runtime has no room, of a half, a quarter, ... of it; or undefined. */
function openMemory(initial: number, pages: number, isShared: boolean): Opened | undefined {
  if (typeof WebAssembly === "undefined") return undefined;
  const taken = takeOver(pages, isShared);
  if (taken !== undefined) return { memory: taken, pages };
  const memory = reserve(initial, pages, isShared);
  if (memory !== undefined) return { memory, pages };
  pool.length = 0;
  // many runtimes reserve the same room for every maximum: then smaller ones need not be tried
  if (!canReserve(initial, isShared)) return undefined;
  for (let most = pages; most >= initial; most >>>= 1) {
    const smaller = reserve(initial, most, isShared);
    if (smaller !== undefined) return { memory: smaller, pages: most };
  }
  return undefined;
}

/** Tries a memory of this size. Scarce room is free again at the next request: a memory that is dropped is collected then. */
const canReserve = (pages: number, isShared: boolean): boolean => reserve(pages, pages, isShared) !== undefined;

/** Without room for the maximum, V8 gives a memory that cannot grow. So it has to grow once here. */
function reserve(initial: number, maximum: number, shared: boolean): WebAssembly.Memory | undefined {
  const step = Math.min(1, maximum - initial);
  try {
    const memory = new WebAssembly.Memory({ initial: initial - step, maximum, shared });
    if (step > 0) memory.grow(step);
    noteReserved(initial * PAGE);
    return memory;
  } catch {
    return undefined;
  }
}

interface Pooled extends Opened {
  readonly isShared: boolean;
}

/**
 * Memories of disposed engines, the oldest first. The collector does not know how much a shared memory holds, and would let dropped ones pile
 * up. Large ones are not kept, since a memory cannot shrink.
 */
const pool: Pooled[] = [];
const MOST_POOLED = 64 << 20;

/** A memory of a disposed engine. Its first page, where modules expect zeros, is cleared. */
function takeOver(pages: number, isShared: boolean): WebAssembly.Memory | undefined {
  const index = pool.findIndex((pooled) => pooled.pages === pages && pooled.isShared === isShared);
  if (index < 0) return undefined;
  const [{ memory }] = pool.splice(index, 1);
  new Uint8Array(memory.buffer, 0, HEAP_BASE).fill(0);
  return memory;
}

function handOver(memory: Pooled): void {
  pool.push(memory);
  const bytes = (): number => pool.reduce((sum, pooled) => sum + pooled.memory.buffer.byteLength, 0);
  while (bytes() > MOST_POOLED) pool.shift();
}

/** Bytes of memories that were reserved since the last collection. */
let reservedSince = 0;
const MOST_RESERVED = 256 << 20;

/** Dropped memories come back when garbage is collected, which only this makes happen. */
function noteReserved(bytes: number): void {
  reservedSince += bytes;
  if (reservedSince < MOST_RESERVED) return;
  reservedSince = 0;
  collectGarbage();
}
