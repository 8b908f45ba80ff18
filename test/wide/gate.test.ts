import { describe, expect, test } from "vitest";
import { type Environment, readEnvironment, refusal } from "../../src/kernels/wide/gate.js";

const SUITABLE: Environment = { v8: "13.6.233.17-node.53", arch: "x64", isMainThread: true, options: [""] };

describe("kernels may be widened", () => {
  test.each([
    ["Node 24", {}],
    ["Node 26", { v8: "14.6.202.34-node.34" }],
    ["another patch of a tested version", { v8: "13.6.9.1-node.2" }],
    ["flags of other kinds", { options: ["--expose-gc", "--max-old-space-size=100", "--import", "tsx"] }],
  ])("with %s", (_, environment: Partial<Environment>) => {
    expect(refusal({ ...SUITABLE, ...environment })).toBeUndefined();
  });
});

describe("kernels are not widened", () => {
  test.each<[string, Partial<Environment>, RegExp]>([
    [
      "on Node 20",
      { v8: "11.3.244.8-node.38" },
      /^V8 11\.3\.244\.8-node\.38 is not among those tested.*13\.6 and 14\.6/,
    ],
    ["on Node 22", { v8: "12.4.254.21-node.57" }, /^V8 12\.4/],
    ["on a version between the tested ones", { v8: "14.1.146.11-node.14" }, /^V8 14\.1/],
    ["on a version to come", { v8: "15.0.1.1-node.1" }, /^V8 15\.0/],
    ["on a version that begins alike", { v8: "13.60.1.1-node.1" }, /^V8 13\.60/],
    ["on an Electron of the same V8", { v8: "13.6.233.8-electron.0" }, /electron/],
    ["on a Deno of the same V8", { v8: "13.6.233.8-rusty" }, /rusty/],
    ["where there is no V8", { v8: undefined }, /^this runtime is not among/],
    ["on ARM", { arch: "arm64" }, /x64 .*arm64/],
    ["in a worker thread", { isMainThread: false }, /main thread/],
    [
      "where the flag is set",
      { options: ["--experimental-wasm-revectorize"] },
      /^--experimental-wasm-revectorize is set/,
    ],
    ["where it is set with underscores", { options: ["--experimental_wasm_revectorize"] }, /whole process/],
    ["where flags are frozen", { options: ["--freeze-flags-after-init"] }, /frozen/],
    ["where it is forbidden", { options: ["--no-experimental-wasm-revectorize"] }, /^--no-experimental/],
  ])("%s", (_, environment, reason) => {
    expect(refusal({ ...SUITABLE, ...environment })).toMatch(reason);
  });

  test("for several reasons: the version comes first, before any module of Node is asked for more", () => {
    expect(refusal({ v8: undefined, arch: undefined, isMainThread: false, options: [] })).toMatch(/this runtime/);
  });
});

test("the environment is this process'", () => {
  expect(readEnvironment()).toEqual({
    v8: process.versions.v8,
    arch: process.arch,
    isMainThread: true,
    options: expect.arrayContaining([...process.execArgv]),
  });
});
