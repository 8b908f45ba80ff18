import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import { assertWide, openEngines } from "./engines.js";
import { footing, heading } from "./legend.js";
import { measureClock, measureLimit } from "./limit.js";
import { describeSetup } from "./machine.js";
import { measure, Probe, type Rounds } from "./measure.js";
import type { Options } from "./options.js";
import { type Contenders, type Row, Scope } from "./row.js";
import type { Measured, RunRow } from "./run.js";
import { Table } from "./table.js";
import { NORMAL, WIDE, WIDE_CONTENDER } from "./width.js";

/** The contenders' names in tables. */
const NAMES: Record<Exclude<keyof Contenders, "memory">, string> = {
  wasm: NORMAL,
  wide: WIDE,
  twin: "twin",
  opponent: "blocked JS",
};
const CONTENDERS = [
  { name: NAMES.wasm },
  WIDE_CONTENDER,
  { name: NAMES.twin, about: "our kernels in pure JavaScript" },
  { name: NAMES.opponent, about: "a register-blocked pure-JavaScript program that is not ours" },
];

/** Rows of ours: WebAssembly, widened as well if wanted, and the pure-JS twin. Each is measured for `pace` times its usual time. */
export async function compareWithTwin(
  rows: readonly Row[],
  options: Pick<Options, "kernels" | "wide">,
  pace: number,
  print: (text: string) => void,
): Promise<Measured> {
  using engines = openEngines(options);
  const limit = measureLimit();
  using probe = new Probe(engines.wasm);
  print(heading(describeSetup(options.kernels), limit, measureClock()));

  const contenders = CONTENDERS.filter(({ name }) => name !== WIDE || engines.wide !== undefined);
  const run = { bench: "kernels", contenders, limit } as const;
  const table = new Table(rows, run);
  const measured: RunRow[] = [];
  print(`\n${table.heading()}`);
  for (const row of rows) {
    using scope = new Scope();
    const result = rowOf(row, measure(row.prepare(engines, scope), probe, pace * row.milliseconds));
    if (engines.wide) assertWide(engines.wide);
    measured.push(result);
    print(table.line(result));
    await turnOfTheEventLoop();
  }

  const bestProbe = probe.best;
  print(`\n${footing(measured, bestProbe, run)}`);
  return { ...run, bestProbe, rows: measured };
}

function rowOf({ name, work }: Row, { milliseconds, clock, total, counted, noisy }: Rounds): RunRow {
  const { memory, ...ours } = milliseconds;
  const times = Object.entries(ours).map(([key, time]) => [NAMES[key as keyof typeof NAMES], time]);
  return {
    name,
    work,
    milliseconds: Object.fromEntries(times),
    memory,
    clock,
    rounds: total,
    countedRounds: counted,
    noisy,
  };
}
