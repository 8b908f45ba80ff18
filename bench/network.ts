/** The network of every figure: 784-256-256-10 with a PReLU slope for each hidden unit. */
export const INPUTS = 784;
export const HIDDEN = 256;
export const CLASSES = 10;

/** [inputs, outputs] of its dense layers */
export const DENSE = [
  [INPUTS, HIDDEN],
  [HIDDEN, HIDDEN],
  [HIDDEN, CLASSES],
] as const;

export const BATCHES = [1, 32, 128, 512] as const;

/** Of one product, in any of its three forms. */
export const productFlop = (m: number, n: number, k: number): number => 2 * m * n * k;

/** Of the products of a training step; the first layer needs no dL/dx. The rest is below one percent from batch 32 on. */
export function stepFlop(batch: number): number {
  const perLayer = DENSE.map(([inputs, outputs]) => productFlop(batch, outputs, inputs));
  const once = perLayer.reduce((sum, flop) => sum + flop);
  return 3 * once - perLayer[0];
}
