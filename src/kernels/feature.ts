import type { Heap, LinearMemory } from "../memory.js";
import type { Kernels } from "./kernels.js";

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

/** Kernels that a program has if it has a layer that calls them. */
export interface ImageFeature {
  /** Functions of the modules, by their positions (pieces.ts); none where the modules are files. */
  readonly pieces: Readonly<Record<number, string>>;
  /** The twin's. */
  createTwin(heap: Heap): Pick<Kernels, ImageKernel>;
  /** Calls each of them once, for `engine.warmUp`. */
  exercise(ops: Kernels, memory: LinearMemory): void;
}

let images: ImageFeature | undefined;

/** The kernels for images, if some layer of the program calls them: that is settled once everything is imported. */
export const imageFeature = (): ImageFeature | undefined => images;

export function provideImages(feature: ImageFeature): void {
  images = feature;
}
