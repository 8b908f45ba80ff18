import { provideImages } from "./feature.js";
import { createImageTwin } from "./js/images.js";
import { imagePieces } from "./modules.js";
import { exerciseImageKernels } from "./warm-up-images.js";

/**
 * Brings the kernels for images into the program. Called where a layer's class is defined, and marked as pure there: a bundler that
 * drops the class drops the call, and with it the kernels. Always true.
 */
export function needImageKernels(): true {
  provideImages({ pieces: imagePieces, createTwin: createImageTwin, exercise: exerciseImageKernels });
  return true;
}
