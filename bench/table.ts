import { type Figures, figuresOf, perElementText, roundsText, shareText, timesText, timeText } from "./figures.js";
import type { Run, RunRow } from "./run.js";
import { gainOf, hasWide, NORMAL, normalHead, normalRow, WIDE, wideHead, wideRow } from "./width.js";

interface Column {
  title: string;
  width: number;
  /** Empty if the row has no such figure. */
  text(row: RunRow): string;
}

type FiguresOf = (row: RunRow) => Figures | undefined;

/** A table that is printed row by row, so its widths are known beforehand. */
export class Table {
  readonly #columns: Column[];

  /** For rows with these names; with `limit` there are columns for shares of it, and of bounds if a row has one. */
  constructor(rows: readonly { name: string; isBounded?: boolean }[], run: Pick<Run, "contenders" | "limit">) {
    const [normal, wide] = [normalHead(run), wideHead(run)];
    const figures: FiguresOf = (row) => figuresOf(normalRow(row), normal);
    const wideFigures: FiguresOf = (row) => {
      const widened = wideRow(row);
      return widened && figuresOf(widened, wide);
    };
    const workColumns = (of: FiguresOf) => (run.limit === undefined ? [] : workColumnsOf(of, isBounded));
    const isBounded = rows.some((row) => row.isBounded);
    const [, ...others] = normal.contenders.map(({ name }) => name);
    this.#columns = [
      { title: "", width: -Math.max(...rows.map(({ name }) => name.length)), text: ({ name }) => name },
      ...[timeColumn(NORMAL, 9), ...workColumns(figures)],
      ...(hasWide(run) ? [timeColumn(WIDE, 9), GAIN_COLUMN, ...workColumns(wideFigures)] : []),
      ...others.map((name) => timeColumn(name, 12)),
      ...others.map((name) => timesColumn(name, figures)),
      { title: "rounds", width: 8, text: roundsText },
    ];
  }

  heading(): string {
    return this.#line(({ title }) => title);
  }

  line(row: RunRow): string {
    return this.#line(({ text }) => text(row));
  }

  /** A negative width pads on the right. */
  #line(cell: (column: Column) => string): string {
    const cells = this.#columns.map((column) =>
      column.width < 0 ? cell(column).padEnd(-column.width) : cell(column).padStart(column.width),
    );
    return cells.join("  ").trimEnd();
  }
}

const GAIN_COLUMN: Column = {
  title: "gain",
  width: 5,
  text: (row) => optional(gainOf(row), (gain) => gain.toFixed(2)),
};

const boundColumnsOf = (of: FiguresOf): Column[] => [
  { title: "bound", width: 7, text: (row) => optional(of(row)?.bound, timeText) },
  { title: "of bound", width: 8, text: (row) => optional(of(row)?.shareOfBound, shareText) },
];

const workColumnsOf = (of: FiguresOf, isBounded: boolean): Column[] => [
  { title: "GFLOP/s", width: 7, text: (row) => optional(of(row)?.gflops, (value) => value.toFixed(1)) },
  { title: "of limit", width: 8, text: (row) => optional(of(row)?.shareOfLimit, shareText) },
  ...(isBounded ? boundColumnsOf(of) : []),
  { title: "ns/elem", width: 7, text: (row) => optional(of(row)?.nanosecondsPerElement, perElementText) },
];

const timeColumn = (name: string, least: number): Column => ({
  title: name,
  width: Math.max(least, name.length),
  text: ({ milliseconds, without }) => (name in milliseconds ? timeText(milliseconds[name]) : (without?.[name] ?? "")),
});

const timesColumn = (name: string, of: FiguresOf): Column => ({
  title: `x ${name}`,
  width: Math.max(6, name.length + 2),
  text: (row) => optional(of(row)?.times[name], timesText),
});

const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? "" : text(value);
