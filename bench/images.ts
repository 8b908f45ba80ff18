import { convolutionFlop, IMAGE_BATCH } from "./network.js";
import { type Buffers, kernelRow } from "./placement.js";
import type { Row } from "./row.js";

interface Convolution {
  /** [channels, size of the square planes] */
  from: readonly [channels: number, size: number];
  to: number;
  kernel: number;
  stride?: number;
}

/** Those of the image network, of the main job, and of other networks: stride 2, a kernel of 1, small planes. */
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
  const geometry = [channels, size, size, to, kernel, kernel, stride, stride, padding, padding] as const;
  const work = { flop: convolutionFlop(IMAGE_BATCH, channels, to, kernel, outSize) };
  const shape = `${channels}-${to} ${size}x${size} ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ""}`;
  const inputs = IMAGE_BATCH * channels * size * size;
  const outputs = IMAGE_BATCH * to * outSize * outSize;
  const weights = to * channels * kernel * kernel;
  const place = (buffers: Buffers) => ({
    x: buffers.floats(inputs),
    y: buffers.floats(outputs),
    weight: buffers.floats(weights),
    bias: buffers.floats(to),
    window: buffers.window(geometry),
    scratch: buffers.scratch(geometry),
  });
  return [
    kernelRow(`conv2d forward ${shape}`, work, (buffers) => {
      const { x, y, weight, bias, window, scratch } = place(buffers);
      return (ops) => ops.conv2d(IMAGE_BATCH, window, x, weight, bias, y, scratch);
    }),
    kernelRow(`conv2d dX ${shape}`, work, (buffers) => {
      const { x, y, weight, window, scratch } = place(buffers);
      return (ops) => ops.conv2dBackwardInput(IMAGE_BATCH, window, y, weight, x, scratch);
    }),
    kernelRow(`conv2d dW ${shape}`, work, (buffers) => {
      const { x, y, weight, window, scratch } = place(buffers);
      return (ops) => ops.conv2dBackwardWeight(IMAGE_BATCH, window, x, y, weight, false, scratch);
    }),
  ];
}

/** What runs between the convolutions, over planes of so many channels. */
function planeRows(channels: number, size: number): Row[] {
  const inner = size * size;
  const count = IMAGE_BATCH * channels * inner;
  const layout = [IMAGE_BATCH, channels, inner] as const;
  const elements = { elements: count };
  const shape = `${channels}x${size}x${size} batch ${IMAGE_BATCH}`;
  const pooled = count / 4;
  const pool = [channels, size, size, channels, 2, 2, 2, 2, 0, 0] as const;
  return [
    kernelRow(`prelu ${shape}`, elements, (buffers) => {
      const [x, y, slope] = [count, count, channels].map((length) => buffers.floats(length));
      return (ops) => ops.prelu(...layout, x, slope, y);
    }),
    kernelRow(`preluBackward+sums ${shape}`, elements, (buffers) => {
      const [x, dy, dx] = [1, 2, 3].map(() => buffers.floats(count));
      const [slope, dslope, dbias] = [1, 2, 3].map(() => buffers.floats(channels));
      return (ops) => ops.preluBackward(...layout, x, dy, slope, dx, dslope, false, dbias, false);
    }),
    kernelRow(`channelSums ${shape}`, elements, (buffers) => {
      const [x, y] = [count, channels].map((length) => buffers.floats(length));
      return (ops) => ops.channelSums(...layout, x, y, false);
    }),
    kernelRow(`batchNorm ${shape}`, elements, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(count));
      const [weight, bias, mean, variance, statistics] = [1, 1, 1, 1, 2].map((n) => buffers.floats(n * channels));
      return (ops) => ops.batchNorm(...layout, x, weight, bias, 1e-5, 0.1, mean, variance, statistics, y);
    }),
    kernelRow(`normalize ${shape}`, elements, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(count));
      const [weight, bias, mean] = [1, 2, 3].map(() => buffers.floats(channels));
      const variance = buffers.floats(channels, 0.5, 1);
      return (ops) => ops.normalize(...layout, x, weight, bias, 1e-5, mean, variance, y);
    }),
    kernelRow(`batchNormBackward ${shape}`, elements, (buffers) => {
      const [x, dy, dx] = [1, 2, 3].map(() => buffers.floats(count));
      const [weight, dweight, dbias, statistics] = [1, 1, 1, 2].map((n) => buffers.floats(n * channels));
      return (ops) => ops.batchNormBackward(...layout, x, dy, weight, statistics, dx, dweight, false, dbias, false);
    }),
    kernelRow(`maxPool2d 2x2 ${shape}`, elements, (buffers) => {
      const [x, y, indices] = [count, pooled, pooled].map((length) => buffers.floats(length));
      const window = buffers.window(pool);
      return (ops) => ops.maxPool2d(IMAGE_BATCH, window, x, y, indices);
    }),
    kernelRow(`maxPool2dBackward 2x2 ${shape}`, elements, (buffers) => {
      const [x, dx, y, dy, indices] = [count, count, pooled, pooled, pooled].map((length) => buffers.floats(length));
      const window = buffers.window(pool);
      let isPlaced = false;
      return (ops) => {
        // valid indices
        if (!isPlaced) ops.maxPool2d(IMAGE_BATCH, window, x, y, indices);
        isPlaced = true;
        ops.maxPool2dBackward(IMAGE_BATCH, window, dy, indices, dx);
      };
    }),
    kernelRow(`dropout ${shape}`, elements, (buffers) => {
      const [x, y] = [1, 2].map(() => buffers.floats(count));
      return (ops) => ops.dropout(count, x, 1, 2, 1 << 23, 2, y);
    }),
  ];
}

export const imageRows: Row[] = [...CONVOLUTIONS.flatMap(convolutionRows), ...planeRows(64, 32), ...planeRows(128, 16)];
