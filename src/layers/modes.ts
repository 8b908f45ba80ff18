import { Layer, layersInside } from "./layer.js";

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
