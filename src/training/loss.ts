import { reading, show, showShape } from "../checks.js";
import { ArgumentError, ShapeError } from "../errors.js";
import type { LossResult } from "../losses.js";
import { checkSameEngine, isTensor, sameShape, type Tensor } from "../tensor.js";

/**
 * A loss over a batch: the mean over its samples, and its gradient with respect to the output. The target is an Int32Array of labels or a
 * Tensor of values, by `fit`'s option `targets`.
 */
// biome-ignore lint/suspicious/noExplicitAny: the targets are whatever the loss takes
export type Loss = (output: Tensor, target: any) => LossResult;

export function checkLoss(loss: unknown, what: string): void {
  if (typeof loss !== "function") throw new ArgumentError(`${what}: loss: got ${show(loss)}, expected a function`);
}

/** What a loss returned for these outputs, checked: it may be the user's. */
export function checkLossResult(result: unknown, output: Tensor, what: string): LossResult {
  const { loss, grad } = reading(`${what}: loss`, () => {
    const given = Object(result) as Partial<LossResult>;
    return { loss: given.loss, grad: given.grad };
  });
  if (typeof loss !== "number" || !isTensor(grad)) {
    const parts = isTensor(grad) || grad === undefined ? "" : ` with ${show(grad)} as grad`;
    throw new ArgumentError(
      `${what}: loss: got ${show(result)}${parts}, expected the function to return { loss, grad }, a number and a Tensor`,
    );
  }
  grad.assertUsable();
  checkSameEngine(output.engine, grad.engine, `${what}: loss: grad`);
  if (!sameShape(grad.shape, output.shape)) {
    throw new ShapeError(
      `${what}: loss: got a gradient of ${showShape(grad.shape)}, expected ${showShape(output.shape)} as the output's`,
    );
  }
  return { loss, grad };
}
