import { reading, show } from "../../checks.js";
import { ArgumentError } from "../../errors.js";
import { builtin, type Url } from "../../host-types.js";

/** A scheme has two letters or more: one is a drive. */
const SCHEME = /^[a-z][a-z\d+.-]+:/i;
const PATH = /^(\.{0,2}[/\\]|[a-z]:[/\\])/i;

/**
 * The URL of a module. A path is one that begins with "/", "./" or "../", as `new Worker` wants it; it is relative to the working
 * directory, in browsers to the page. Throws an ArgumentError for anything else.
 */
export function moduleUrl(module: Url | string): string {
  const text = reading("fitInWorker: module", () => (typeof module === "string" ? module : module?.href));
  if (typeof text !== "string") {
    throw new ArgumentError(`fitInWorker: module: got ${show(module)}, expected a URL, or a string with a URL or path`);
  }
  if (SCHEME.test(text)) return text;
  if (!PATH.test(text)) {
    throw new ArgumentError(
      `fitInWorker: module: got ${show(text)}, expected a URL, or a path that begins with "/", "./" or "../"; \`import.meta.resolve("./train.js")\` is a file beside yours`,
    );
  }
  const files = builtin<{ pathToFileURL(path: string): Url }>("node:url");
  if (files !== undefined) return files.pathToFileURL(text).href;
  const { document, location } = globalThis as { document?: { baseURI: string }; location?: { href: string } };
  return new URL(text, document?.baseURI ?? location?.href).href;
}
