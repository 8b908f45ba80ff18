import { isArray, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { checkSameEngine, isTensor, type Tensor } from "../tensor.js";

/**
 * Scales the gradients together so that their norm is at most `max` (torch.nn.utils.clip_grad_norm_): all are multiplied by
 * max / (norm + 1e-6) where that is below 1. Returns the norm before, the square root of the sum of all squares; a gradient that is
 * none counts as 0 and stays none. A norm that is not finite makes the gradients so.
 *
 * Throws ArgumentError for a `max` that is no number >= 0 and for what is no parameter, StateError for a disposed gradient, EngineError
 * for gradients of different engines.
 */
export function clipGradNorm(params: readonly Parameter[], max: number): number {
  const gradients = reading("clipGradNorm", () => readGradients(params));
  if (typeof max !== "number" || !(max >= 0)) {
    throw new ArgumentError(`clipGradNorm: max: got ${show(max)}, expected a number >= 0`);
  }
  for (const grad of gradients) grad.assertUsable();
  const given = gradients.filter(({ storage }) => !storage.isNone);
  let squares = 0;
  for (const grad of given) squares += grad.engine.ops.sumOfSquares(grad.size, grad.read());
  const norm = Math.sqrt(squares);
  const factor = max / (norm + 1e-6);
  if (!(factor >= 1)) for (const grad of given) grad.engine.ops.scale(grad.size, grad.modify(), factor);
  return norm;
}

/** The gradients, each read once. */
function readGradients(params: readonly Parameter[]): Tensor[] {
  if (!isArray(params)) throw new ArgumentError(`clipGradNorm: got ${show(params)}, expected parameters`);
  const gradients: Tensor[] = [];
  for (let i = 0; i < params.length; i++) {
    const { grad } = Object(params[i]) as Parameter;
    if (!isTensor(grad)) {
      throw new ArgumentError(
        `clipGradNorm: got ${show(params[i])} at ${i}, expected a parameter { name, value, grad } with a Tensor as its grad`,
      );
    }
    gradients.push(grad);
    checkSameEngine(gradients[0].engine, grad.engine, "clipGradNorm");
  }
  return gradients;
}
