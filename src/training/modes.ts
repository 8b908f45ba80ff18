import { show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import { isLayer, type Layer, layersInside } from "../layers/layer.js";
import type { LossResult } from "../losses.js";
import { Tensor } from "../tensor.js";

/** A loss over a batch: the mean over its samples, with its gradient. Labels come as an Int32Array, other targets as a tensor. */
// biome-ignore lint/suspicious/noExplicitAny: the targets are whatever the loss takes
export type Loss = (output: Tensor, target: any) => LossResult;

export function checkNet(net: unknown, what: string): asserts net is Layer {
  if (!isLayer(net)) throw new ArgumentError(`${what}: got ${show(net)}, expected a Layer`);
}

export function checkLoss(loss: unknown, what: string): void {
  if (typeof loss !== "function") throw new ArgumentError(`${what}: loss: got ${show(loss)}, expected a function`);
}

/** What a loss of the user's returned. */
export function checkLossResult(result: unknown, what: string): LossResult {
  const { loss, grad } = Object(result) as Partial<LossResult>;
  if (typeof loss !== "number" || !(grad instanceof Tensor)) {
    throw new ArgumentError(`${what}: loss: got ${show(result)}, expected the function to return { loss, grad }`);
  }
  return { loss, grad };
}

/** Notes the mode of every layer; the result puts them back. */
export function rememberModes(net: Layer): () => void {
  const modes: [Layer, boolean][] = [];
  const visit = (layer: Layer): void => {
    modes.push([layer, layer.training]);
    for (const [, child] of layersInside(layer)) visit(child);
  };
  visit(net);
  return () => {
    for (const [layer, training] of modes) layer.training = training;
  };
}

/** Runs `work` in eval mode and gives every layer its own mode back. */
export function inEvalMode<T>(net: Layer, work: () => T): T {
  const restore = rememberModes(net);
  net.eval();
  try {
    return work();
  } finally {
    restore();
  }
}
