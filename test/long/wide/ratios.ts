/**
 * node --import tsx ratios.ts: the 4x8 tile's time over the 4x16 tile's, as an engine measures it, of kernels that are widened and of kernels
 * that are not.
 */
import { codeOf } from "../../../src/kernels/modules.js";
import { openModule } from "../../../src/kernels/wasm.js";
import { measureRatio } from "../../../src/kernels/wide/calibration.js";
import { compileWide } from "../../../src/kernels/wide/compile.js";
import { LinearMemory } from "../../../src/memory.js";

const TRIES = 1200;

const { bytes, widening } = codeOf("simd", true);
for (const [name, functions] of [
  ["widened", widening],
  ["not widened", []],
] as const) {
  const heap = new LinearMemory({ maximum: 2 ** 25 });
  const kernels = openModule(compileWide({ bytes, widening: functions }, heap.memory), heap);
  const ratios = Float64Array.from({ length: TRIES }, () =>
    measureRatio(
      (columns, turns) => kernels.calibrate(columns, turns),
      () => performance.now(),
    ),
  ).sort();
  const [least, median, most] = [0, TRIES / 2, TRIES - 1].map((i) => ratios[i].toFixed(2));
  console.log(`Node ${process.versions.node}, ${name}: ${least} to ${most}, median ${median}, of ${TRIES} tries`);
}
