import * as activations from "./activations.js";
import * as convolution from "./convolution.js";
import * as gemm from "./gemm.js";
import * as losses from "./losses.js";
import * as normalization from "./normalization.js";
import * as optimizers from "./optimizers.js";
import * as pooling from "./pooling.js";
import * as random from "./random.js";
import * as reductions from "./reductions.js";
import type { KernelFile } from "./vocabulary.js";

/**
 * Every kernel, by group and file. A group is what comes into a program together: `core` into every one, the others if a layer needs
 * them. A file is one of the twin's (../js/) and of assembly/, too.
 */
export const GROUPS = {
  core: { gemm, reductions, activations, losses, optimizers, random },
  images: { convolution, pooling, normalization },
} as const satisfies Readonly<Record<string, Readonly<Record<string, KernelFile>>>>;
