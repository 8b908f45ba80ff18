import type { Heap } from "../memory.js";
import type { ModulePieces } from "./codes.js";
import type { Description, KernelName } from "./description.js";
import { core } from "./generated/descriptions.js";
import type { Kernels } from "./kernels.js";

/** Kernels that come into a program together, with the layers that call them. */
export interface KernelGroup {
  /**
   * Their module; none where modules are files, which hold every group. A method, since a minifier would move a property's text too far
   * from the core's for gzip to find what they have in common.
   */
  module(): ModulePieces | undefined;
  /** The twin's. */
  createTwin(heap: Heap): Partial<Kernels>;
  /** How they are called, for `engine.warmUp` and the self-test. */
  readonly descriptions: Partial<Readonly<Record<KernelName, Description>>>;
}

const needed = new Set<KernelGroup>();

/**
 * Brings a group into the program. A layer's class does so where it is defined, and marks it as pure: a bundler that drops the class
 * drops the call, and with it the group.
 */
export function needs(group: KernelGroup): KernelGroup {
  needed.add(group);
  return group;
}

/** The groups of this program: known once everything is imported. */
export const neededGroups = (): readonly KernelGroup[] => [...needed];

/** How the kernels of this program are called. */
export const descriptions = (): Readonly<Record<KernelName, Description>> =>
  Object.assign({}, core, ...neededGroups().map((group) => group.descriptions));
