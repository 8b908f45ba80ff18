import { INSIDE, Layer, type Parameter } from "./layers/layer.js";
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

/** Notes gradients as they are; the result puts them back. Those that only stand for zeros need no copy. */
export function rememberGradients(parameters: readonly Parameter[]): () => void {
  const kept = parameters.map(({ grad }) => {
    const { flags } = grad.storage;
    return { grad, flags, values: flags.zeroPending ? undefined : grad.liveView().slice() };
  });
  return () => {
    for (const { grad, flags, values } of kept) {
      if (grad.disposed) continue;
      if (values !== undefined) grad.data.set(values);
      Object.assign(grad.storage, flags);
      grad.storage.version++;
    }
  };
}

/** The tensors of a layer's state that are no parameters: running statistics. */
export function statisticsOf(layer: Layer): readonly Tensor[] {
  if (layer.stateDict === Layer.prototype.stateDict) return layer[INSIDE]().flatMap(([, child]) => statisticsOf(child));
  const parameters = new Set(layer.parameters().map(({ value }) => value));
  return Object.values(layer.stateDict()).filter((tensor) => !parameters.has(tensor));
}

/** Notes statistics as they are; the result puts them back. */
export function rememberStatistics(tensors: readonly Tensor[]): () => void {
  const kept = tensors.map((tensor) => ({ tensor, exact: tensor.exact, values: tensor.liveView().slice() }));
  return () => {
    for (const { tensor, exact, values } of kept) {
      if (tensor.disposed) continue;
      tensor.data.set(values);
      tensor.exact = exact;
      tensor.storage.version++;
    }
  };
}
