/**
 * Where the library's code runs from, a URL or a path: its own file, or a bundle of the program. undefined where the host does not say. For
 * index.cjs the build takes `__filename` instead.
 */
export function ownFile(): string | undefined {
  // bundlers that make CommonJS warn of an import.meta outside of a try
  try {
    return import.meta.url;
  } catch {
    return undefined;
  }
}

/** What the package's own files end with, and no bundle of them: a worker may load the library from there. */
export const END_OF_LIBRARY = "// the whole of lanegrad";
