import { perElementText, roundsText, shareText, timesText, timeText } from "../figures.js";
import type { Entry } from "./model.js";

/** A table, before it is HTML or Markdown. */
export interface Sheet {
  columns: Column[];
  rows: Row[];
}

interface Column {
  title: string;
  isNumeric: boolean;
}

interface Row {
  cells: Cell[];
  noisy: boolean;
}

export interface Cell {
  text: string;
  /** What a column is sorted by. */
  value: number | string;
}

const EMPTY: Cell = { text: "", value: "" };

/** All figures of the entries: rows of one name stand together, a line for each setup; columns without a figure are left out. */
export function sheetOf(entries: readonly Entry[]): Sheet {
  const names = [...new Set(entries.map(({ row }) => row.name))];
  const sorted = entries.toSorted((a, b) => names.indexOf(a.row.name) - names.indexOf(b.row.name));
  const columns = columnsOf(sorted).filter(({ cell }) => sorted.some((entry) => cell(entry) !== EMPTY));
  return {
    columns: columns.map(({ title, isNumeric }) => ({ title, isNumeric })),
    rows: sorted.map((entry) => ({ cells: columns.map(({ cell }) => cell(entry)), noisy: entry.row.noisy })),
  };
}

interface FilledColumn extends Column {
  cell(entry: Entry): Cell;
}

function columnsOf(entries: readonly Entry[]): FilledColumn[] {
  const contenders = [...new Set(entries.flatMap((entry) => entry.contenders))];
  return [
    text("", ({ row }) => row.name),
    text("on", ({ setup }) => setup),
    ...contenders.map(timeColumn),
    number(
      "GFLOP/s",
      ({ figures }) => figures.gflops,
      (value) => value.toFixed(1),
    ),
    number("of limit", ({ figures }) => figures.shareOfLimit, shareText),
    number("ns/element", ({ figures }) => figures.nanosecondsPerElement, perElementText),
    ...contenders.map((name) => number(`× ${name}`, ({ figures }) => figures.times[name], timesText)),
    {
      title: "rounds",
      isNumeric: true,
      cell: ({ row }) => ({ text: roundsText(row), value: row.countedRounds }),
    },
  ];
}

function text(title: string, of: (entry: Entry) => string): FilledColumn {
  return {
    title,
    isNumeric: false,
    cell(entry) {
      const value = of(entry);
      return { text: value, value };
    },
  };
}

function number(
  title: string,
  of: (entry: Entry) => number | undefined,
  textOf: (value: number) => string,
): FilledColumn {
  return {
    title,
    isNumeric: true,
    cell(entry) {
      const value = of(entry);
      return value === undefined ? EMPTY : { text: textOf(value), value };
    },
  };
}

function timeColumn(name: string): FilledColumn {
  return {
    title: name,
    isNumeric: true,
    cell({ row }) {
      const time = row.milliseconds[name];
      if (time !== undefined) return { text: timeText(time), value: time };
      const reason = row.without?.[name];
      return reason ? { text: reason, value: Number.MAX_VALUE } : EMPTY;
    },
  };
}
