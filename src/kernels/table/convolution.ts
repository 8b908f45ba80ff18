import { bias, flag, input, type KernelDescription, output, size, window, work } from "./vocabulary.js";

export const conv2d: KernelDescription = {
  layout: "convolution",
  formula: `
Convolution (a cross-correlation, torch.nn.Conv2d) of x[images, channels, height, width] with
weight[outChannels, channels, kernelHeight, kernelWidth], x being 0 outside:
  y[n, o, i, j] = bias[o] + Σ over c, u, v of weight[o, c, u, v] · x[n, c, i · strideHeight - paddingHeight + u, ...]
y is [images, outChannels, outHeight, outWidth], outHeight = floor((height + 2 · paddingHeight - kernelHeight) / strideHeight) + 1
>= 1, and likewise outWidth. \`window\` has the sizes, \`work\` is a scratch of conv2dWorkBytes(window) bytes.`,
  arguments: {
    images: size,
    window,
    x: input(["images", "inputs"]),
    weight: input(["weights"]),
    bias: bias(["outChannels"]),
    y: output(["images", "outputs"]),
    work,
  },
  split: ["images"],
};

export const conv2dBackwardInput: KernelDescription = {
  layout: "convolution",
  formula: `
dx[n, c, ...] = Σ over o, u, v of weight[o, c, u, v] · dy[n, o, ...], over the outputs that x's element went into; 0 where it went
into none.`,
  arguments: {
    images: size,
    window,
    dy: input(["images", "outputs"]),
    weight: input(["weights"]),
    dx: output(["images", "inputs"]),
    work,
  },
  split: ["images"],
};

export const conv2dBackwardWeight: KernelDescription = {
  layout: "convolution",
  formula:
    "dweight[o, c, u, v] (+)= Σ over n, i, j of dy[n, o, i, j] · x[n, c, i · strideHeight - paddingHeight + u, ...]",
  arguments: {
    images: size,
    window,
    x: input(["images", "inputs"]),
    dy: input(["images", "outputs"]),
    dweight: output(["weights"], { accumulate: "accumulate" }),
    accumulate: flag,
    work,
  },
  shares: true,
};

export const conv2dWorkBytes: KernelDescription = {
  layout: "convolution",
  formula: "Bytes of scratch that the three messages of a convolution need; it may hold anything before and after.",
  arguments: { window },
  returns: "number",
};
