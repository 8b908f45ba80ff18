import { show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import type { Parameter } from "../layers/layer.js";

/**
 * Scales the gradients together so that their norm is at most `max` (torch.nn.utils.clip_grad_norm_): all are multiplied by
 * max / (norm + 1e-6) where that is below 1. Returns the norm before, the square root of the sum of all squares. A norm that is not
 * finite makes the gradients so. Throws ArgumentError for a `max` that is no number >= 0.
 */
export function clipGradNorm(params: readonly Parameter[], max: number): number {
  if (!Array.isArray(params)) throw new ArgumentError(`clipGradNorm: got ${show(params)}, expected parameters`);
  if (typeof max !== "number" || !(max >= 0)) {
    throw new ArgumentError(`clipGradNorm: max: got ${show(max)}, expected a number >= 0`);
  }
  for (const { grad } of params) grad.assertUsable();
  let squares = 0;
  for (const { grad } of params) squares += grad.engine.ops.sumOfSquares(grad.size, grad.read());
  const norm = Math.sqrt(squares);
  const factor = max / (norm + 1e-6);
  if (!(factor >= 1)) {
    for (const { grad } of params) {
      grad.storage.version++;
      grad.engine.ops.scale(grad.size, grad.read(), factor);
    }
  }
  return norm;
}
