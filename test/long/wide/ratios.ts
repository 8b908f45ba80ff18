/**
 * node --import tsx ratios.ts: the time of what lies apart over the time of what lies together, as an engine measures it, of kernels that are
 * widened and of kernels that are not; and how often the engine would be wrong.
 */
import { codesOf } from "../../../src/kernels/codes.js";
import { openModules } from "../../../src/kernels/wasm.js";
import { type Calibrate, isWider, measureRatio } from "../../../src/kernels/wide/calibration.js";
import { compileWide } from "../../../src/kernels/wide/compile.js";
import { LinearMemory } from "../../../src/memory.js";

const TRIES = 2000;

const [{ bytes, widening }] = codesOf("simd", true);
const now = (): number => performance.now();
for (const [name, functions] of [
  ["widened", widening],
  ["not widened", []],
] as const) {
  const heap = new LinearMemory({ maximum: 2 ** 25 });
  const kernels = openModules(compileWide([{ bytes, widening: functions }], heap.memory), heap);
  const calibrate: Calibrate = (together, turns) => kernels.calibrate(together, turns);
  const ratios = Float64Array.from({ length: TRIES }, () => measureRatio(calibrate, now)).sort();
  const [least, median, most] = [0, TRIES / 2, TRIES - 1].map((i) => ratios[i].toFixed(2));
  const wrong = Array.from({ length: TRIES }, () => isWider(calibrate, now)).filter(
    (isWide) => isWide !== (name === "widened"),
  );
  console.log(
    `Node ${process.versions.node}, ${name}: ${least} to ${most}, median ${median}, wrong ${wrong.length}, of ${TRIES} tries`,
  );
}
