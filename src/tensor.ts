import type { TensorBuffer } from "./buffers.js";
import { COPY, checkNumber, isArray, type Mark, mark, reading, show, showShape, type Text } from "./checks.js";
import { unwatch, watch } from "./collector.js";
import type { Engine } from "./engine.js";
import { ArgumentError, EngineError, ShapeError, StateError } from "./errors.js";
import { printed } from "./print.js";
import { copyOf, type Flat, isFloatArray, MOST_AXES, type NestedNumbers, readNested } from "./values.js";
import { WeakBag } from "./weak.js";

/** What becomes a tensor: a flat typed array of floats, or numbers nested as deep as the shape. */
export type TensorData = NestedNumbers;

/** The number of values: 0 wherever an axis is 0, however long the others claim to be. */
export const sizeOf = (shape: readonly number[]): number =>
  shape.includes(0) ? 0 : shape.reduce((size, length) => size * length, 1);

/** A plain loop: it runs several times in every message. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** What a gradient stands for beside its values. */
export type GradientFlags = Readonly<Pick<TensorStorage, "zeroPending" | "isNone" | "untouched">>;

/**
 * A block of the linear memory that one or more tensors look at. `version` counts writes by layers and kernels, so that a layer
 * can tell when the input it remembers was overwritten. `zeroPending` stands for "all zeros" without having written them.
 *
 * Of gradients: `isNone` is true as long as nobody has sent, written or fetched one since `zeroGrad`, or ever: optimizers skip the
 * parameter. `untouched` is true from `zeroGrad` to the first parameter message, which a penalty joins.
 */
export class TensorStorage {
  version = 0;
  zeroPending = false;
  isNone = false;
  untouched = true;
  #handles = 1;

  constructor(
    readonly engine: Engine,
    readonly offset: number,
    /** How many floats fit. */
    readonly capacity: number,
  ) {}

  static allocate(engine: Engine, size: number): TensorStorage {
    return new TensorStorage(engine, engine.linear.allocate(size * 4), size);
  }

  get isShared(): boolean {
    return this.#handles > 1;
  }

  retain(): void {
    this.#handles++;
  }

  release(): void {
    if (--this.#handles === 0 && !this.engine.disposed) this.engine.linear.free(this.offset);
  }
}

/** What a loss keeps with a tensor. */
export interface Companion {
  dispose(): void;
  holds(tensor: Tensor): boolean;
}

/**
 * An accessor of each tensor's own, so that equality (assert.deepStrictEqual, a test runner's toEqual) goes by shape and values: all that
 * it sees of a tensor are its own enumerable properties. It goes when the tensor is disposed: equality must not ask for what is no more.
 */
const LIVE_VIEW: PropertyDescriptor & ThisType<Tensor> = {
  enumerable: true,
  configurable: true,
  get() {
    return this.writableView();
  },
};

/**
 * A float32 array in an engine's linear memory, row-major. Made by `engine.tensor`, `tensor` and `engine.zeros`, or handed out by
 * layers, which own theirs. Every method throws a StateError on a disposed tensor and an EngineError on a disposed engine.
 */
export class Tensor {
  /** The sizes of the axes, outermost first; [] for a single number. */
  readonly shape: readonly number[];
  /** How many elements it has: the product of the shape. */
  readonly size: number;
  readonly #storage: TensorStorage;
  readonly #owned: boolean;
  readonly #holder: TensorBuffer | undefined;
  #companion: Companion | undefined;
  #dependents: WeakBag<{ dispose(): void }> | undefined;
  #exact: number | undefined;
  #view: Float32Array | undefined;
  #disposed = false;

  /** @internal */
  constructor(storage: TensorStorage, shape: readonly number[], owned = false, holder?: TensorBuffer) {
    this.#storage = storage;
    this.#holder = holder;
    this.shape = Object.freeze([...shape]);
    this.size = sizeOf(shape);
    this.#owned = owned;
    if (holder === undefined) watch(this, storage);
    // the last property of all, so that taking it away again is cheap
    Object.defineProperty(this, "data", LIVE_VIEW);
  }

  /** Stands for the memory: the same object for every handle on it. @internal */
  get memory(): object {
    return this.#storage;
  }

  /** Whether somebody has another handle on the memory. @internal */
  get isShared(): boolean {
    return this.#storage.isShared;
  }

  /** Counts the writes by layers and kernels. @internal */
  get version(): number {
    return this.#storage.version;
  }

  /** Of a gradient: nobody has sent, written or fetched one since `zeroGrad`, or ever. @internal */
  get isNone(): boolean {
    return this.#storage.isNone;
  }

  /** Owned by a layer: not the caller's to dispose. @internal */
  get owned(): boolean {
    return this.#owned;
  }

  /** The buffer that holds the storage, if one does: it lives as long as this tensor, and gives the storage back. @internal */
  get holder(): TensorBuffer | undefined {
    return this.#holder;
  }

  /** What a loss keeps with its first argument. @internal */
  get companion(): Companion | undefined {
    return this.#companion;
  }

  set companion(companion: Companion | undefined) {
    this.#companion = companion;
  }

  /** What others keep for this tensor, and is given back with it. @internal */
  get dependents(): WeakBag<{ dispose(): void }> {
    this.#dependents ??= new WeakBag();
    return this.#dependents;
  }

  /** What a counter holds, which float32 cannot beyond 2^24; undefined for any other tensor. @internal */
  get exact(): number | undefined {
    return this.#exact;
  }

  set exact(value: number | undefined) {
    this.#exact = value;
  }

  /** @internal */
  get [COPY](): Mark {
    return mark("Tensor");
  }

  /** The engine whose memory it lies in. */
  get engine(): Engine {
    return this.#storage.engine;
  }

  /** Asks for a private field, which no proxy has and none can forbid. @internal */
  static isOne(value: unknown): value is Tensor {
    return typeof value === "object" && value !== null && #storage in value;
  }

  /** Whether it was disposed, by `dispose`, `tidy` or the layer that owns it. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * The live view over the linear memory: writes count at once. Fetch it again after anything may have allocated. In Node it lies
   * over a SharedArrayBuffer; `data.slice()` is an ordinary copy.
   */
  get data(): Float32Array {
    return this.writableView();
  }

  /** `data`. @internal */
  writableView(): Float32Array {
    const view = this.liveView();
    // it may be written to
    this.#storage.isNone = false;
    return view;
  }

  /** `data`, for reading only: a gradient that is none stays so. @internal */
  liveView(): Float32Array {
    const storage = this.#storage;
    this.assertUsable();
    if (storage.zeroPending) this.#writeZeros();
    const buffer = storage.engine.linear.memory.buffer;
    // a shared buffer never detaches: views over what it was before it grew stay good
    if (this.#view === undefined || this.#view.length !== this.size) {
      this.#view = new Float32Array(buffer, storage.offset, this.size);
      storage.engine.keepAlive(this.#view, this);
    }
    return this.#view;
  }

  /** Nested arrays of the values; a number for shape []. How deep they nest the shape tells and no type, so that all indexing compiles. */
  // biome-ignore lint/suspicious/noExplicitAny: a union would have to be taken apart at every level
  toArray(): any {
    const { shape } = this;
    const values = this.liveView();
    let position = 0;
    const level = (axis: number): NestedNumbers =>
      axis === shape.length ? values[position++] : Array.from({ length: shape[axis] }, () => level(axis + 1));
    return level(0);
  }

  /** For JSON.stringify: `toArray()`. */
  toJSON(): NestedNumbers {
    return this.toArray();
  }

  /** The shape and the values, shortened where there are many. */
  toString(): string {
    const title = `Tensor ${showShape(this.shape)}`;
    if (this.#disposed || this.engine.disposed) return `${title} (disposed)`;
    return `${title}\n${printed(this.shape, this.liveView())}`;
  }

  /** What console.log shows in Node. @internal */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** A copy in memory of its own, on the same engine. Throws MemoryError if there is no room. */
  clone(): Tensor {
    this.assertUsable();
    const copy = newTensor(this.engine, this.shape);
    copy.copyFrom(this);
    return handOut(copy);
  }

  /** Another shape over the same storage. Throws ShapeError where the sizes differ; 0 is a size, -1 is not. */
  reshape(shape: readonly number[]): Tensor {
    this.assertUsable();
    const wanted = checkShape(shape, "reshape");
    if (sizeOf(wanted) !== this.size) {
      throw new ShapeError(
        `reshape: got ${showShape(wanted)} (${sizeOf(wanted)} values), expected ${this.size} values as in ${showShape(this.shape)}`,
      );
    }
    this.#storage.retain();
    return handOut(new Tensor(this.#storage, wanted));
  }

  /** Sets every element to `value`, rounded to float32. Returns this. Throws ArgumentError for what is no number. */
  fill_(value: number): this {
    this.assertUsable();
    checkNumber(value, "fill_");
    this.engine.ops.fill(this.size, this.overwrite(), value);
    return this;
  }

  /**
   * this += scale · other, element by element. Returns this. Throws ShapeError where the shapes differ, ArgumentError for a wrong argument,
   * EngineError for a tensor of another engine.
   */
  add_(other: Tensor, scale = 1): this {
    this.assertUsable();
    checkTensor(other, "add_");
    checkNumber(scale, "add_: scale");
    checkSameEngine(this.engine, other.engine, "add_");
    if (!sameShape(this.shape, other.shape)) {
      throw new ShapeError(`add_: got ${showShape(other.shape)}, expected ${showShape(this.shape)}`);
    }
    this.engine.ops.addScaled(this.size, other.read(), this.modify(), scale);
    return this;
  }

  /** Frees the memory once the last handle on it is gone. A layer's tensor is a StateError. Disposing twice does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    if (this.owned)
      throw new StateError(`dispose: the tensor ${showShape(this.shape)} belongs to a layer; dispose the layer`);
    this.discard();
  }

  /** As `dispose`, at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** dispose for the owner. @internal */
  discard(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#view = undefined;
    Reflect.deleteProperty(this, "data");
    this.#companion?.dispose();
    if (this.#dependents !== undefined) for (const dependent of this.#dependents) dependent.dispose();
    if (this.holder === undefined) unwatch(this);
    this.#storage.release();
  }

  /** @internal */
  assertUsable(): void {
    if (this.#disposed) {
      throw new StateError(
        `the tensor ${showShape(this.shape)} was disposed (a layer disposes its tensor when the shape changes: fetch it again, or clone() it)`,
      );
    }
    this.#storage.engine.assertAlive();
  }

  /** Where the values lie, for a kernel after `startSum`. @internal */
  get offset(): number {
    return this.#storage.offset;
  }

  /** The offset, for a kernel that reads: pending zeros are written first. @internal */
  read(): number {
    const storage = this.#storage;
    if (storage.zeroPending) this.#writeZeros();
    return storage.offset;
  }

  /** The offset, for a kernel that writes every element and reads none. @internal */
  overwrite(): number {
    const storage = this.#storage;
    storage.version++;
    storage.zeroPending = false;
    storage.isNone = false;
    return storage.offset;
  }

  /** The offset, for a kernel that reads and writes: pending zeros are written first. @internal */
  modify(): number {
    this.read();
    return this.overwrite();
  }

  /**
   * For a kernel that adds to what is at `offset`, and writes it now: true where it has to add, false where it may overwrite, since the
   * tensor only stood for zeros. @internal
   */
  startSum(): boolean {
    const adds = !this.#storage.zeroPending;
    this.overwrite();
    return adds;
  }

  /** Counts a write that went through a view. @internal */
  markWritten(): void {
    this.#storage.version++;
  }

  /** Of a gradient: whether this is the first parameter message since `zeroGrad`; any later one is not. @internal */
  takeFirst(): boolean {
    const storage = this.#storage;
    const isFirst = storage.untouched;
    storage.untouched = false;
    return isFirst;
  }

  /** What is put back, by `putBack`, where a call leaves a gradient as it was. @internal */
  get flags(): GradientFlags {
    const { zeroPending, isNone, untouched } = this.#storage;
    return { zeroPending, isNone, untouched };
  }

  /** @internal */
  putBack(flags: GradientFlags): void {
    Object.assign(this.#storage, flags);
  }

  /** Stands for zeros from now on, without writing them; a gradient is none. @internal */
  markZero(): void {
    const storage = this.#storage;
    storage.zeroPending = true;
    storage.isNone = true;
    storage.untouched = true;
    storage.version++;
  }

  /** The value of a counter: the exact one, unless its data were written since. @internal */
  get counted(): number {
    const [value] = this.liveView();
    return this.exact !== undefined && Math.fround(this.exact) === value ? this.exact : value;
  }

  /** Sets a counter. @internal */
  setCounted(value: number): void {
    this.exact = value;
    this.data[0] = value;
    this.markWritten();
  }

  /** Takes the values of a tensor of the same shape, of any engine. @internal */
  copyFrom(source: Tensor): void {
    if (this.exact !== undefined || source.exact !== undefined) this.setCounted(source.counted);
    else {
      this.data.set(source.liveView());
      this.markWritten();
    }
  }

  /** Takes as many values as there are. @internal */
  copyValues(values: Float32Array): void {
    if (this.exact !== undefined) this.setCounted(values[0]);
    else this.data.set(values);
    this.markWritten();
  }

  #writeZeros(): void {
    this.#storage.zeroPending = false;
    this.engine.ops.fill(this.size, this.#storage.offset, 0);
  }
}

/** Whether a value is a tensor of this copy of the library. */
export const isTensor = (value: unknown): value is Tensor => Tensor.isOne(value);

/** Where the tensors that users' calls make are noted, inside `tidy`. */
let tracked: Set<Tensor> | undefined;

/** Has tensors noted in `made`, or nowhere; returns where they were before. */
export function trackTensors(made: Set<Tensor> | undefined): Set<Tensor> | undefined {
  const before = tracked;
  tracked = made;
  return before;
}

/** A tensor that becomes the user's own. */
export function handOut(tensor: Tensor): Tensor {
  tracked?.add(tensor);
  return tensor;
}

/** An uninitialised tensor that the caller fills. */
export function newTensor(engine: Engine, shape: readonly number[], owned = false): Tensor {
  return new Tensor(TensorStorage.allocate(engine, sizeOf(shape)), shape, owned);
}

export function zerosTensor(engine: Engine, shape: readonly number[]): Tensor {
  const storage = TensorStorage.allocate(engine, sizeOf(shape));
  const zeros = new Tensor(storage, shape);
  zeros.liveView().fill(0);
  storage.isNone = true;
  return zeros;
}

/** An axis of nothing beside others that promise more than this would be walked for ever. */
const LARGEST_EMPTY = 2 ** 24;

/** A shape as a copy of ours. Throws ArgumentError for what is no array, ShapeError for sizes that are not integers >= 0. */
export function checkShape(shape: unknown, what: string): readonly number[] {
  if (!isArray(shape)) throw new ArgumentError(`${what}: got ${show(shape)} as a shape, expected an array of sizes`);
  return reading(`${what}: shape`, () => {
    const sizes: unknown[] = Array.from({ length: Math.min(shape.length, MOST_AXES + 1) }, (_, axis) => shape[axis]);
    if (sizes.length > MOST_AXES) {
      throw new ShapeError(`${what}: got a shape of ${show(shape.length)} axes, expected at most ${MOST_AXES}`);
    }
    if (!sizes.every((size): size is number => Number.isSafeInteger(size) && (size as number) >= 0)) {
      throw new ShapeError(`${what}: got the shape [${sizes.map(show).join(", ")}], expected integers >= 0`);
    }
    const others = sizes.reduce((product, size) => product * Math.max(size, 1), 1);
    if (sizes.includes(0) && others > LARGEST_EMPTY) {
      throw new ShapeError(
        `${what}: got the shape ${showShape(sizes)}, expected at most ${LARGEST_EMPTY} beside an axis of 0`,
      );
    }
    return sizes;
  });
}

export function checkTensor(value: unknown, what: string): asserts value is Tensor {
  if (!isTensor(value)) throw new ArgumentError(`${what}: got ${show(value)}, expected a Tensor`);
  value.assertUsable();
}

export function checkSameEngine(expected: Engine, got: Engine, what: Text): void {
  if (expected !== got)
    throw new EngineError(`${what}: got a tensor of another engine; tensors and layers of one call share an engine`);
}

/** A tensor of its own from arrays; see `Engine.tensor`. */
export function tensorFrom(engine: Engine, data: TensorData, shape?: readonly number[]): Tensor {
  engine.assertAlive();
  const wanted = shape === undefined ? undefined : checkShape(shape, "tensor");
  const { shape: given, values } = readData(data);
  const isFlat = given.length === 1 || sizeOf(given) === 1;
  if (wanted !== undefined && !sameShape(given, wanted) && !(isFlat && values.length === sizeOf(wanted))) {
    throw new ShapeError(
      `tensor: got data of shape ${showShape(given)}, expected ${showShape(wanted)} or ${sizeOf(wanted)} values in a row`,
    );
  }
  const result = newTensor(engine, wanted ?? given);
  result.data.set(values);
  return result;
}

function readData(data: unknown): Flat {
  if (isFloatArray(data)) {
    const values = copyOf(data, "tensor");
    return { shape: [values.length], values };
  }
  if (typeof data !== "number" && !isArray(data)) {
    throw new ArgumentError(`tensor: got ${show(data)}, expected a Float32Array or (nested) arrays of numbers`);
  }
  return readNested(data, "tensor");
}

/** Independent draws from N(0, std²). Returns t. */
export function fillNormal(t: Tensor, std: number, generator = t.engine.generator): Tensor {
  const { key0, key1 } = generator.nextKey();
  t.engine.ops.normal(t.size, t.overwrite(), key0, key1, std);
  return t;
}

/** Independent draws from U(-bound, bound). Returns t. */
export function fillUniform(t: Tensor, bound: number, generator = t.engine.generator): Tensor {
  const { key0, key1 } = generator.nextKey();
  t.engine.ops.uniform(t.size, t.overwrite(), key0, key1, -bound, 2 * bound);
  return t;
}
