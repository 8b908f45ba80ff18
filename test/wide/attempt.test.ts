import v8 from "node:v8";
import { afterEach, describe, expect, test, vi } from "vitest";
// with every layer come all groups of kernels
import "../../src/index.js";
import { codesOf } from "../../src/kernels/codes.js";
import { type Code, compileWide } from "../../src/kernels/wide/compile.js";
import { readEnvironment } from "../../src/kernels/wide/gate.js";
import { firstDifference } from "../../src/kernels/wide/self-test.js";
import { attemptToWiden, type Steps, widen } from "../../src/kernels/wide/wide.js";
import { canWiden } from "../support/wide.js";

/** Steps that go well on any Node: modules that V8 compiles as it does by itself, taken for wide ones. */
const fortunate = (): Steps => ({
  readEnvironment: () => ({ v8: "13.6.1.1-node.1", arch: "x64", isMainThread: true, options: [] }),
  compileWide: vi.fn((codes: readonly Code[]) => codes.map(({ bytes }) => new WebAssembly.Module(bytes))),
  isWider: vi.fn(() => true),
  firstDifference: vi.fn(() => undefined),
});

/** The core and the kernels for images. */
const WIDENED = { modules: [expect.any(WebAssembly.Module), expect.any(WebAssembly.Module)] };

describe("an attempt", () => {
  test("that goes well gives the modules", () => {
    const steps = fortunate();
    expect(attemptToWiden("simd", steps)).toEqual(WIDENED);
  });

  test("compares the wide tiles with the ordinary kernels of the set", () => {
    const steps = fortunate();
    attemptToWiden("simd", steps);
    const [normal, wide, heap] = vi.mocked(steps.firstDifference).mock.calls[0];
    expect([normal.set, wide.set]).toEqual(["simd", "simd"]);
    expect(firstDifference(normal, wide, heap)).toBeUndefined();
  });

  test("is not made where the V8 is unknown: no step is taken", () => {
    const steps = { ...fortunate(), readEnvironment: () => ({ ...readEnvironment(), v8: "15.1.2.3-node.4" }) };
    expect(attemptToWiden("simd", steps)).toEqual({
      reason: expect.stringMatching(/^V8 15\.1\.2\.3-node\.4 is not among/),
    });
    for (const step of [steps.compileWide, steps.isWider, steps.firstDifference]) expect(step).not.toHaveBeenCalled();
  });

  test("ends where the widened kernels are not faster, before the self-test", () => {
    const steps = { ...fortunate(), isWider: () => false };
    expect(attemptToWiden("simd", steps)).toEqual({
      reason: expect.stringMatching(/not the faster ones/),
      mayPass: true,
    });
    expect(steps.firstDifference).not.toHaveBeenCalled();
  });

  test("ends where a kernel gives other bits, and says which", () => {
    const steps: Steps = {
      ...fortunate(),
      firstDifference: (normal, wide, heap) =>
        firstDifference(normal, { ...wide, elu: (n, x, alpha, y) => wide.elu(n - 1, x, alpha, y) }, heap),
    };
    expect(attemptToWiden("simd", steps)).toEqual({ reason: "the self-test failed: elu gives other bits" });
  });

  test("ends where V8 throws", () => {
    const steps: Steps = {
      ...fortunate(),
      compileWide: () => {
        throw new SyntaxError("Unexpected token '%'");
      },
    };
    expect(attemptToWiden("simd", steps)).toEqual({ reason: "it failed: Unexpected token '%'", mayPass: true });
  });
});

describe.runIf(canWiden)("compiling", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536, shared: true });

  const areNativesOn = (): boolean => {
    try {
      // in other words each time: V8 remembers what it compiled
      new Function(`%IsJSProxy(${performance.now()})`);
      return true;
    } catch {
      return false;
    }
  };

  const { setFlagsFromString } = v8;
  const setFlags = vi.spyOn(v8, "setFlagsFromString");
  const flagsSet = (): string[] => setFlags.mock.calls.map(([flag]) => flag);
  afterEach(() => void setFlags.mockReset());

  const NATIVES = "--allow-natives-syntax";
  const WIDEN = "--experimental-wasm-revectorize";
  const off = (flag: string): string => flag.replace("--", "--no-");
  const IN_AND_OUT = [NATIVES, WIDEN, off(WIDEN), off(NATIVES)];

  test("sets V8's flags around itself and off again", () => {
    compileWide(codesOf("simd", true), memory);
    expect(flagsSet()).toEqual(IN_AND_OUT);
    expect(areNativesOn()).toBe(false);
  });

  test("sets them off where V8 throws", () => {
    setFlags.mockImplementation((flag) => {
      setFlagsFromString(flag);
      if (flag === WIDEN) throw new Error("no such flag");
    });
    expect(() => compileWide(codesOf("simd", true), memory)).toThrow("no such flag");
    expect(flagsSet()).toEqual(IN_AND_OUT);
    expect(areNativesOn()).toBe(false);
  });

  test("leaves V8's own syntax on where it was on", () => {
    v8.setFlagsFromString(NATIVES);
    setFlags.mockClear();
    try {
      compileWide(codesOf("simd", true), memory);
      expect(flagsSet()).toEqual([WIDEN, off(WIDEN)]);
      expect(areNativesOn()).toBe(true);
    } finally {
      v8.setFlagsFromString(off(NATIVES));
    }
  });

  test("touches no flag for bytes that are no module", () => {
    const codes = codesOf("simd", true).map(({ bytes, widening }) => ({ bytes: bytes.slice(0, 1000), widening }));
    expect(() => compileWide(codes, memory)).toThrow();
    expect(flagsSet()).toEqual([]);
  });
});

describe.runIf(canWiden)("the modules of a set", () => {
  test.each(["simd", "relaxed-simd"] as const)("%s are made once", (set) => {
    const attempt = widen(set);
    expect(attempt).toEqual(WIDENED);
    expect(widen(set)).toBe(attempt);
  });
});
