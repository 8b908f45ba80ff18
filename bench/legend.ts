import type { Limit } from "./limit.js";
import type { Setup } from "./machine.js";
import { FEWEST_ROUNDS, PROBE_SIZE, QUIET } from "./measure.js";
import { COLD_MIB } from "./placement.js";
import type { Run, RunRow } from "./run.js";
import { hasWide } from "./width.js";

/** `clock` in GHz, at this moment. */
export function heading({ node, v8, kernels, machine }: Setup, limit: Limit, clock: number): string {
  const gflops = (flopPerCycle: number): string =>
    `${(flopPerCycle * clock).toFixed(1)} GFLOP/s (${flopPerCycle.toFixed(1)} flop a cycle)`;
  return [
    `lanegrad · Node ${node} · V8 ${v8} · ${kernels} kernels against their pure-JS twin · 1 thread`,
    `${machine.cpu} · clock ${clock.toFixed(2)} GHz · register-only multiply-add loop ${gflops(limit.loopFlopPerCycle)}`,
    `limit ${gflops(limit.flopPerCycle)}: ${limit.explanation}`,
  ].join("\n");
}

/** What the figures are; `bestProbe` in flop a cycle. */
export function footing(rows: RunRow[], bestProbe: number, run: Pick<Run, "contenders">): string {
  const total = rows.reduce((sum, { rounds }) => sum + rounds, 0);
  const counted = rows.reduce((sum, { countedRounds }) => sum + countedRounds, 0);
  const clocks = rows.map(({ clock }) => clock!);
  const lines = [
    "Times are medians over rounds in which the contenders take turns; x says how many times as long as lanegrad.",
    `${counted} of ${total} rounds count: those in which a ${Array(3).fill(PROBE_SIZE).join("x")} product, tried before, between and ` +
      `after the turns, kept to ${100 * QUIET} % of its best, ${bestProbe.toFixed(1)} flop a cycle.`,
    ...wideNote(run),
    ...boundNote(rows),
    `Shares are of the limit at each row's own clock, ${Math.min(...clocks).toFixed(2)} to ${Math.max(...clocks).toFixed(2)} GHz.`,
  ];
  return [...lines, ...noiseNote(rows)].join("\n");
}

/** What the columns after a contender's time are. */
export const wideNote = (run: Pick<Run, "contenders">): string[] =>
  hasWide(run)
    ? ["wide: the same kernels, widened to 256 bits; gain: how many times as fast. Its shares are of twice the limit."]
    : [];

const boundNote = (rows: RunRow[]): string[] =>
  rows.some(({ memory }) => memory !== undefined)
    ? [
        "bound: the longer of reading W (dW: writing it) once and of the arithmetic at the limit. " +
          `cold: each call has other operands, ${COLD_MIB} MiB of them in turn.`,
      ]
    : [];

export const noiseNote = (rows: RunRow[]): string[] =>
  rows.some(({ noisy }) => noisy)
    ? [`! fewer than ${FEWEST_ROUNDS} rounds were quiet: the row is of all its rounds, and not to be quoted.`]
    : [];
