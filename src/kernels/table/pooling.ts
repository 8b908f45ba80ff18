import { input, integers, type KernelDescription, output, places, size, window } from "./vocabulary.js";

export const maxPool2d: KernelDescription = {
  layout: "pool",
  formula: `
Maxima of windows (torch.nn.MaxPool2d) of each plane of x[images, channels, height, width]; y is [images, channels, outHeight,
outWidth] as for a convolution. \`indices\` (int32 in y's shape) gets each maximum's place h · width + w in its plane: the first of
equals in row-major order; a NaN wins, the last of several; in a window of nothing but -Infinity its first cell. Padding is no value.`,
  arguments: {
    images: size,
    window,
    x: input(["images", "inputs"]),
    y: output(["images", "outputs"]),
    indices: places(["images", "outputs"], "plane", { optional: true }),
  },
  split: ["images"],
};

export const maxPool2dBackward: KernelDescription = {
  layout: "pool",
  formula: "dx = the sum of dy over the windows that an element is the maximum of, in double, rounded once.",
  arguments: {
    images: size,
    window,
    dy: input(["images", "outputs"]),
    indices: integers(["images", "outputs"], "plane"),
    dx: output(["images", "inputs"]),
  },
  split: ["images"],
};
