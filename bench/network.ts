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

/** Flop of one product, in any of its three forms. */
export const productFlop = (m: number, n: number, k: number): number => 2 * m * n * k;

/** Flop of the products of a training step; the first layer needs no dL/dx. All else is below one percent from batch 32 on. */
export function stepFlop(batch: number): number {
  const perLayer = DENSE.map(([inputs, outputs]) => productFlop(batch, outputs, inputs));
  const once = perLayer.reduce((sum, flop) => sum + flop);
  return 3 * once - perLayer[0];
}

/** The image network: 3x32x32, two convolutions with PReLU, BatchNorm and MaxPool, then 8192-512-10. */
export const IMAGE_BATCH = 16;
export const IMAGE = { channels: 3, size: 32 };
export const CONVOLUTIONS = [
  [IMAGE.channels, 64],
  [64, 128],
] as const;
export const IMAGE_HIDDEN = 512;

/** Flop of one message of a convolution whose output planes are size x size. */
export const convolutionFlop = (batch: number, from: number, to: number, kernel: number, size: number): number =>
  productFlop(to, batch * size * size, from * kernel * kernel);

/** Flop of the products and convolutions of a training step; the first needs no dL/dx. */
export function imageStepFlop(): number {
  const { size } = IMAGE;
  const [first, second] = CONVOLUTIONS.map(([from, to], i) => convolutionFlop(IMAGE_BATCH, from, to, 3, size / 2 ** i));
  const features = CONVOLUTIONS[1][1] * (size / 4) ** 2;
  const dense = productFlop(IMAGE_BATCH, IMAGE_HIDDEN, features) + productFlop(IMAGE_BATCH, CLASSES, IMAGE_HIDDEN);
  return 2 * first + 3 * (second + dense);
}
