/**
 * Types of things that the host brings: whatever the program's own configuration (the DOM's library, Node's types) says they are, and a
 * shape that they have where it says nothing, so that our declarations ask for no library that a program may not want.
 */

/** A WebAssembly.Module. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer Module } } }
  ? Module
  : object;

/** An AbortSignal. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void };

/**
 * Bytes in an ArrayBuffer of their own, which is what the web's APIs take: since TypeScript 5.7 typed arrays say what they lie over. Written so
 * that earlier versions read it too.
 */
export type Bytes = ReturnType<Uint8Array["slice"]>;
/** Floats in an ArrayBuffer of their own; likewise. */
export type Floats = ReturnType<Float32Array["slice"]>;

/** A module of Node's own, without an import that other runtimes and bundlers would stumble over. */
export function builtin<T>(name: string): T | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return process?.getBuiltinModule?.(name) as T | undefined;
}

type Coders = Pick<typeof globalThis, "TextEncoder" | "TextDecoder">;

/** What turns text into UTF-8 and back. Jest's page in Node (jsdom) has neither; Node itself has. */
export const coders = (): Coders => (typeof TextEncoder === "undefined" ? builtin<Coders>("node:util")! : globalThis);
