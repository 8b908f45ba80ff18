import * as lg from "lanegrad";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { isWideRun } from "./wide.js";

/** V8 takes relaxed SIMD from Node 22 on; asking the version and not the library, a set that is missing is a failure. */
export const hasRelaxedSimd = Number.parseInt(process.versions.node, 10) >= 22;

/** Every kernel set that the tests of the public surface run on. */
export const KERNEL_SETS: readonly lg.Engine["kernels"][] = [
  ...(hasRelaxedSimd ? ["relaxed-simd" as const] : []),
  "simd",
  "js",
];

/** An engine with these kernels and no others, widened where that is asked for: a run that silently fell back would prove nothing. */
export function openEngine(kernels: (typeof KERNEL_SETS)[number]): lg.Engine {
  const engine = lg.createEngine({ kernels });
  expect(engine.kernels).toBe(kernels);
  expect(engine.wide, engine.wideReason).toBe(isWideRun && kernels !== "js");
  return engine;
}

/** Declares the same tests for each kernel set; `engine()` is the set's engine, inside a test. */
export function describeEngines(declare: (engine: () => lg.Engine) => void): void {
  describe.each(KERNEL_SETS)("%s", (kernels) => {
    let engine: lg.Engine;
    beforeAll(() => {
      engine = openEngine(kernels);
    });
    afterAll(() => engine.dispose());
    declare(() => engine);
  });
}
