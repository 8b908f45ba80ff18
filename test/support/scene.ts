import * as lg from "lanegrad";
import { randomTensor } from "./state.js";

/** A net in the middle of training: gradients that are not zero, the penalty of its slopes already in. */
export interface Scene {
  readonly own: lg.Engine;
  readonly net: lg.Sequential;
  readonly x: lg.Tensor;
  readonly dy: lg.Tensor;
}

/** On an engine of its own, from the same seed each time. `makeNet` takes 4 columns to 2. */
export function midTraining(kernels: lg.Engine["kernels"], makeNet: (own: lg.Engine) => lg.Sequential): Scene {
  const own = lg.createEngine({ kernels, seed: 5 });
  const net = makeNet(own);
  const [x, dy] = [randomTensor(own, [5, 4], 1), randomTensor(own, [5, 2], 2)];
  net.forward(x);
  net.backward(dy);
  return { own, net, x, dy };
}

/** The mode of a net and of its layers. */
export const modes = (net: lg.Sequential): boolean[] => [net, ...net.layers].map(({ training }) => training);
