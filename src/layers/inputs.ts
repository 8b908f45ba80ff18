import type { BufferRequest, TensorBuffer } from "../buffers.js";
import { isArray, show, showShape } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { checkSameEngine, isTensor, sameShape, sizeOf, type Tensor } from "../tensor.js";
import { copyValues, isFloatArray, lengthOf, readNested } from "../values.js";
import type { Input } from "./layer.js";

/** A value given as x or dy: its shape is settled, nothing is in linear memory yet. Nested arrays are values in a row by now. */
export interface Given {
  readonly shape: readonly number[];
  readonly value: Tensor | Float32Array | Float64Array;
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
  if (isTensor(value)) {
    value.assertUsable();
    checkSameEngine(engine, value.engine, what);
    return { value, shape: value.shape };
  }
  if (isFloatArray(value)) {
    const length = lengthOf(value, what);
    if (sampleShape === undefined) {
      throw new ShapeError(
        `${what} got ${show(value)} of ${length}, whose shape is unknown here: expected engine.tensor(data, shape) (a data set or predict: sampleShape)`,
      );
    }
    const columns = sizeOf(sampleShape);
    if (length % columns !== 0) {
      throw new ShapeError(
        `${what} got ${length} values, expected a multiple of ${columns} (${showShape(["N", ...sampleShape])})`,
      );
    }
    return { value, shape: [length / columns, ...sampleShape] };
  }
  if (!isArray(value)) {
    throw new ArgumentError(
      `${what} got ${show(value)}, expected a Tensor, nested arrays of numbers or a Float32Array`,
    );
  }
  const { shape, values } = readNested(value, what);
  return { shape, value: values };
}

const NO_REQUESTS: readonly BufferRequest[] = [];

/**
 * The given value as a tensor: a tensor as it is, unless the call is about to overwrite it (`isOwn`); anything else is copied into
 * `copy`. `take` takes all memory of the call, what the copy needs with it, before anything is written.
 */
export function enter(
  given: Given,
  copy: TensorBuffer,
  isOwn: (tensor: Tensor) => boolean,
  take: (copies: readonly BufferRequest[]) => void,
): Tensor {
  const { value, shape } = given;
  if (isTensor(value) && !(mayBeOwn(value) && isOwn(value))) {
    take(NO_REQUESTS);
    value.read();
    return value;
  }
  // what is about to be replaced must be read before
  const source = isTensor(value) ? { shape, value: value.liveView().slice() } : given;
  take(copy.fits(shape) ? NO_REQUESTS : [[copy, shape]]);
  const target = copy.take(shape);
  writeInput(source, target);
  return target;
}

/** Most tensors are seen to be no layer's at once: no buffer holds them, and nobody else has a handle on their memory. */
const mayBeOwn = (tensor: Tensor): boolean => tensor.holder !== undefined || tensor.isShared;

/** Copies a given value into a tensor of its shape. */
export function writeInput({ value }: Given, target: Tensor): void {
  if (isTensor(value)) target.data.set(value.liveView());
  else copyValues(value, 0, target.size, target.data, "the values given");
  target.markWritten();
}
