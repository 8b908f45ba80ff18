import { StateError } from "../errors.js";
import type { Layer } from "../layers/layer.js";

/** Layers that are being fitted, and the memory of their parameters. */
const claimed = /* @__PURE__ */ new WeakSet<object>();

/** Notes that a net is being fitted, until the result is called. Throws a StateError if a part of it is already. */
export function claim(net: Layer, layers: readonly Layer[]): () => void {
  for (const layer of layers) {
    if (claimed.has(layer)) {
      const whose = layer === net ? "" : `, which is in ${net.describe()},`;
      throw new StateError(`fit: ${layer.describe()}${whose} is being fitted already`);
    }
  }
  const parameters = net.parameters();
  for (const { name, value } of parameters) {
    if (claimed.has(value.memory)) {
      throw new StateError(`fit: the parameter ${name} of ${net.describe()} is being fitted already`);
    }
  }
  const parts = [...layers, ...parameters.map(({ value }) => value.memory)];
  for (const part of parts) claimed.add(part);
  return () => {
    for (const part of parts) claimed.delete(part);
  };
}
