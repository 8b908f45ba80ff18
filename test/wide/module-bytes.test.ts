import { describe, expect, test } from "vitest";
import { codeOf } from "../../src/kernels/modules.js";
import { exportName, exposeFunctions, isExportName } from "../../src/kernels/wide/module-bytes.js";
import { LinearMemory } from "../../src/memory.js";

const { bytes, widening } = codeOf("simd", true);
const { bytes: exposed, count } = exposeFunctions(bytes, Uint8Array.of(1, 2, 3));

describe("a module whose functions are exposed", () => {
  const module = new WebAssembly.Module(exposed);
  const names = (of: WebAssembly.Module): string[] => WebAssembly.Module.exports(of).map(({ name }) => name);

  test("exports what it exported, and each of its functions by number", () => {
    const before = names(new WebAssembly.Module(bytes));
    expect(before.some(isExportName)).toBe(false);
    const numbers = Array.from({ length: count }, (_, index) => exportName(index));
    expect(names(module)).toEqual([...before, ...numbers]);
    expect(numbers.every(isExportName)).toBe(true);
  });

  test("has every function among them, by the number that it has", () => {
    const { memory } = new LinearMemory({ maximum: 2 ** 20 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const functions = Object.entries(exports).filter(([, value]) => typeof value === "function");
    const numbered = functions.filter(([name]) => isExportName(name));
    // a function's own name in V8 is its index
    expect(numbered.map(([, value]) => (value as () => void).name)).toEqual(numbered.map((_, index) => String(index)));
    const own = new Set(numbered.map(([, value]) => value));
    expect(own.size).toBe(count);
    for (const [, value] of functions) expect(own).toContain(value);
    expect(() => new WebAssembly.Module(exposeFunctions(exposed, Uint8Array.of()).bytes)).toThrow(
      /[Dd]uplicate export/,
    );
  });

  test("carries what makes it unique", () => {
    const custom = WebAssembly.Module.customSections(module, "unique");
    expect(custom.map((section) => [...new Uint8Array(section)])).toEqual([[1, 2, 3]]);
  });
});

test("the build names the functions that may be widened: some, and not all", () => {
  expect(widening.length).toBeGreaterThan(20);
  expect(widening.length).toBeLessThan(count);
  expect(widening.every((index) => Number.isInteger(index) && index >= 0 && index < count)).toBe(true);
});
