import { type Buffer, takeAll } from "../buffers.js";
import { show, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import {
  checkNested,
  checkSameEngine,
  copyNested,
  type NestedNumbers,
  nestedShape,
  sameShape,
  sizeOf,
  Tensor,
} from "../tensor.js";
import type { Request } from "./core.js";
import type { Input } from "./layer.js";

/** A value given as x or dy: its shape is settled, nothing is in linear memory yet. */
export interface Given {
  readonly shape: readonly number[];
  readonly value: Input;
}

/**
 * Settles the shape of x. `flatSize` is the width of a Float32Array batch, undefined where the layer cannot know it.
 * Throws ArgumentError for what is no input, ShapeError for ragged arrays and lengths that do not fit, StateError and EngineError
 * for tensors that are disposed or of another engine.
 */
export function readInput(value: Input, engine: Engine, flatSize: number | undefined, what: string): Given {
  return read(value, engine, flatSize === undefined ? undefined : [flatSize], what);
}

/** Settles dy, which must have the shape of the last output. */
export function readGradient(
  value: Input,
  engine: Engine,
  flatSize: number | undefined,
  outputShape: readonly number[],
  what: string,
): Given {
  const sampleShape = outputShape.length > 1 ? outputShape.slice(1) : outputShape;
  const given = read(value, engine, flatSize === undefined ? undefined : sampleShape, what);
  if (!sameShape(given.shape, outputShape)) {
    throw new ShapeError(`${what} got ${showShape(given.shape)}, expected ${showShape(outputShape)}`);
  }
  return given;
}

function read(value: Input, engine: Engine, sampleShape: readonly number[] | undefined, what: string): Given {
  if (value instanceof Tensor) {
    value.assertUsable();
    checkSameEngine(engine, value.engine, what);
    return { value, shape: value.shape };
  }
  if (value instanceof Float32Array) {
    if (sampleShape === undefined) {
      throw new ShapeError(
        `${what} got a Float32Array of ${value.length}, whose shape is unknown here: expected engine.tensor(data, shape)`,
      );
    }
    const columns = sizeOf(sampleShape);
    if (value.length % columns !== 0) {
      throw new ShapeError(
        `${what} got ${value.length} values, expected a multiple of ${columns} (${showShape(["N", ...sampleShape])})`,
      );
    }
    return { value, shape: [value.length / columns, ...sampleShape] };
  }
  if (!Array.isArray(value)) {
    throw new ArgumentError(
      `${what} got ${show(value)}, expected a Tensor, nested arrays of numbers or a Float32Array`,
    );
  }
  const shape = nestedShape(value as NestedNumbers);
  checkNested(value as NestedNumbers, shape, what);
  return { value, shape };
}

/**
 * The given value as a tensor, and the tensors of `requests`: all memory is taken at once, or none. A tensor is taken as it is, unless
 * `mustCopy` says that the call will overwrite it; arrays are copied into `copy`.
 */
export function copyInput(
  { value, shape }: Given,
  copy: Buffer,
  requests: readonly Request[],
  mustCopy: (tensor: Tensor) => boolean,
): { tensor: Tensor; taken: Tensor[] } {
  if (value instanceof Tensor && !mustCopy(value)) {
    const taken = takeAll(requests);
    value.read();
    return { tensor: value, taken };
  }
  // what is about to be replaced must be read before
  const values = value instanceof Tensor ? value.data.slice() : value;
  const [target, ...taken] = takeAll([[copy, shape], ...requests]);
  writeInput({ value: values, shape }, target);
  return { tensor: target, taken };
}

/** Copies a given value into a tensor of its shape. */
export function writeInput({ value }: Given, target: Tensor): void {
  if (value instanceof Tensor) target.data.set(value.data);
  else if (value instanceof Float32Array) target.data.set(value);
  else copyNested(value as NestedNumbers, target.data);
  target.storage.version++;
}
