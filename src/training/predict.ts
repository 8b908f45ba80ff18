import { TensorBuffer } from "../buffers.js";
import { checkOptions, checkSize, isArray, reading, showShape } from "../checks.js";
import { ShapeError } from "../errors.js";
import type { Floats } from "../host-types.js";
import { checkNet, checkOutput, type Input, type Layer } from "../layers/layer.js";
import { inEvalMode } from "../layers/modes.js";
import { checkSameEngine, isTensor } from "../tensor.js";
import { isByteArray, isFloatArray, lengthOf, readNested } from "../values.js";
import { TEST_BATCH } from "./evaluate.js";
import { flatRows, gather, nestedRows, type Rows } from "./rows.js";
import { netEngine, readSamples, type Samples } from "./samples.js";

/** How `predict` reads x. */
export interface PredictOptions {
  /** The shape of one sample, for a flat x; default [n] for a net that begins with a Linear, LinearPReLU or LinearELU of n inputs. */
  sampleShape?: readonly number[];
  /** Samples in a batch, >= 1; default 256. */
  batchSize?: number;
}

const OPTIONS = ["sampleShape", "batchSize"] as const;

/**
 * The net's outputs for x in eval mode: a copy of the values, sample after sample. Afterwards the net is in the mode it was in before.
 *
 * - A Tensor or nested arrays [N, ...] are N samples.
 * - A flat typed array holds samples of `sampleShape`: floats, or bytes, whose 0..255 become 0..1.
 * - A Tensor [n] or a flat number[] is one sample; with `sampleShape` it holds samples as a typed array does.
 * - An image [C, H, W] is one sample for a net that begins with Conv2d or MaxPool2d and has no Flatten; with Flatten give [1, C, H, W].
 *
 * Throws ShapeError if x does not fit, ArgumentError for a wrong option or an x of another kind, StateError for a net that was disposed,
 * EngineError for a tensor of another engine.
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

/** Whether x is one batch that the net can take as it is: a dense layer at the beginning reads every form, and bytes once scaled. */
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

/** x as rows: a single one for a sample without an axis N. */
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

/** x's shape, as far as the first item tells; undefined for a flat typed array. */
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
