import { showShape } from "../checks.js";
import { StateError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { Batch } from "./batches.js";
import type { Selection } from "./rows.js";

/** Where a batch's loss became NaN or infinite. */
export interface Diverged {
  readonly epoch: number;
  readonly batch: number;
  readonly batches: number;
  readonly loss: number;
  readonly selection: Selection;
  readonly data: Batch;
  readonly output: Tensor;
  readonly parameters: readonly Parameter[];
}

/** The error that ends such a training. It says where the first value is that is not finite. */
export function divergence(diverged: Diverged): StateError {
  const { epoch, batch, batches, loss } = diverged;
  return new StateError(
    `fit: epoch ${epoch}, batch ${batch} of ${batches}: the loss is ${loss}, and ${firstPlace(diverged)}; the batch was not trained on; allowNonFinite: true goes on`,
  );
}

function firstPlace({ selection, data: { x, y }, output, parameters }: Diverged): string {
  for (const [name, values] of [
    ["x", x],
    ["y", y],
  ] as const) {
    const at = values instanceof Int32Array ? -1 : firstNonFinite(values);
    if (at >= 0) return `so are the data: ${name} of sample ${sampleAt(at, values as Tensor, selection)}`;
  }
  for (const { name, value } of parameters) {
    const at = firstNonFinite(value);
    if (at >= 0) {
      return `so are the weights: ${name} ${showShape(value.shape)} has ${value.data[at]} at ${at} (a smaller lr, or inputs of a smaller scale, may help)`;
    }
  }
  const whence = firstNonFinite(output) < 0 ? "" : ", but the net's outputs are not";
  return `only the loss: data and weights are finite${whence}`;
}

const firstNonFinite = ({ data }: Tensor): number => data.findIndex((value) => !Number.isFinite(value));

/** The sample in the data set that a value of the batch belongs to. */
function sampleAt(at: number, values: Tensor, { order, start, size }: Selection): number {
  const place = start + Math.floor(at / (sizeOf(values.shape) / size));
  return order === undefined ? place : order[place];
}
