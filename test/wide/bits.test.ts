import * as lg from "lanegrad";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadKernels } from "../../src/kernels/wasm.js";
import { Comparison, comparedKernels } from "../../src/kernels/wide/self-test.js";
import { LinearMemory } from "../../src/memory.js";
import { loadWide } from "../support/kernels.js";
import { train, trajectories } from "../support/trajectory.js";
import { canWiden } from "../support/wide.js";

describe.runIf(canWiden)("the same bits, wide or not", () => {
  describe.each(["simd", "relaxed-simd"] as const)("%s", (kernels) => {
    describe("on random calls", () => {
      const heap = new LinearMemory({ maximum: 2 ** 26 });
      let comparison: Comparison;
      beforeAll(() => {
        comparison = new Comparison([loadKernels(kernels, heap), loadWide(kernels, heap)], heap, 2);
      });

      test.each(comparedKernels())("%s", (name) => {
        for (let i = 0; i < 200; i++) expect(comparison.isSame(name), `call ${i}`).toBe(true);
      });
    });

    describe("training as PyTorch", () => {
      let engines: lg.Engine[];
      beforeAll(() => {
        engines = [false, true].map((wide) => lg.createEngine({ kernels, wide }));
        expect(engines.map(({ wide }) => wide)).toEqual([false, true]);
      });
      afterAll(() => {
        for (const engine of engines) engine.dispose();
      });

      test.each(trajectories)("$name", (golden) => {
        const [normal, wide] = engines.map((engine) => train(golden, engine, "backward"));
        expect(wide).toEqual(normal);
      });
    });
  });
});
