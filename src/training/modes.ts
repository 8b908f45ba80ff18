import { reading, show, showShape } from "../checks.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { Layer, layersInside } from "../layers/layer.js";
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

/** A net and all layers inside it. Throws ArgumentError or StateError if the `children` of a user's layer are no tree. */
export function layersOf(net: Layer): Layer[] {
  const layers: Layer[] = [];
  const visit = (layer: Layer): void => {
    layers.push(layer);
    for (const [, child] of layersInside(layer)) visit(child);
  };
  visit(net);
  return layers;
}

/** Puts all layers of a net in a mode. */
export function setMode(net: Layer, layers: readonly Layer[], training: boolean): void {
  const { train, eval: evaluate } = Layer.prototype;
  if (layers.every((layer) => layer.train === train && layer.eval === evaluate)) {
    for (const layer of layers) layer.training = training;
  } else if (training) net.train();
  else net.eval();
}

/** Remembers the mode of every layer; the result restores them. */
export function rememberModes(layers: readonly Layer[]): () => void {
  const modes = layers.map(({ training }) => training);
  return () => {
    layers.forEach((layer, i) => {
      layer.training = modes[i];
    });
  };
}

/** Runs `work` in eval mode, then restores the mode of every layer. */
export function inEvalMode<T>(net: Layer, work: () => T): T {
  const layers = layersOf(net);
  if (layers.every(({ training }) => !training)) return work();
  const restore = rememberModes(layers);
  try {
    setMode(net, layers, false);
    return work();
  } finally {
    restore();
  }
}
