import type { KernelGroup } from "./groups.js";
import { createImageTwin } from "./js/images.js";
import { images as pieces } from "./pieces.js";
import { exerciseImageKernels } from "./warm-up-images.js";

/** The kernels that only layers for images call. */
export const images: KernelGroup = {
  module: () => pieces,
  createTwin: createImageTwin,
  exercise: exerciseImageKernels,
};
