import { checkOptions, checkSize, isArray, reading, show } from "../checks.js";
import { defaultEngine, type Engine } from "../engine.js";
import { ArgumentError, ShapeError } from "../errors.js";
import type { Layer } from "../layers/layer.js";
import type { Labels } from "../losses.js";
import { checkSameEngine, checkShape, isTensor, type Tensor } from "../tensor.js";
import { isByteArray, isFloatArray, kindOf, type NestedNumbers } from "../values.js";
import { flatRows, nestedRows, type Rows, reshaped, tensorRows } from "./rows.js";

/**
 * Samples: a Tensor or nested arrays [N, ...], whose rows may be Float32Arrays; or a flat array of floats, or of bytes, whose 0..255
 * become 0..1. A flat array needs the shape of a sample.
 */
export type Samples = Tensor | Float32Array | Float64Array | Uint8Array | Uint8ClampedArray | readonly NestedNumbers[];

/** What a net is to give: labels [N] or [N, ...], or values in the forms that samples have. */
export type Targets = Samples | Labels | readonly Labels[];

/**
 * Samples with their targets. Each batch is read where it is, and checked as it is copied. So you may write other data into them between
 * batches, in `onEpoch` for instance, as long as their number and shapes stay.
 */
export interface Dataset {
  /** The samples. */
  x: Samples;
  /** The targets, as many as there are samples; what they are is `fit`'s option `targets`. */
  y: Targets;
  /** The shape of one sample, for a flat x; default [n] for a net that begins with a Linear, LinearPReLU or LinearELU of n inputs. */
  sampleShape?: readonly number[];
}

/** What `fit` trains on. */
export interface TrainingData extends Dataset {
  /** How much each sample counts; see `fit`'s option of this name. */
  sampleWeights?: readonly number[] | Float32Array | Float64Array;
}

const KEYS = ["x", "y", "sampleShape"] as const;

/** A data set's parts, each read once. */
export const readDataset = (data: unknown, what: string): Partial<Dataset> => readParts<Dataset>(data, KEYS, what);

export const readTrainingData = (data: unknown, what: string): Partial<TrainingData> =>
  readParts<TrainingData>(data, [...KEYS, "sampleWeights"], what);

function readParts<T extends Dataset>(data: unknown, keys: readonly (keyof T & string)[], what: string): Partial<T> {
  if (typeof data !== "object" || data === null || isArray(data)) {
    throw new ArgumentError(`${what}: got ${show(data)}, expected { x, y }`);
  }
  return checkOptions(data as T, keys, what);
}

/** The engine of a net: its own or its parameters'; without either, that of the input. */
export function netEngine(net: Layer, x: unknown): Engine {
  const own = (net as { engine?: Engine }).engine ?? net.parameters()[0]?.value.engine;
  return own ?? (isTensor(x) ? x.engine : defaultEngine());
}

/** x as rows. Throws ShapeError or ArgumentError. */
export function readSamples(net: Layer, x: unknown, sampleShape: unknown, what: string): Rows {
  const shape = sampleShape === undefined ? undefined : checkSampleShape(sampleShape, `${what}: sampleShape`);
  const name = `${what}: x`;
  if (isFloatArray(x) || isByteArray(x)) return flatRows(x, shape ?? flatSampleShape(net, what), name);
  if (shape === undefined) return readRows(x, netEngine(net, x), name);
  return isInARow(x, name) ? flatRows(x, shape, name) : reshaped(readRows(x, netEngine(net, x), name), shape);
}

function checkSampleShape(shape: unknown, what: string): readonly number[] {
  const sizes = checkShape(shape, what);
  for (const length of sizes) checkSize(length, what);
  return sizes;
}

/** [n], from the dense layer that the net begins with. */
function flatSampleShape(net: Layer, what: string): readonly number[] {
  const size = net.flatInputSize();
  if (size === undefined) {
    throw new ShapeError(
      `${what}: x is a flat array and ${net.describe()} does not begin with a Linear layer, which would tell its shape: expected sampleShape, or engine.tensor(data, shape)`,
    );
  }
  return [size];
}

/** Whether values come without axes: a Tensor [n] or a list of numbers. */
export function isInARow(values: unknown, what: string): values is Tensor | readonly unknown[] {
  if (isTensor(values)) return values.shape.length === 1;
  return isArray(values) && reading(what, () => typeof values[0] === "number");
}

/** A Tensor or nested arrays [N, ...]. */
export function readRows(values: unknown, engine: Engine, what: string): Rows {
  if (isTensor(values)) {
    values.assertUsable();
    checkSameEngine(engine, values.engine, what);
    return tensorRows(values, what);
  }
  if (isArray(values)) return nestedRows(values, what);
  const hint = kindOf(values) === undefined ? "" : "; Float32Array.from(...) makes floats of integers";
  throw new ArgumentError(
    `${what}: got ${show(values)}, expected a Tensor, nested arrays, a Float32Array, a Float64Array or a Uint8Array of 0..255${hint}`,
  );
}
