// Values from the caller. They are recognised by what they are, of any realm, and read once: what was checked is what is used.

import { isArray, reading, reasonOf, show, showShape, type Text } from "./checks.js";
import { ArgumentError, ShapeError } from "./errors.js";
import type { Floats } from "./host-types.js";

/** The typed arrays that numbers may come in. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** Nested arrays of numbers, row-major and not ragged. The innermost may be Float32Arrays or Float64Arrays. */
export type NestedNumbers = number | Float32Array | Float64Array | readonly NestedNumbers[];

/** The accessors of all typed arrays. They tell the truth for arrays of any realm, and for subclasses with accessors of their own. */
const slots = /* @__PURE__ */ readSlots();

interface Slots {
  kind(this: unknown): string | undefined;
  length(this: unknown): number;
  buffer(this: unknown): ArrayBuffer;
  byteOffset(this: unknown): number;
}

function readSlots(): Slots {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype);
  const getter = (key: PropertyKey) => Object.getOwnPropertyDescriptor(prototype, key)!.get!;
  return {
    kind: getter(Symbol.toStringTag),
    length: getter("length"),
    buffer: getter("buffer"),
    byteOffset: getter("byteOffset"),
  };
}

/** "Float32Array" and so on; undefined for what is no typed array. */
export const kindOf = (value: unknown): string | undefined => slots.kind.call(value);

export const isFloat32Array = (value: unknown): value is Float32Array => kindOf(value) === "Float32Array";

/** Float32Array or Float64Array. */
export function isFloatArray(value: unknown): value is Float32Array | Float64Array {
  const kind = kindOf(value);
  return kind === "Float32Array" || kind === "Float64Array";
}

/** A typed array of numbers: no bigints, and no half floats, which not every runtime has. */
export function isNumberArray(value: unknown): value is NumberArray {
  const kind = kindOf(value);
  return kind !== undefined && /^(Uint|Int|Float32|Float64)/.test(kind);
}

/** A typed array of bytes 0..255. */
export function isByteArray(value: unknown): value is Uint8Array | Uint8ClampedArray {
  const kind = kindOf(value);
  return kind === "Uint8Array" || kind === "Uint8ClampedArray";
}

/** The buffer under a typed array, and its offset there. */
export const placeOf = (array: ArrayBufferView): { buffer: ArrayBuffer; byteOffset: number } => ({
  buffer: slots.buffer.call(array),
  byteOffset: slots.byteOffset.call(array),
});

/** How many values a typed array has now. Throws an ArgumentError if its buffer was detached or became too short. */
export function lengthOf(array: ArrayBufferView, what: Text): number {
  const length = slots.length.call(array);
  if (length === 0) checkAttached(array, what);
  return length;
}

function checkAttached(array: ArrayBufferView, what: Text): void {
  try {
    // the cheapest method that checks for memory under the array
    Uint8Array.prototype.keys.call(array as Uint8Array);
  } catch (cause) {
    throw new ArgumentError(
      `${what}: got ${show(array)} whose buffer was detached (transferred to another thread, say) or is too short now`,
      { cause },
    );
  }
}

/** Copies `count` values from `start` on. Throws an ArgumentError if the array no longer has as many. */
export function copyValues(source: NumberArray, start: number, count: number, target: Float32Array, what: Text): void {
  if (start === 0 && slots.length.call(source) === count) {
    target.set(source);
    return;
  }
  target.set(part(source, start, count, what));
}

/** `count` values from `start` on, as a view of the array's own kind. */
export function part(source: NumberArray, start: number, count: number, what: Text): NumberArray {
  try {
    // not `subarray`, which a subclass may override
    const View = VIEWS[kindOf(source) as keyof typeof VIEWS];
    const { buffer, byteOffset } = placeOf(source);
    return new View(buffer, byteOffset + start * View.BYTES_PER_ELEMENT, count);
  } catch (cause) {
    throw new ArgumentError(
      `${what}: got ${show(source)} that had ${start + count} values and has ${slots.length.call(source)} now: ${reasonOf(cause)}`,
      { cause },
    );
  }
}

const VIEWS = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
};

/** A flat typed array as float32 values of our own. */
export function copyOf(source: NumberArray, what: string): Floats {
  const values = new Float32Array(lengthOf(source, what));
  copyValues(source, 0, values.length, values, what);
  return values;
}

/** The length of an array, checked: a proxy may return anything. */
export function lengthOfItems(items: readonly unknown[], what: Text): number {
  const { length } = items;
  if (!(Number.isSafeInteger(length) && length >= 0)) {
    throw new ArgumentError(`${what}: got an array of length ${show(length)}, expected an integer >= 0`);
  }
  return length;
}

/** A copy of nested arrays: their values in one row, and their shape. */
export interface Flat {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The most axes of a shape. */
export const MOST_AXES = 32;
const MOST_VALUES = 2 ** 31 - 1;

/**
 * Copies nested arrays, every item read once. Throws ShapeError for ragged arrays and for more than 32 axes, ArgumentError for an item
 * that is no number.
 */
export function readNested(data: unknown, what: Text): Flat {
  return reading(what, () => {
    const walk = new Walk(what);
    walk.visit(data, 0);
    return { shape: walk.shape, values: walk.values ?? new Float32Array(0) };
  });
}

/** Copies a row of a known shape, numbers or nested arrays, to `target` from `position` on. Throws as `readNested` does. */
export type RowReader = (row: unknown, target: Float32Array, position: number) => void;

/** For rows of arrays of this shape [N, ...]. */
export function rowReader(shape: readonly number[], what: string): RowReader {
  const walk = new Walk(what, shape);
  return (row, target, position) => walk.copyRow(row, target, position);
}

/** An item of an array of this shape, which must be a number. */
export function numberOf(item: unknown, shape: readonly number[], what: Text): number {
  if (typeof item !== "number") throw wrongItem(item, shape, what);
  return item;
}

function wrongItem(item: unknown, shape: readonly number[], what: Text): Error {
  if (isArray(item) || isFloatArray(item)) {
    return new ShapeError(`${what}: got ragged arrays, expected ${showShape(shape)}`);
  }
  return new ArgumentError(`${what}: got ${show(item)} as a value, expected numbers`);
}

/** A walk through nested arrays. If the shape is not known, the first items tell it; all others must have it. */
class Walk {
  readonly shape: number[];
  values: Float32Array | undefined;
  #position = 0;

  constructor(
    readonly what: Text,
    shape: readonly number[] = [],
  ) {
    this.shape = [...shape];
  }

  copyRow(row: unknown, target: Float32Array, position: number): void {
    this.values = target;
    this.#position = position;
    this.visit(row, 1);
  }

  visit(item: unknown, axis: number): void {
    if (isArray(item)) this.#visitArray(item, axis);
    else if (isFloatArray(item)) this.#visitRow(item, axis);
    else this.#visitNumber(item, axis);
  }

  /** Learns the length of an axis, or checks it. */
  #enter(length: number, axis: number): void {
    if (this.values === undefined && axis === this.shape.length) {
      if (axis === MOST_AXES) throw new ShapeError(`${this.what}: got arrays nested deeper than ${MOST_AXES} axes`);
      this.shape.push(length);
    } else if (this.shape[axis] !== length) {
      throw new ShapeError(`${this.what}: got ragged arrays, expected ${showShape(this.shape)}`);
    }
  }

  #visitArray(items: readonly unknown[], axis: number): void {
    const length = lengthOfItems(items, this.what);
    this.#enter(length, axis);
    if (length === 0) {
      this.#target();
      return;
    }
    const first = items[0];
    this.visit(first, axis + 1);
    if (typeof first === "number") this.#visitRest(items, length, axis + 1);
    else for (let i = 1; i < length; i++) this.visit(items[i], axis + 1);
  }

  /** All items but the first, in the common case: numbers. */
  #visitRest(items: readonly unknown[], length: number, axis: number): void {
    const target = this.#target();
    let position = this.#position;
    for (let i = 1; i < length; i++) {
      const item = items[i];
      if (typeof item !== "number") throw wrongItem(item, this.shape.slice(0, axis), this.what);
      target[position++] = item;
    }
    this.#position = position;
  }

  #visitRow(row: Float32Array | Float64Array, axis: number): void {
    const length = lengthOf(row, this.what);
    this.#enter(length, axis);
    const target = this.#target();
    if (axis + 1 !== this.shape.length) throw wrongItem(row, this.shape, this.what);
    copyValues(row, 0, length, target.subarray(this.#position, this.#position + length), this.what);
    this.#position += length;
  }

  #visitNumber(item: unknown, axis: number): void {
    if (typeof item !== "number") throw wrongItem(item, this.shape, this.what);
    const target = this.#target();
    if (axis !== this.shape.length) {
      throw new ShapeError(`${this.what}: got ragged arrays, expected ${showShape(this.shape)}`);
    }
    target[this.#position++] = item;
  }

  /** Where the values go. It is made at the first of them, when the shape is known. */
  #target(): Float32Array {
    if (this.values === undefined) {
      const size = this.shape.reduce((product, length) => product * length, 1);
      if (size > MOST_VALUES) {
        throw new ShapeError(
          `${this.what}: got arrays of the shape ${showShape(this.shape)}, expected at most ${MOST_VALUES} values`,
        );
      }
      this.values = new Float32Array(size);
    }
    return this.values;
  }
}

/**
 * A copy of labels, each read once and checked: integers in 0..classes-1, or >= 0 if `classes` is not given. Takes a number, a flat array,
 * or a typed array of integers or of floats with integer values.
 */
export function readLabels(labels: unknown, classes: number | undefined, what: string): Int32Array {
  return reading(what, () => {
    const items = typeof labels === "number" ? [labels] : labels;
    const isTyped = kindOf(items) !== undefined;
    if (!isTyped && !isArray(items)) {
      throw new ArgumentError(`${what}: got ${show(labels)} as labels, expected an array of integers`);
    }
    const length = isTyped ? lengthOf(items as NumberArray, what) : lengthOfItems(items as unknown[], what);
    const result = new Int32Array(length);
    for (let i = 0; i < length; i++) result[i] = labelOf((items as ArrayLike<unknown>)[i], i, classes, what);
    return result;
  });
}

const INT32_END = 2 ** 31;

/** The item at place `at` of an array as a label: an integer in 0..classes-1 or, without `classes`, from `least` to 2^31 - 1. */
export function labelOf(item: unknown, at: number, classes: number | undefined, what: string, least = 0): number {
  // beyond 2^53 a bigint loses digits, but is out of range anyway
  const label = typeof item === "bigint" ? Number(item) : item;
  if (typeof label === "number" && Number.isInteger(label) && label >= least && label < (classes ?? INT32_END)) {
    return label;
  }
  throw wrongLabel(
    item,
    at,
    classes === undefined ? `an integer >= ${least}` : `an integer in 0..${classes - 1}`,
    what,
  );
}

function wrongLabel(item: unknown, at: number, expected: string, what: string): ArgumentError {
  let hint = "";
  if (isArray(item) || kindOf(item) !== undefined) hint = "; of a one-hot row give the place of its 1 (argmax)";
  else if (typeof item === "number" && Number.isFinite(item) && !Number.isInteger(item)) {
    hint =
      '; values to come close to are for mseLoss or bceWithLogits, and labels get to a loss of your own in fit by targets: "labels"';
  }
  return new ArgumentError(`${what}: got the label ${show(item)} at ${at}, expected ${expected}${hint}`);
}
