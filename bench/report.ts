import { cpus } from "node:os";
import { KERNELS } from "./engines.js";
import type { Limit } from "./limit.js";
import { FEWEST_ROUNDS, PROBE_SIZE, QUIET } from "./measure.js";
import type { Result } from "./table.js";

export interface Machine {
  node: string;
  v8: string;
  kernels: string;
  cpu: string;
}

export interface Run {
  /** GFLOP/s */
  bestProbe: number;
  /** GHz */
  clockAtTheEnd: number;
  results: Result[];
}

export function describeMachine(): Machine {
  const { node, v8 } = process.versions;
  return { node, v8, kernels: KERNELS, cpu: cpus()[0]?.model.trim() ?? "unknown processor" };
}

export function heading({ node, v8, kernels, cpu }: Machine, limit: Limit): string {
  return [
    `lanegrad · Node ${node} · V8 ${v8} · ${kernels} kernels against their pure-JS twin · 1 thread`,
    `${cpu} · clock ${limit.clockGHz.toFixed(2)} GHz · register-only multiply-add loop ${limit.registersGflops.toFixed(1)} GFLOP/s`,
    `limit ${limit.gflops.toFixed(1)} GFLOP/s: ${limit.explanation}`,
  ].join("\n");
}

export function footing({ bestProbe, clockAtTheEnd, results }: Run): string {
  const total = results.reduce((sum, { rounds }) => sum + rounds, 0);
  const counted = results.reduce((sum, { countedRounds }) => sum + countedRounds, 0);
  const lines = [
    "Times are medians over rounds in which the contenders take turns; x twin and x opponent say how many times as long those take.",
    `${counted} of ${total} rounds count: those in which a ${Array(3).fill(PROBE_SIZE).join("x")} product always ran at ` +
      `${100 * QUIET} % of its best, ${bestProbe.toFixed(1)} GFLOP/s. Clock at the end ${clockAtTheEnd.toFixed(2)} GHz.`,
  ];
  if (results.some(({ noisy }) => noisy)) {
    lines.push(`! fewer than ${FEWEST_ROUNDS} rounds were quiet: the row is of all its rounds, and not to be quoted.`);
  }
  return lines.join("\n");
}
