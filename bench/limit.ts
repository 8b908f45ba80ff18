import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { median, millisecondsOf } from "./numbers.js";

/** What this processor could do at best: of one core, with 128-bit lanes, measured in this process. */
export interface Limit {
  /** What shares are shares of. Of a cycle, since the clocks of many processors vary: every row is measured with its own. */
  flopPerCycle: number;
  /** How `flopPerCycle` came about. */
  explanation: string;
  /** GHz when these were measured. */
  clock: number;
  /** GFLOP/s of the best loop of multiplications and additions that touches registers only. */
  registers: number;
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
/** Additions in a turn of the loop that tells the clock. */
const ADDITIONS = 2 * UNROLLED;
const WINDOWS = 10;
const WINDOW_MS = 20;

type Loop = (turns: number, x: number, y: number) => number;
export type Loops = Record<string, Loop>;

export function measureLimit(loops: Loops): Limit {
  const clock = bestRate(ADDITIONS, loops.additions);
  const registers = Math.max(
    ...CHAINS.map((chains) => bestRate(2 * chains * LANES * UNROLLED, loops[`registers${chains}`])),
  );
  return isZen5()
    ? { flopPerCycle: ZEN5_FLOP_PER_CYCLE, explanation: "the units of a Zen 5 core", clock, registers }
    : { flopPerCycle: registers / clock, explanation: "the register-only loop, as this is no Zen 5", clock, registers };
}

/** GHz at this moment, in some microseconds: dependent integer additions take a cycle each. */
export function measureClock({ additions }: Loops): number {
  const times = [1, 2, 3].map(() => millisecondsOf(() => additions(TURNS, 1, 1)));
  return (ADDITIONS * TURNS) / Math.min(...times) / 1e6;
}

/** Family 26 of AMD's processors. Where that cannot be asked, the answer is no and the register-only loop is the limit. */
function isZen5(): boolean {
  try {
    const cpuinfo = readFileSync("/proc/cpuinfo", "utf8");
    return /^vendor_id\s*: AuthenticAMD$/m.test(cpuinfo) && /^cpu family\s*: 26$/m.test(cpuinfo);
  } catch {
    return false;
  }
}

export async function compileLoops(): Promise<Loops> {
  const source = [additionsSource(), ...CHAINS.map(registersSource)].join("\n");
  const { binary, error, stderr } = await asc.compileString(source, {
    optimizeLevel: 3,
    runtime: "stub",
    enable: ["simd"],
  });
  if (error !== null || binary === null) throw new Error(`the loops do not compile: ${stderr}`);
  const module = new WebAssembly.Module(binary as Uint8Array<ArrayBuffer>);
  return new WebAssembly.Instance(module, { env: { abort: () => {} } }).exports as Loops;
}

/** Every addition needs the one before, and one takes a cycle. Two variables, because x + y + y could be computed as x + 2y. */
const additionsSource = (): string => `
export function additions(turns: i32, x: i32, y: i32): i32 {
  for (let i = 0; i < turns; i++) { ${"x += y; y += x; ".repeat(UNROLLED)} }
  return x;
}`;

/** As many chains of products as of sums, none waiting for another. */
function registersSource(chains: number): string {
  const each = (statement: (i: number) => string): string =>
    Array.from({ length: chains }, (_, i) => statement(i)).join(" ");
  return `
export function registers${chains}(turns: i32, x: f32, y: f32): f32 {
  const factor = f32x4.splat(x), term = f32x4.splat(y);
  ${each((i) => `let p${i} = f32x4.splat(${i}), s${i} = f32x4.splat(${i});`)}
  for (let i = 0; i < turns; i++) {
    ${each((i) => `p${i} = f32x4.mul(p${i}, factor); s${i} = f32x4.add(s${i}, term);`)
      .concat("\n")
      .repeat(UNROLLED)}
  }
  let all = factor;
  ${each((i) => `all = f32x4.add(all, f32x4.add(p${i}, s${i}));`)}
  return f32x4.extract_lane(all, 0);
}`;
}

/** Operations a nanosecond: the best of some windows' medians, since neighbours only take away. */
function bestRate(operationsPerTurn: number, loop: Loop): number {
  const rates = Array.from({ length: WINDOWS }, () => {
    const times: number[] = [];
    for (const start = performance.now(); performance.now() - start < WINDOW_MS; ) {
      times.push(millisecondsOf(() => loop(TURNS, 1, 1)));
    }
    return (operationsPerTurn * TURNS) / median(times) / 1e6;
  });
  return Math.max(...rates);
}
