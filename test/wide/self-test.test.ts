import { describe, expect, test } from "vitest";
// with every layer come all groups of kernels
import "../../src/index.js";
import type { KernelName } from "../../src/kernels/description.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { loadKernels } from "../../src/kernels/wasm.js";
import { comparedKernels, firstDifference } from "../../src/kernels/wide/self-test.js";
import { LinearMemory } from "../../src/memory.js";

const heap = new LinearMemory({ maximum: 2 ** 26 });
const kernels = loadKernels("simd", heap);
const names = comparedKernels();

/** The kernels, one of them with another behaviour. */
const withFault = (
  name: KernelName,
  fault: (call: () => unknown, addresses: readonly number[]) => unknown,
): Kernels => ({
  ...kernels,
  [name]: (...args: number[]) =>
    fault(
      () => (kernels[name] as (...args: number[]) => unknown)(...args),
      // no size is as large as the lowest address of an operand
      args.filter((arg) => arg >= 65_536),
    ),
});

test("kernels agree with themselves", () => {
  expect(firstDifference(kernels, { ...kernels }, heap)).toBeUndefined();
});

test("every kernel that a module exports is called", () => {
  const setup = [
    "set",
    "isRelaxed",
    "workBytes",
    "useWork",
    "useShare",
    "useWide",
    "useTall",
    "calibrate",
    "conv2dWorkBytes",
  ];
  const exported = Object.entries(kernels).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  expect([...names].sort()).toEqual(exported.filter((name) => !setup.includes(name)).sort());
});

describe("a fault is found in", () => {
  test.each(names)("%s that does nothing", (name) => {
    expect(
      firstDifference(
        kernels,
        withFault(name, () => undefined),
        heap,
      ),
    ).toBe(name);
  });

  // the lowest bit of one word of some operand, in one call of four
  test.each(names)("%s that is wrong by one bit now and then", (name) => {
    let calls = 0;
    const faulty = withFault(name, (call, addresses) => {
      const result = call();
      if (calls++ % 4 === 3) heap.i32[addresses[calls % addresses.length] >>> 2] ^= 1;
      return result;
    });
    expect(firstDifference(kernels, faulty, heap)).toBe(name);
  });

  test("a sum that is returned", () => {
    const faulty = withFault("sumOfSquares", (call) => (call() as number) * (1 + Number.EPSILON));
    expect(firstDifference(kernels, faulty, heap)).toBe("sumOfSquares");
  });

  test("the sign of zeros", () => {
    const faulty = withFault("relu", (call, addresses) => {
      call();
      const y = addresses[addresses.length - 1] >>> 2;
      for (let i = y; i < y + 8; i++) if (heap.f32[i] === 0) heap.i32[i] ^= 0x8000_0000;
    });
    expect(firstDifference(kernels, faulty, heap)).toBe("relu");
  });
});

test("the payload of a NaN makes no difference", () => {
  const other = withFault("relu", (call, addresses) => {
    call();
    const word = addresses[addresses.length - 1] >>> 2;
    if (Number.isNaN(heap.f32[word])) heap.i32[word] = 0x7fc0_1234;
  });
  expect(firstDifference(kernels, other, heap)).toBeUndefined();
});
