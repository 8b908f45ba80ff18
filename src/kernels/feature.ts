/** What only layers for images call. */
export const IMAGE_KERNELS = [
  "conv2d",
  "conv2dBackwardInput",
  "conv2dBackwardWeight",
  "conv2dWorkBytes",
  "maxPool2d",
  "maxPool2dBackward",
  "batchNorm",
  "normalize",
  "batchNormBackward",
] as const;

export type ImageKernel = (typeof IMAGE_KERNELS)[number];
