/** Numbers and words in rows. */
export interface Table {
  title: string;
  columns: string[];
  rows: (number | string)[][];
}

const DIGITS = 4;
const LEAST_PLAIN = 1e-3;
const MOST_PLAIN = 1e5;
const MOST_INTEGER = 1e9;

/** Four digits; powers of ten where a number is small or large. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value) ? size < MOST_INTEGER : !Number.isFinite(value)) return String(value);
  if (size < LEAST_PLAIN || size >= MOST_PLAIN) return value.toExponential(DIGITS - 2);
  return size >= 10 ** DIGITS ? value.toFixed(0) : value.toPrecision(DIGITS);
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** A mean and how far single values are from it. */
export const withSpread = (mean: number, std: number, show: (value: number) => string = figure): string =>
  `${show(mean)} ± ${show(std)}`;

/** Cells for what was measured, what is predicted and their ratio; nothing has a ratio to 0. */
export function compared(measured: number, predicted: number): (number | string)[] {
  if (measured === predicted) return [measured, predicted, 1];
  return [measured, predicted, predicted === 0 ? "–" : measured / predicted];
}

/** From the least of values to the largest. */
export function between(values: readonly number[], show: (value: number) => string = figure): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map(show);
  return least === most ? least : `${least} to ${most}`;
}

const cellText = (cell: number | string): string => (typeof cell === "number" ? figure(cell) : cell);

/** For a terminal. */
export function tableText({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const isNumeric = columns.map((_, i) => typeof rows[0]?.[i] === "number");
  const line = (row: string[]) =>
    row.map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  ");
  return [title, ...cells.map((row) => line(row).trimEnd())].join("\n");
}

export function tableMarkdown({ title, columns, rows }: Table): string {
  const line = (cells: string[]) => `| ${cells.map(escaped).join(" | ")} |`;
  const rule = `| ${columns.map((_, i) => (typeof rows[0]?.[i] === "number" ? "---:" : "---")).join(" | ")} |`;
  return [`*${title}*`, "", line(columns), rule, ...rows.map((row) => line(row.map(cellText)))].join("\n");
}

export const escaped = (text: string): string => text.replace(/[\\|`*_[\]<>]/g, (character) => `\\${character}`);
