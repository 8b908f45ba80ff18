import { dependentAdditions, independentProductsAndSums, type Loop } from "./loops.js";
import { readProcessor } from "./machine.js";
import { median, millisecondsOf } from "./numbers.js";

/** What this processor could do at best: of one core, with 128-bit lanes, measured in this process. */
export interface Limit {
  /** What shares are shares of. Of a cycle, since the clocks of many processors vary: every row is measured with its own. */
  flopPerCycle: number;
  /** How `flopPerCycle` came about. */
  explanation: string;
  /** What the best loop of multiplications and additions reaches that touches registers only. */
  loopFlopPerCycle: number;
}

/** A Zen 5 core has two 128-bit multipliers and two adders that work side by side: (2 + 2) x 4 flop a cycle. */
const ZEN5_FLOP_PER_CYCLE = 16;
const LANES = 4;
/** Turns of a loop in a call: calls of some microseconds, because V8 exchanges code for better code only between calls. */
const TURNS = 1000;
/** Statements in a turn, so that the loop itself does not count. */
const UNROLLED = 16;
/** Chains enough to keep every unit busy through its latency; more than the registers hold only lose. */
const CHAINS = [4, 5, 6, 8, 12];
const WINDOWS = 10;
const WINDOW_MS = 20;

export function measureLimit(): Limit {
  const loopFlopPerCycle = Math.max(
    ...CHAINS.map((chains) => {
      const loop = independentProductsAndSums(chains, UNROLLED);
      return bestFlopPerCycle(loop, 2 * chains * LANES * UNROLLED * TURNS);
    }),
  );
  return isZen5()
    ? { flopPerCycle: ZEN5_FLOP_PER_CYCLE, explanation: "the units of a Zen 5 core", loopFlopPerCycle }
    : { flopPerCycle: loopFlopPerCycle, explanation: "the register-only loop, as this is no Zen 5", loopFlopPerCycle };
}

/** The best of some windows' medians, since neighbours only take away. */
function bestFlopPerCycle(loop: Loop, flop: number): number {
  const windows = Array.from({ length: WINDOWS }, () => {
    const samples: number[] = [];
    for (const start = performance.now(); performance.now() - start < WINDOW_MS; ) {
      const nanoseconds = 1e6 * millisecondsOf(() => loop(TURNS, 1));
      samples.push(flop / (nanoseconds * measureClock()));
    }
    return median(samples);
  });
  return Math.max(...windows);
}

const additions = dependentAdditions(UNROLLED);

/** GHz at this moment, in some microseconds. */
export function measureClock(): number {
  const times = [1, 2, 3].map(() => millisecondsOf(() => additions(TURNS, 1)));
  return (2 * UNROLLED * TURNS) / Math.min(...times) / 1e6;
}

/** Family 26 of AMD's processors. Where that cannot be asked, the answer is no and the register-only loop is the limit. */
function isZen5(): boolean {
  const { vendor, family } = readProcessor();
  return vendor === "AuthenticAMD" && family === "26";
}
