import { type Figures, figuresOf } from "../figures.js";
import { median } from "../numbers.js";
import type { Run, RunRow } from "../run.js";
import { hasWide, normalHead, normalRow, wideHead, wideRow } from "../width.js";
import { explained, inOrder, toRead } from "./contenders.js";
import { GROUPS, type Group, groupOf, placeOf } from "./groups.js";

/** A run's figures for one width of our kernels. */
interface RunOfWidth extends Run {
  wide: boolean;
}

/** One Node with one kernel set of one width on one machine. */
export interface Setup {
  /** "Node 20 · simd" */
  label: string;
  node: string;
  v8: string;
  kernels: string;
  wide: boolean;
  /** Processor and system, in words. */
  machine: string;
  /** Of the last of its runs. */
  date: string;
  quick: boolean;
  /** "52.2 GFLOP/s (14.3 flop a cycle): the register-only loop"; none where only others were measured. */
  limit?: string;
  rounds: number;
  countedRounds: number;
  rows: number;
  noisyRows: number;
}

/** A measured row, with what belongs to it. */
export interface Entry {
  setup: string;
  bench: Run["bench"];
  group: Group;
  row: RunRow;
  figures: Figures;
  /** In the order of all charts. Times are multiples of the first one's. */
  contenders: string[];
}

/** All that the page and the tables show. */
export interface Report {
  setups: Setup[];
  entries: Entry[];
  /** Who else took turns, in words, by name. */
  contenders: Record<string, string>;
}

/** Puts runs together. Where a row was measured twice for the same setup, the later run's counts. */
export function reportOf(runs: readonly Run[]): Report {
  const inTime = runs.flatMap(byWidth).toSorted((a, b) => a.date.localeCompare(b.date));
  const bySetup = grouped(inTime.toSorted(bySetupOrder), setupKey);
  const labels = labelsOf(bySetup.map(([first]) => first));
  const setups: Setup[] = [];
  const entries: Entry[] = [];
  for (const [i, own] of bySetup.entries()) {
    const ownEntries = entriesOf(own, labels[i]);
    setups.push(setupOf(own, ownEntries, labels[i]));
    entries.push(...ownEntries);
  }
  entries.sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group) || placeOf(a.row) - placeOf(b.row));
  return { setups, entries, contenders: aboutContenders(inTime) };
}

/** Splits a run by the width of our kernels: both took turns in one process. */
function byWidth(run: Run): RunOfWidth[] {
  const normal = { ...normalHead(run), rows: run.rows.map(normalRow), wide: false };
  if (!hasWide(run)) return [normal];
  return [normal, { ...wideHead(run), rows: run.rows.flatMap((row) => wideRow(row) ?? []), wide: true }];
}

/** In the order in which the keys appear first. */
export function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

const setupKey = ({ node, kernels, wide, machine }: RunOfWidth): string =>
  [node, kernels, wide, machine.cpu].join("\n");

/** By version and kernel set, the normal kernels before the wide ones. */
function bySetupOrder(a: RunOfWidth, b: RunOfWidth): number {
  const versions = a.node.localeCompare(b.node, "en", { numeric: true });
  return versions || b.kernels.localeCompare(a.kernels) || Number(a.wide) - Number(b.wide);
}

/** The shortest labels that differ. */
function labelsOf(runs: readonly RunOfWidth[]): string[] {
  const rest = ({ kernels, wide }: RunOfWidth) => `${kernels}${wide ? " · wide" : ""}`;
  const forms = [
    (run: RunOfWidth) => `Node ${run.node.split(".")[0]} · ${rest(run)}`,
    (run: RunOfWidth) => `Node ${run.node} · ${rest(run)}`,
    (run: RunOfWidth) => `Node ${run.node} · ${rest(run)} · ${run.machine.cpu}`,
  ];
  const labels = forms.map((form) => runs.map(form));
  return labels.find((candidates) => new Set(candidates).size === runs.length) ?? labels[labels.length - 1];
}

function entriesOf(runs: readonly Run[], setup: string): Entry[] {
  const entries = new Map<string, Entry>();
  for (const run of runs) {
    const contenders = inOrder(run.contenders, ({ name }) => name).map(({ name }) => name);
    for (const row of run.rows) {
      const figures = figuresOf(row, run);
      entries.set(`${run.bench} ${row.name}`, {
        setup,
        bench: run.bench,
        group: groupOf(row),
        row,
        figures,
        contenders,
      });
    }
  }
  return [...entries.values()];
}

function setupOf(runs: readonly RunOfWidth[], entries: readonly Entry[], label: string): Setup {
  const last = runs[runs.length - 1];
  const { node, v8, kernels, wide, machine, date } = last;
  const { cpu, cores, memory, system } = machine;
  const rows = entries.map(({ row }) => row);
  return {
    label,
    node,
    v8,
    kernels,
    wide,
    machine: `${cpu}, ${cores} cores, ${(memory / 2 ** 30).toFixed(0)} GiB, ${system}`,
    date,
    quick: runs.some(({ quick }) => quick),
    limit: limitText(runs, rows),
    rounds: rows.reduce((sum, { rounds }) => sum + rounds, 0),
    countedRounds: rows.reduce((sum, { countedRounds }) => sum + countedRounds, 0),
    rows: rows.length,
    noisyRows: rows.filter(({ noisy }) => noisy).length,
  };
}

function limitText(runs: readonly Run[], rows: readonly RunRow[]): string | undefined {
  const limit = runs.findLast((run) => run.limit !== undefined)?.limit;
  const clocks = rows.flatMap(({ clock }) => clock ?? []);
  if (limit === undefined || clocks.length === 0) return undefined;
  const { flopPerCycle, explanation } = limit;
  return `${(flopPerCycle * median(clocks)).toFixed(1)} GFLOP/s (${flopPerCycle.toFixed(1)} flop a cycle): ${explanation}`;
}

function aboutContenders(runs: readonly Run[]): Record<string, string> {
  const all = runs.flatMap(({ contenders }) => contenders);
  return Object.fromEntries(
    toRead(all, ({ name }) => name).flatMap(({ name, about, missing }) =>
      about === undefined ? [] : [[name, explained(name, missing === undefined ? about : `${about} (${missing})`)]],
    ),
  );
}
