import { MemoryError } from "./errors.js";
import { Layer, layersInside, type Parameter } from "./layers/layer.js";
import type { Tensor } from "./tensor.js";

/**
 * Runs a message that may fail half-way, in a layer of the user's or for want of memory there; `undo` then takes back what it did.
 */
export function undoing<T>(undo: () => void, run: () => T): T {
  try {
    return run();
  } catch (error) {
    undo();
    throw error;
  }
}

/** Copies of gradients, which a layer that sends message after message makes in the same places. */
export type GradientCopies = WeakMap<Tensor, Float32Array>;

/** Notes gradients as they are; the result puts them back. Those that only stand for zeros need no copy. */
export function rememberGradients(parameters: readonly Parameter[], copies: GradientCopies): () => void {
  const kept = parameters.map(({ grad }) => {
    const { flags } = grad;
    return { grad, flags, values: flags.zeroPending ? undefined : copyOf(grad, copies) };
  });
  return () => {
    for (const { grad, flags, values } of kept) {
      if (grad.disposed) continue;
      if (values !== undefined) grad.liveView().set(values);
      grad.putBack(flags);
      grad.markWritten();
    }
  };
}

function copyOf(grad: Tensor, copies: GradientCopies): Float32Array {
  const values = grad.liveView();
  const copy = copies.get(grad) ?? newCopy(values.length);
  copy.set(values);
  copies.set(grad, copy);
  return copy;
}

function newCopy(length: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch (cause) {
    throw new MemoryError(
      `out of memory: no room for a copy of ${length} gradients, which a user's layer may need undone`,
      { cause },
    );
  }
}

/** The tensors of a layer's state that are no parameters: running statistics. */
export function statisticsOf(layer: Layer): readonly Tensor[] {
  if (layer.stateDict === Layer.prototype.stateDict)
    return layersInside(layer).flatMap(([, child]) => statisticsOf(child));
  const parameters = new Set(layer.parameters().map(({ value }) => value));
  return Object.values(layer.stateDict()).filter((tensor) => !parameters.has(tensor));
}

/** Notes tensors as they are; the result puts them back. */
export function rememberState(tensors: readonly Tensor[]): () => void {
  const kept = tensors.map((tensor) => ({ tensor, exact: tensor.exact, values: tensor.liveView().slice() }));
  return () => {
    for (const { tensor, exact, values } of kept) {
      if (tensor.disposed) continue;
      tensor.liveView().set(values);
      tensor.exact = exact;
      tensor.markWritten();
    }
  };
}
