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
