import { dependentAdditions, independentProductsAndSums, type Loop } from "./loops.js";
import { readProcessor } from "./machine.js";
import { median, millisecondsOf } from "./numbers.js";

/** The most that one core can do with 128-bit lanes, measured in this process. */
export interface Limit {
  /** 100 % of all shares. By the cycle, since clocks vary: every row is measured with its own. */
  flopPerCycle: number;
  /** Where `flopPerCycle` comes from. */
  explanation: string;
  /** What the best loop of multiplications and additions in registers alone reaches. */
  loopFlopPerCycle: number;
}

/** A Zen 5 core has two 128-bit multipliers and two adders that work side by side: (2 + 2) x 4 flop a cycle. */
const ZEN5_FLOP_PER_CYCLE = 16;
const LANES = 4;
/** Turns of a loop in a call. Calls take some microseconds, because V8 replaces code by better code only between calls. */
const TURNS = 1000;
/** Statements in a turn, so that the loop itself does not count. */
const UNROLLED = 16;
/** Numbers of chains: enough to hide the latency of every unit, and not more than the registers hold. */
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

/** The best of several medians: other processes can only slow it down. */
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

/** The clock in GHz, measured in some microseconds. */
export function measureClock(): number {
  const times = [1, 2, 3].map(() => millisecondsOf(() => additions(TURNS, 1)));
  return (2 * UNROLLED * TURNS) / Math.min(...times) / 1e6;
}

/** Whether it is AMD's family 26. If that cannot be read it counts as no, and the register-only loop is the limit. */
function isZen5(): boolean {
  const { vendor, family } = readProcessor();
  return vendor === "AuthenticAMD" && family === "26";
}
