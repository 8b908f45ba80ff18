/**
 * Types of what the host provides. They are the program's own, from the DOM's library or Node's types, or a minimal shape if it has neither:
 * so our declarations need no library.
 */

/** A WebAssembly.Module. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer Module } } }
  ? Module
  : object;

/** An AbortSignal. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void };

/** A URL. */
export type Url = typeof globalThis extends { URL: { prototype: infer Url } } ? Url : { readonly href: string };

/**
 * Bytes in an ArrayBuffer of their own, as the web's APIs want them. Since TypeScript 5.7 the type of a typed array says what it lies over;
 * written this way, earlier versions read it too.
 */
export type Bytes = ReturnType<Uint8Array["slice"]>;
/** Floats in an ArrayBuffer of their own. */
export type Floats = ReturnType<Float32Array["slice"]>;

/** One of Node's own modules, without an import that other runtimes and bundlers would fail on. */
export function builtin<T>(name: string): T | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return process?.getBuiltinModule?.(name) as T | undefined;
}

type Coders = Pick<typeof globalThis, "TextEncoder" | "TextDecoder">;

/** TextEncoder and TextDecoder. Under jsdom, as Jest runs it, they are not global, but Node has them. */
export const coders = (): Coders => (typeof TextEncoder === "undefined" ? builtin<Coders>("node:util")! : globalThis);
