// What comes from outside: recognised by what it is, read once, and what was checked is what is used.

import { isArray, reading, reasonOf, show, showShape } from "./checks.js";
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

/** Nested arrays of numbers, row-major; every level has one length. The innermost may be Float32Arrays or Float64Arrays. */
export type NestedNumbers = number | Float32Array | Float64Array | readonly NestedNumbers[];

/**
 * The accessors of all typed arrays, which read what an array is: of any realm, and of a subclass that says something else.
 */
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

/** Where a typed array lies. */
export const placeOf = (array: ArrayBufferView): { buffer: ArrayBuffer; byteOffset: number } => ({
  buffer: slots.buffer.call(array),
  byteOffset: slots.byteOffset.call(array),
});

/** How many values a typed array has now. Throws an ArgumentError where its buffer was detached or no longer holds it. */
export function lengthOf(array: ArrayBufferView, what: string): number {
  const length = slots.length.call(array);
  if (length === 0) checkAttached(array, what);
  return length;
}

function checkAttached(array: ArrayBufferView, what: string): void {
  try {
    // asks nothing but whether there is memory under the array
    Uint8Array.prototype.keys.call(array as Uint8Array);
  } catch (cause) {
    throw new ArgumentError(
      `${what}: got ${show(array)} whose buffer was detached (transferred to another thread, say) or is too short now`,
      { cause },
    );
  }
}

/**
 * Copies `count` values from `start` on. Throws an ArgumentError where the array has no longer as many: its buffer was detached or
 * became shorter.
 */
export function copyValues(
  source: NumberArray,
  start: number,
  count: number,
  target: Float32Array,
  what: string,
): void {
  if (start === 0 && slots.length.call(source) === count) {
    target.set(source);
    return;
  }
  target.set(part(source, start, count, what));
}

/** `count` values from `start` on, as a view of the array's own kind. */
export function part(source: NumberArray, start: number, count: number, what: string): NumberArray {
  try {
    // not by `subarray`, which a subclass may make something else of
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

/** The length of an array, which a proxy may make anything. */
export function lengthOfItems(items: readonly unknown[], what: string): number {
  const { length } = items;
  if (!(Number.isSafeInteger(length) && length >= 0)) {
    throw new ArgumentError(`${what}: got an array of length ${show(length)}, expected an integer >= 0`);
  }
  return length;
}

/** Values in a row with their shape: a copy of what was given. */
export interface Flat {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Axes that a shape may have. */
export const MOST_AXES = 32;
const MOST_VALUES = 2 ** 31 - 1;

/**
 * Nested arrays as values in a row, every item read once. Throws ShapeError for ragged arrays and more than 32 axes, ArgumentError for
 * an item that is no number.
 */
export function readNested(data: unknown, what: string): Flat {
  return reading(what, () => {
    const walk = new Walk(what);
    walk.visit(data, 0);
    return { shape: walk.shape, values: walk.values ?? new Float32Array(0) };
  });
}

/** Copies a row of a known shape, numbers or nested arrays, to where it is told. Throws as `readNested` does. */
export type RowReader = (row: unknown, target: Float32Array, position: number) => void;

/** For rows of arrays of this shape [N, ...]. */
export function rowReader(shape: readonly number[], what: string): RowReader {
  const walk = new Walk(what, shape);
  return (row, target, position) => walk.copyRow(row, target, position);
}

/** A number, as an item of an array of this shape. */
export function numberOf(item: unknown, shape: readonly number[], what: string): number {
  if (typeof item !== "number") throw wrongItem(item, shape, what);
  return item;
}

function wrongItem(item: unknown, shape: readonly number[], what: string): Error {
  if (isArray(item) || isFloatArray(item)) {
    return new ShapeError(`${what}: got ragged arrays, expected ${showShape(shape)}`);
  }
  return new ArgumentError(`${what}: got ${show(item)} as a value, expected numbers`);
}

/** The way through nested arrays: the first way down tells the shape where it is not known, and all the others must have it. */
class Walk {
  readonly shape: number[];
  values: Float32Array | undefined;
  #position = 0;

  constructor(
    readonly what: string,
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

  /** Notes the length of an axis, or compares it. */
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

  /** The common case, where all are numbers. */
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

  /** Where the values go: the shape is known once the first of them is reached. */
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
 * Labels as integers of our own, each read once and checked before it is converted: in 0..classes-1 (from 0 on where `classes` is not
 * given). Takes a number, flat arrays, any typed array of integers and floats whose values are integers.
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

/**
 * The label that an item at a place in an array is, checked before it is converted: in 0..classes-1; without `classes` any integer from
 * `least` on that 32 bits hold.
 */
export function labelOf(item: unknown, at: number, classes: number | undefined, what: string, least = 0): number {
  // a bigint up to 2^53 is that number, and a larger one is out of range
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
