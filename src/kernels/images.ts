import { images as descriptions } from "./generated/descriptions.js";
import { createImagesTwin } from "./generated/images-twin.js";
import type { KernelGroup } from "./groups.js";
import { images as pieces } from "./pieces.js";

/** The kernels that only layers for images call. */
export const images: KernelGroup = { module: () => pieces, createTwin: createImagesTwin, descriptions };
