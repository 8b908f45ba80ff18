import { describe } from "vitest";
import { describeAccuracy } from "../support/ulp.js";

let shown = "";

/** A line for every tenth of a sweep. */
function showProgress(set: string, test: string, share: number): void {
  const line = `${set}: ${test}: ${Math.floor(share * 10) * 10} %`;
  if (line !== shown) console.info(`${new Date().toLocaleTimeString("en-GB")} ${line}`);
  shown = line;
}

// About an hour on one core, a little less than half of it for `simd`.
describe("element-wise kernels against double precision over all 2^32 inputs", () => {
  describeAccuracy(() => 1, showProgress);
});
