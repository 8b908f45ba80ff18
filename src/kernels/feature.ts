import type { Heap } from "../memory.js";
import type { Description, KernelName } from "./description.js";
import { core } from "./generated/descriptions.js";
import type { ImagesKernels } from "./generated/kernels.js";

/** Kernels that a program has if it has a layer that calls them. */
export interface ImageFeature {
  /** Functions of the modules, by their positions (pieces.ts); none where the modules are files. */
  readonly pieces: Readonly<Record<number, string>>;
  /** The twin's. */
  createTwin(heap: Heap): ImagesKernels;
  /** How they are called, for `engine.warmUp` and the self-test. */
  readonly descriptions: Readonly<Record<keyof ImagesKernels, Description>>;
}

let images: ImageFeature | undefined;

/** The kernels for images, if some layer of the program calls them: that is settled once everything is imported. */
export const imageFeature = (): ImageFeature | undefined => images;

export function provideImages(feature: ImageFeature): void {
  images = feature;
}

/** How the kernels of this program are called. */
export const descriptions = (): Readonly<Record<KernelName, Description>> =>
  ({ ...core, ...images?.descriptions }) as Record<KernelName, Description>;
