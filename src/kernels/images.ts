import { provideImages } from "./feature.js";
import { images } from "./generated/descriptions.js";
import { createImagesTwin } from "./generated/images-twin.js";
import { imagePieces } from "./modules.js";

/**
 * Brings the kernels for images into the program. Called where a layer's class is defined, and marked as pure there: a bundler that
 * drops the class drops the call, and with it the kernels. Always true.
 */
export function needImageKernels(): true {
  provideImages({ pieces: imagePieces, createTwin: createImagesTwin, descriptions: images });
  return true;
}
