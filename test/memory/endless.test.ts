import { describe, it } from "vitest";
import { expectFlat } from "../support/endless.js";

/** A heap so large that V8 hardly collects by itself. */
const LARGE_HEAP = ["--max-old-space-size=8192", "--max-semi-space-size=256"];

describe("for ever in the same memory, with a turn of the event loop now and then", () => {
  it.each([
    ["the default heap", []],
    ["a large heap", LARGE_HEAP],
  ])("tensors that are dropped, %s", async (_, options) => {
    await expectFlat("tensors", 90, { most: 700, options });
  });

  it("a tensor a step", async () => {
    await expectFlat("steps", 400, { most: 250, options: LARGE_HEAP });
  });

  it("nets that are dropped", async () => {
    await expectFlat("droppedNets", 100, { most: 250, options: LARGE_HEAP });
  });

  it("a fit whose loss makes its gradient", async () => {
    await expectFlat("fit", 300, { most: 250, options: LARGE_HEAP });
  });
});

describe("for ever in the same memory, without a turn", () => {
  it("nets that are disposed", async () => {
    await expectFlat("search", 20, { most: 250 });
  });

  it.each(["simd", "js"])("engines that are disposed, %s", async (kernels) => {
    await expectFlat("engines", 400, { most: 200, kernels });
  });

  it("large engines that are disposed", async () => {
    await expectFlat("largeEngines", 12, { most: 700 });
  });
});
