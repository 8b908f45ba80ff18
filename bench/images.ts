import { convolutionFlop, IMAGE_BATCH } from "./network.js";
import { type Called, kernelRow } from "./placement.js";
import type { Row } from "./row.js";

interface Convolution {
  /** [channels, size of the square planes] */
  from: readonly [channels: number, size: number];
  to: number;
  kernel: number;
  stride?: number;
}

/** The network's own two, those of the main job, and what other networks have: stride 2, a kernel of 1, small planes. */
const CONVOLUTIONS: Convolution[] = [
  { from: [3, 32], to: 64, kernel: 3 },
  { from: [64, 16], to: 128, kernel: 3 },
  { from: [1, 28], to: 32, kernel: 3 },
  { from: [32, 14], to: 64, kernel: 3 },
  { from: [128, 7], to: 128, kernel: 3 },
  { from: [64, 32], to: 64, kernel: 3, stride: 2 },
  { from: [64, 16], to: 64, kernel: 1 },
  { from: [64, 16], to: 64, kernel: 5 },
];

/** The three messages of a convolution that keeps the planes' size, or divides it by its stride. */
function convolutionRows({ from: [channels, size], to, kernel, stride = 1 }: Convolution): Row[] {
  const padding = (kernel - 1) / 2;
  const outSize = Math.floor((size - 1) / stride) + 1;
  const sizes = [IMAGE_BATCH, channels, size, size, to, kernel, kernel, stride, stride, padding, padding];
  const work = { flop: convolutionFlop(IMAGE_BATCH, channels, to, kernel, outSize) };
  const shape = `${channels}-${to} ${size}x${size} ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ""}`;
  return [
    kernelRow(`conv2d forward ${shape}`, work, { kernel: "conv2d", sizes, withOptional: true }),
    kernelRow(`conv2d dX ${shape}`, work, { kernel: "conv2dBackwardInput", sizes }),
    kernelRow(`conv2d dW ${shape}`, work, { kernel: "conv2dBackwardWeight", sizes }),
  ];
}

/** What runs between the convolutions, over planes of so many channels. */
function planeRows(channels: number, size: number): Row[] {
  const count = IMAGE_BATCH * channels * size * size;
  const pass = (name: string, called: Called): Row =>
    kernelRow(`${name} ${channels}x${size}x${size} batch ${IMAGE_BATCH}`, { elements: count }, called);
  const sizes = [IMAGE_BATCH, channels, size * size];
  const pool = [IMAGE_BATCH, channels, size, size, channels, 2, 2, 2, 2, 0, 0];
  return [
    pass("prelu", { kernel: "prelu", sizes }),
    pass("preluBackward+sums", { kernel: "preluBackward", sizes, withOptional: true }),
    pass("channelSums", { kernel: "channelSums", sizes }),
    pass("batchNorm", { kernel: "batchNorm", sizes, values: [1e-5, 0.1] }),
    pass("normalize", { kernel: "normalize", sizes, values: [1e-5], variances: 4 }),
    pass("batchNormBackward", { kernel: "batchNormBackward", sizes, withOptional: true }),
    pass("maxPool2d 2x2", { kernel: "maxPool2d", sizes: pool, withOptional: true }),
    pass("maxPool2dBackward 2x2", {
      kernel: "maxPool2dBackward",
      sizes: pool,
      // places of maxima, one in each window
      prepare: (ops, [images, window, dy, indices, dx]) => ops.maxPool2d(images, window, dx, dy, indices),
    }),
    pass("dropout", { kernel: "dropout", sizes: [count], values: [1, 2, 1 << 23, 2] }),
  ];
}

export const imageRows: Row[] = [...CONVOLUTIONS.flatMap(convolutionRows), ...planeRows(64, 32), ...planeRows(128, 16)];
