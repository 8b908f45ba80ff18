import { describe, it } from "vitest";
import { expectFlat } from "../support/endless.js";

/** test/memory/endless.test.ts, for longer. */
describe.each(["auto", "js"])("in the same memory, %s", (kernels) => {
  it.each([
    ["12,000 steps with a tensor each", "steps", 12_000, 300],
    ["3,000 large tensors", "tensors", 3_000, 700],
    ["1,000 nets that are dropped", "droppedNets", 1_000, 300],
    ["200 trials of a search", "search", 200, 300],
    ["3,000 epochs of a fit whose loss makes its gradient", "fit", 3_000, 300],
    ["2,000 engines", "engines", 2_000, 250],
    ["100 large engines", "largeEngines", 100, 700],
  ])("%s", async (_, scenario, count, most) => {
    await expectFlat(scenario, count, { most, kernels });
  });
});
