import { type Figures, figuresOf, perElementText, roundsText, shareText, timesText, timeText } from "./figures.js";
import type { Run, RunRow } from "./run.js";

interface Column {
  title: string;
  width: number;
  /** Empty where the row has no such figure. */
  text(row: RunRow, figures: Figures): string;
}

/** Lines of a table whose rows appear one at a time: widths are known beforehand. */
export class Table {
  readonly #run: Pick<Run, "contenders" | "limit">;
  readonly #columns: Column[];

  /** Of rows with these names; `limit` is given where they have shares of it. */
  constructor(rows: readonly { name: string }[], run: Pick<Run, "contenders" | "limit">) {
    this.#run = run;
    const [, ...others] = run.contenders.map(({ name }) => name);
    this.#columns = [
      { title: "", width: -Math.max(...rows.map(({ name }) => name.length)), text: ({ name }) => name },
      ...run.contenders.map(({ name }, i) => timeColumn(name, i === 0 ? 9 : 12)),
      ...(run.limit === undefined ? [] : WORK_COLUMNS),
      ...others.map(timesColumn),
      { title: "rounds", width: 8, text: roundsText },
    ];
  }

  heading(): string {
    return this.#line(({ title }) => title);
  }

  line(row: RunRow): string {
    const figures = figuresOf(row, this.#run);
    return this.#line(({ text }) => text(row, figures));
  }

  /** A negative width is one to the right of the text. */
  #line(cell: (column: Column) => string): string {
    const cells = this.#columns.map((column) =>
      column.width < 0 ? cell(column).padEnd(-column.width) : cell(column).padStart(column.width),
    );
    return cells.join("  ").trimEnd();
  }
}

const WORK_COLUMNS: Column[] = [
  { title: "GFLOP/s", width: 7, text: (_, { gflops }) => optional(gflops, (value) => value.toFixed(1)) },
  { title: "of limit", width: 8, text: (_, { shareOfLimit }) => optional(shareOfLimit, shareText) },
  {
    title: "ns/elem",
    width: 7,
    text: (_, { nanosecondsPerElement }) => optional(nanosecondsPerElement, perElementText),
  },
];

const timeColumn = (name: string, least: number): Column => ({
  title: name,
  width: Math.max(least, name.length),
  text: ({ milliseconds, without }) => (name in milliseconds ? timeText(milliseconds[name]) : (without?.[name] ?? "")),
});

const timesColumn = (name: string): Column => ({
  title: `x ${name}`,
  width: Math.max(6, name.length + 2),
  text: (_, { times }) => optional(times[name], timesText),
});

const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? "" : text(value);
