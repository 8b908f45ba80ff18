import type { Limit } from "./limit.js";
import type { Rounds } from "./measure.js";
import type { Row } from "./row.js";

/** A row's measurements as figures; times are medians in milliseconds, of one call. */
export interface Result {
  name: string;
  wasm: number;
  twin: number;
  opponent?: number;
  gflops?: number;
  shareOfLimit?: number;
  nanosecondsPerElement?: number;
  timesTwin: number;
  timesOpponent?: number;
  /** GHz meanwhile */
  clock: number;
  rounds: number;
  countedRounds: number;
  noisy: boolean;
}

export function resultOf({ name, work }: Row, rounds: Rounds, limit: Limit): Result {
  const { wasm, twin, opponent } = rounds.milliseconds;
  const gflops = "flop" in work ? work.flop / wasm / 1e6 : undefined;
  return {
    name,
    wasm,
    twin,
    opponent,
    gflops,
    shareOfLimit: gflops === undefined ? undefined : gflops / (limit.flopPerCycle * rounds.clock),
    nanosecondsPerElement: "elements" in work ? (1e6 * wasm) / work.elements : undefined,
    timesTwin: twin / wasm,
    timesOpponent: opponent === undefined ? undefined : opponent / wasm,
    clock: rounds.clock,
    rounds: rounds.total,
    countedRounds: rounds.counted,
    noisy: rounds.noisy,
  };
}

interface Column {
  title: string;
  width: number;
  /** Empty where the row has no such figure. */
  text(result: Result): string;
}

/** Lines of a table whose rows appear one at a time: widths are known beforehand. */
export class Table {
  readonly #columns: Column[];

  constructor(rows: readonly Row[], kernels: string) {
    const nameWidth = Math.max(...rows.map(({ name }) => name.length));
    this.#columns = columns(kernels).map((column, i) => ({ ...column, width: i === 0 ? nameWidth : column.width }));
  }

  heading(): string {
    return this.#line((column) => column.title);
  }

  line(result: Result): string {
    return this.#line((column) => column.text(result));
  }

  #line(cell: (column: Column) => string): string {
    const [first, ...others] = this.#columns;
    const cells = [cell(first).padEnd(first.width), ...others.map((column) => cell(column).padStart(column.width))];
    return cells.join("  ").trimEnd();
  }
}

const columns = (kernels: string): Column[] => [
  { title: "", width: 0, text: ({ name }) => name },
  { title: kernels, width: 9, text: ({ wasm }) => time(wasm) },
  { title: "twin", width: 9, text: ({ twin }) => time(twin) },
  { title: "opponent", width: 9, text: ({ opponent }) => optional(opponent, time) },
  { title: "GFLOP/s", width: 7, text: ({ gflops }) => optional(gflops, (value) => value.toFixed(1)) },
  {
    title: "of limit",
    width: 8,
    text: ({ shareOfLimit }) => optional(shareOfLimit, (v) => `${(100 * v).toFixed(0)} %`),
  },
  {
    title: "ns/elem",
    width: 7,
    text: ({ nanosecondsPerElement }) => optional(nanosecondsPerElement, (value) => value.toFixed(3)),
  },
  { title: "x twin", width: 6, text: ({ timesTwin }) => timesTwin.toFixed(1) },
  { title: "x opponent", width: 10, text: ({ timesOpponent }) => optional(timesOpponent, (value) => value.toFixed(1)) },
  {
    title: "rounds",
    width: 8,
    text: ({ countedRounds, rounds, noisy }) => `${countedRounds}/${rounds}${noisy ? "!" : " "}`,
  },
];

const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? "" : text(value);

const UNITS = [
  { name: "s", milliseconds: 1000 },
  { name: "ms", milliseconds: 1 },
  { name: "µs", milliseconds: 1e-3 },
  { name: "ns", milliseconds: 1e-6 },
];

/** Three digits that say something: "1.23 ms", "12.3 µs", "123 ns". */
function time(milliseconds: number): string {
  const unit = UNITS.find((candidate) => milliseconds >= candidate.milliseconds) ?? UNITS[UNITS.length - 1];
  const value = milliseconds / unit.milliseconds;
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit.name}`;
}
