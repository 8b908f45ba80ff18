import { isArray, reading, show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";
import { checkSameEngine, isTensor, type Tensor } from "../tensor.js";

/**
 * Limits the norm of all gradients together to `max` (torch.nn.utils.clip_grad_norm_). The norm is the square root of the sum of all
 * squares. If max / (norm + 1e-6) is below 1, every gradient is multiplied by it. Returns the norm before. A gradient that is none counts
 * as 0 and stays none. As in PyTorch, an infinite norm makes gradients 0 or NaN, and a norm of NaN makes all NaN.
 *
 * Throws ArgumentError for a `max` that is no number >= 0 and for anything but parameters, StateError for a disposed gradient,
 * EngineError for gradients of different engines.
 */
export function clipGradNorm(params: readonly Parameter[], max: number): number {
  const gradients = reading("clipGradNorm", () => readGradients(params));
  if (typeof max !== "number" || !(max >= 0)) {
    throw new ArgumentError(`clipGradNorm: max: got ${show(max)}, expected a number >= 0`);
  }
  for (const grad of gradients) grad.assertUsable();
  const given = gradients.filter(({ isNone }) => !isNone);
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
