import { TensorBuffer } from "../buffers.js";
import { checkOptions, checkSize, isArray, reading, showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import type { Floats } from "../host-types.js";
import { checkOutput, type Input, type Layer } from "../layers/layer.js";
import { checkSameEngine, isTensor } from "../tensor.js";
import { isByteArray, isFloatArray, lengthOf, readNested } from "../values.js";
import { TEST_BATCH } from "./evaluate.js";
import { checkNet, inEvalMode } from "./modes.js";
import { flatRows, gather, nestedRows, type Rows } from "./rows.js";
import { netEngine, readSamples, type Samples } from "./samples.js";

export interface PredictOptions {
  /** The shape of one sample, where x is flat and the net does not begin with a dense layer. */
  sampleShape?: readonly number[];
  batchSize?: number;
}

const OPTIONS = ["sampleShape", "batchSize"] as const;

/**
 * The net's outputs for x, one after the other, in eval mode, copied out; the mode is restored. A Tensor [n] or a flat number[] is
 * one sample, and so is an image [C, H, W] for a net that begins with Conv2d or MaxPool2d (and flattens nothing behind it: a net with
 * Flatten takes [1, C, H, W]). Floats, or bytes (0..255 become 0..1), in a flat typed array are samples of `sampleShape`, by default
 * of [n] where the net begins with a Linear, LinearPReLU or LinearELU; with `sampleShape` so are a Tensor [n] and a flat number[].
 *
 * Throws ShapeError where x does not fit, ArgumentError for what is no x, StateError where the net was disposed.
 */
export function predict(net: Layer, x: Samples, options?: PredictOptions): Floats {
  checkNet(net, "predict");
  const { sampleShape, batchSize = TEST_BATCH } = checkOptions(options, OPTIONS, "predict");
  checkSize(batchSize, "predict: batchSize");
  if (sampleShape === undefined && isOneBatch(net, x, batchSize)) {
    const input = isByteArray(x) ? scaled(x) : (x as Input);
    return inEvalMode(net, () => checkOutput(net.forward(input), net).data.slice());
  }
  net.assertUsable();
  const { rows, isSample } = read(net, x, sampleShape);
  if (rows.count === 0) return new Float32Array(0);
  const buffer = new TensorBuffer(netEngine(net, x));
  try {
    return inEvalMode(net, () => outputs(net, rows, isSample, batchSize, buffer));
  } finally {
    buffer.dispose();
  }
}

/** Whether x is a single batch that a net takes as it is: one that begins with a dense layer reads every form, bytes once scaled. */
function isOneBatch(net: Layer, x: Samples, batchSize: number): boolean {
  const width = net.flatInputSize();
  if (width === undefined) return false;
  if (isFloatArray(x) || isByteArray(x)) {
    const length = lengthOf(x, "predict: x");
    return length > 0 && length <= batchSize * width && length % width === 0;
  }
  if (isTensor(x)) return x.shape.length === 1 || (x.shape[0] > 0 && x.shape[0] <= batchSize);
  return isArray(x) && reading("predict: x", () => typeof x[0] === "number" || (x.length > 0 && x.length <= batchSize));
}

function scaled(bytes: Uint8Array | Uint8ClampedArray): Float32Array {
  const values = new Float32Array(lengthOf(bytes, "predict: x"));
  flatRows(bytes, [values.length], "predict: x").open()(0, values, 0);
  return values;
}

/** x as rows; one sample without an axis N as a single one. */
function read(
  net: Layer,
  x: Samples,
  sampleShape: readonly number[] | undefined,
): { readonly rows: Rows; readonly isSample: boolean } {
  const shape = sampleShape === undefined ? shapeOf(net, x) : undefined;
  if (shape === undefined || !(net.isSample(shape) ?? shape.length < 2)) {
    return { rows: readSamples(net, x, sampleShape, "predict"), isSample: false };
  }
  const rows = isTensor(x) ? flatRows(x, shape, "predict: x") : nestedRows([x], "predict: x");
  return { rows, isSample: true };
}

/** The shape of what has one, as far as the first value tells. */
function shapeOf(net: Layer, x: Samples): readonly number[] | undefined {
  if (isTensor(x)) {
    x.assertUsable();
    checkSameEngine(netEngine(net, x), x.engine, "predict: x");
    return x.shape;
  }
  if (!isArray(x)) return undefined;
  return reading("predict: x", () => (x.length > 0 ? [x.length, ...readNested(x[0], "predict: x").shape] : undefined));
}

function outputs(net: Layer, rows: Rows, isSample: boolean, batchSize: number, buffer: TensorBuffer): Floats {
  const { count } = rows;
  let result: Floats | undefined;
  for (let start = 0; start < count; start += batchSize) {
    const size = Math.min(batchSize, count - start);
    const batch = gather(rows, { order: undefined, start, size }, buffer, isSample ? rows.shape : undefined);
    const { data, shape } = checkOutput(net.forward(batch), net);
    if (size === count) return data.slice();
    result ??= new Float32Array((data.length / size) * count);
    const perSample = result.length / count;
    if (data.length !== size * perSample) {
      throw new ShapeError(
        `${net.describe()}: forward returned ${showShape(shape)}, expected ${perSample} values for each of ${size} samples`,
      );
    }
    result.set(data, start * perSample);
  }
  return result!;
}
