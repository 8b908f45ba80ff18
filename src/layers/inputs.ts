import type { BufferRequest, TensorBuffer } from "../buffers.js";
import { isArray, show, showShape, type Text } from "../checks.js";
import type { Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { checkSameEngine, isTensor, sameShape, sizeOf, type Tensor } from "../tensor.js";
import { copyValues, isFloatArray, lengthOf, readNested } from "../values.js";
import type { Input, Layer } from "./layer.js";

/** Values in a row, not in linear memory yet. */
interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array;
}

/** A value given as x or dy, whose shape is known: nested arrays are values in a row by now. */
export type Given = Tensor | Values;

/**
 * Settles the shape of x. `flatSize` is the width of a Float32Array batch, undefined where the layer cannot know it.
 * Throws ArgumentError for what is no input, ShapeError for ragged arrays and lengths that do not fit, StateError and EngineError
 * for tensors that are disposed or of another engine.
 */
export function readInput(value: Input, engine: Engine, flatSize: number | undefined, what: Text): Given {
  return read(value, engine, flatSize === undefined ? undefined : [flatSize], what);
}

/** Settles dy, which must have the shape of the last output. */
export function readGradient(
  value: Input,
  engine: Engine,
  flatSize: number | undefined,
  outputShape: readonly number[],
  what: Text,
): Given {
  const sampleShape = outputShape.length > 1 ? outputShape.slice(1) : outputShape;
  const given = read(value, engine, flatSize === undefined ? undefined : sampleShape, what);
  if (!sameShape(given.shape, outputShape)) {
    throw new ShapeError(`${what} got ${showShape(given.shape)}, expected ${showShape(outputShape)}`);
  }
  return given;
}

function read(value: Input, engine: Engine, sampleShape: readonly number[] | undefined, what: Text): Given {
  if (isTensor(value)) {
    value.assertUsable();
    checkSameEngine(engine, value.engine, what);
    return value;
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
    return { values: value, shape: [length / columns, ...sampleShape] };
  }
  if (!isArray(value)) {
    throw new ArgumentError(
      `${what} got ${show(value)}, expected a Tensor, nested arrays of numbers or a Float32Array`,
    );
  }
  return readNested(value, what);
}

/** The same, but a tensor in one of the layer's own buffers is taken as values, since the call is about to overwrite it. */
export function settle(given: Given, layer: Layer): Given {
  if (!isTensor(given) || !mayBeOwn(given) || !layer.owns(given)) return given;
  return { shape: given.shape, values: given.liveView().slice() };
}

/** Most tensors are quickly seen not to be a layer's: none of its buffers holds them, and nobody else has a handle on their memory. */
const mayBeOwn = ({ holder, isShared }: Tensor): boolean => holder?.isOfLayer === true || isShared;

/** What has to be taken for `enter`: room for values, where `copy` has none. */
export function roomFor(given: Given, copy: TensorBuffer): BufferRequest | undefined {
  return isTensor(given) || copy.fits(given.shape) ? undefined : [copy, given.shape];
}

/** The given value as a tensor: a tensor as it is, values copied into `copy`. */
export function enter(given: Given, copy: TensorBuffer): Tensor {
  if (isTensor(given)) {
    given.read();
    return given;
  }
  const target = copy.take(given.shape);
  writeInput(given, target);
  return target;
}

/** Copies a given value into a tensor of its shape. */
export function writeInput(given: Given, target: Tensor): void {
  if (isTensor(given)) {
    target.copyFrom(given);
    return;
  }
  copyValues(given.values, 0, target.size, target.data, "the values given");
  target.markWritten();
}
