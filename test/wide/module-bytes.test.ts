import { describe, expect, test } from "vitest";
// with every layer come all groups of kernels
import "../../src/index.js";
import { codesOf } from "../../src/kernels/codes.js";
import { link } from "../../src/kernels/wasm.js";
import { exportName, exposeFunctions, isInternal } from "../../src/kernels/wide/module-bytes.js";
import { LinearMemory } from "../../src/memory.js";

const codes = codesOf("simd", true);
const exposed = codes.map(({ bytes }) => exposeFunctions(bytes, Uint8Array.of(1, 2, 3)));
const modules = exposed.map(({ bytes }) => new WebAssembly.Module(bytes));
const { memory } = new LinearMemory({ maximum: 2 ** 20 });
const linked = link(modules, memory);

const isNumbered = (name: string): boolean => /^\$\d/.test(name);
const isFunction = ({ kind }: { kind: string }): boolean => kind === "function";

// the core imports no functions, a group those that it shares with the core
describe.each([
  ["the core", 0],
  ["the module of a group", 1],
])("%s, its functions exposed", (_, position) => {
  const { bytes, widening } = codes[position];
  const { bytes: exposedBytes, count } = exposed[position];
  const module = modules[position];
  const imported = WebAssembly.Module.imports(module).filter(isFunction).length;
  const names = (of: WebAssembly.Module): string[] => WebAssembly.Module.exports(of).map(({ name }) => name);

  test("imports functions or not", () => {
    expect(imported > 0).toBe(position > 0);
  });

  test("exports what it exported, and each of its functions by number", () => {
    const before = names(new WebAssembly.Module(bytes));
    expect(before.filter(isNumbered)).toEqual([]);
    const numbers = Array.from({ length: count }, (_, index) => exportName(index));
    expect(names(module)).toEqual([...before, ...numbers]);
    expect(numbers.every(isInternal)).toBe(true);
  });

  test("has every function among them, by the number that it has", () => {
    const functions = Object.entries(linked[position]).filter(([, value]) => typeof value === "function");
    const numbered = functions.filter(([name]) => isNumbered(name));
    // a function's own name in V8 is its index
    expect(numbered.map(([, value]) => (value as () => void).name)).toEqual(
      numbered.map((_, index) => String(imported + index)),
    );
    const own = new Set(numbered.map(([, value]) => value));
    expect(own.size).toBe(count);
    for (const [, value] of functions) expect(own).toContain(value);
    expect(() => new WebAssembly.Module(exposeFunctions(exposedBytes, Uint8Array.of()).bytes)).toThrow(
      /[Dd]uplicate export/,
    );
  });

  test("carries what makes it unique", () => {
    const custom = WebAssembly.Module.customSections(module, "unique");
    expect(custom.map((section) => [...new Uint8Array(section)])).toEqual([[1, 2, 3]]);
  });

  test("has functions that may be widened: some, and not all", () => {
    expect(widening.length).toBeGreaterThan(count / 6);
    expect(widening.length).toBeLessThan(count);
    expect(widening.every((index) => Number.isInteger(index) && index >= 0 && index < count)).toBe(true);
  });
});
