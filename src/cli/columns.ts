// What a table's columns are, and how a row becomes the inputs of a net.

import type { Table } from "./csv.js";
import { InputError } from "./failures.js";
import { suggestion } from "./names.js";
import { counted, listed, shorten } from "./text.js";

/** A number is standardised: less the mean, by the deviation of the training rows. A missing one counts as the mean. */
export interface NumberColumn {
  readonly kind: "number";
  readonly name: string;
  readonly mean: number;
  readonly deviation: number;
  /** Whether a second input is 1 where the number is missing: if one was in training. */
  readonly missing: boolean;
}

/** A category is an input for each value, 1 at the row's own. A value that training did not have is 0 everywhere. */
export interface CategoryColumn {
  readonly kind: "category";
  readonly name: string;
  readonly values: readonly string[];
  /** Whether one more input stands for all other values: if training had too many of them. */
  readonly others: boolean;
  /** Whether one more input is 1 where the value is missing: if one was in training. */
  readonly missing: boolean;
}

export type Column = NumberColumn | CategoryColumn;

/** Cells without a value, in lower case. */
const MISSING = new Set(["", "na", "n/a", "nan", "null", "none", "?"]);
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** The most values of a category that have an input each. */
const MOST_VALUES = 64;
/** How much of a text tells it from others. */
const LONGEST_VALUE = 200;
/** A number further from the mean, in deviations, counts as this far: an input has to stay finite. */
const FURTHEST = 1000;

export const isMissing = (cell: string): boolean => cell.length < 8 && MISSING.has(cell.trim().toLowerCase());

export const isNumber = (cell: string): boolean => NUMBER.test(cell.trim());

/** A category's value as it is compared and kept. */
export const categoryOf = (cell: string): string => cell.trim().slice(0, LONGEST_VALUE);

export const widthOf = (column: Column): number =>
  (column.kind === "number" ? 1 : column.values.length + Number(column.others)) + Number(column.missing);

/** How many inputs the columns are. */
export const inputsOf = (columns: readonly Column[]): number =>
  columns.reduce((sum, column) => sum + widthOf(column), 0);

export interface ColumnChoice {
  /** Columns that are no inputs. */
  readonly without: readonly string[];
  /** Columns whose numbers are names. */
  readonly categories: readonly string[];
}

export interface Learned {
  readonly columns: Column[];
  /** What a person may want to know. */
  readonly notes: string[];
}

/** Learns the columns from the training rows. Throws an InputError where there is nothing to learn from. */
export function learnColumns(table: Table, training: readonly number[], choice: ColumnChoice): Learned {
  const { names, path } = table;
  for (const name of [...choice.without, ...choice.categories]) placeOf(name, table);
  const columns: Column[] = [];
  const notes: string[] = [];
  const unnamed = names.filter((name) => name === "").length;
  if (unnamed > 0) notes.push(`${counted(unnamed, "column")} without a name: left out`);
  for (const [place, name] of names.entries()) {
    if (name === "" || choice.without.includes(name)) continue;
    const learned = learnColumn(table, place, training, choice.categories.includes(name));
    if (typeof learned === "string") notes.push(`column ${shorten(name)} ${learned}`);
    else {
      columns.push(learned.column);
      if (learned.note !== undefined) notes.push(`column ${shorten(name)} ${learned.note}`);
    }
  }
  if (columns.length === 0) {
    throw new InputError(`${path}: no column to learn from${notes.length > 0 ? `: ${listed(notes)}` : ""}`);
  }
  return { columns, notes };
}

/** A column, or why it is left out. */
function learnColumn(
  table: Table,
  place: number,
  training: readonly number[],
  isCategory: boolean,
): { column: Column; note?: string } | string {
  const present = training.map((row) => table.rows[row][place]).filter((cell) => !isMissing(cell));
  if (present.length === 0) return "has no values: left out";
  const missing = present.length < training.length;
  const text = isCategory ? undefined : firstText(table, place);
  if (!isCategory && text === undefined) return learnNumbers(table.names[place], present.map(Number), missing);
  const numbers = text === undefined ? 0 : present.filter(isNumber).length;
  const note =
    numbers > present.length / 2
      ? `is taken as categories, since line ${table.lines[text!]} has ${shorten(table.rows[text!][place])}`
      : undefined;
  const learned = learnCategories(table.names[place], present, missing);
  return typeof learned === "string" ? learned : { column: learned, note };
}

/** The first row whose cell there is neither a number nor missing. */
function firstText({ rows }: Table, place: number): number | undefined {
  const at = rows.findIndex((row) => !isMissing(row[place]) && !isNumber(row[place]));
  return at < 0 ? undefined : at;
}

function learnNumbers(name: string, values: readonly number[], missing: boolean): { column: Column } | string {
  const { mean, deviation } = momentsOf(values);
  if (!Number.isFinite(mean) || !Number.isFinite(deviation)) return "has numbers that are too large: left out";
  if (isConstant(mean, deviation) && !missing) return `is always ${values[0]}: left out`;
  // where only being there or not makes a difference, the number itself counts nothing
  return { column: { kind: "number", name, mean, deviation: isConstant(mean, deviation) ? 1 : deviation, missing } };
}

/** Whether numbers differ by no more than rounding. */
export const isConstant = (mean: number, deviation: number): boolean => deviation <= 1e-12 * Math.abs(mean);

/** Mean and deviation of the numbers, which may be large: their squares do not overflow. */
export function momentsOf(values: readonly number[]): { mean: number; deviation: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value / count, 0);
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0) || 1;
  const variance = values.reduce((sum, value) => sum + ((value - mean) / scale) ** 2 / count, 0);
  return { mean, deviation: scale * Math.sqrt(variance) };
}

function learnCategories(name: string, cells: readonly string[], missing: boolean): Column | string {
  const counts = new Map<string, number>();
  for (const cell of cells) {
    const value = categoryOf(cell);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  if (counts.size === 1 && !missing) return `is always ${shorten(cells[0])}: left out`;
  if (counts.size > MOST_VALUES && counts.size > cells.length / 2) {
    return `has ${counted(counts.size, "value")} in ${counted(cells.length, "row")}: left out, as names or texts are`;
  }
  // the most frequent first, and of equals the first in the file: a sort is stable
  const values = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
  return {
    kind: "category",
    name,
    values: values.slice(0, MOST_VALUES),
    others: values.length > MOST_VALUES,
    missing,
  };
}

/** Where a table has a column. Throws an InputError that names the nearest. */
export function placeOf(name: string, { names, path }: Table): number {
  const place = names.indexOf(name);
  if (place >= 0) return place;
  const known = names.filter((other) => other !== "");
  throw new InputError(
    `${path}: there is no column ${shorten(name)}${suggestion(name, known)}; the columns are ${listed(known)}`,
  );
}

/** The rows as inputs, [rows, inputs]. Throws an InputError for a text where a number is expected. */
export function encodeRows(
  columns: readonly Column[],
  table: Table,
  rows: readonly number[],
): { x: Float32Array; notes: string[] } {
  const places = columns.map(({ name }) => placeOf(name, table));
  const width = inputsOf(columns);
  const x = new Float32Array(rows.length * width);
  const notes: string[] = [];
  let at = 0;
  for (const [i, column] of columns.entries()) {
    const slots = column.kind === "category" ? new Map(column.values.map((value, slot) => [value, slot])) : undefined;
    const unseen = new Set<string>();
    let unseenRows = 0;
    for (const [n, row] of rows.entries()) {
      const cell = table.rows[row][places[i]];
      const start = n * width + at;
      if (isMissing(cell)) {
        if (column.missing) x[start + widthOf(column) - 1] = 1;
      } else if (column.kind === "number") {
        x[start] = standardised(numberOf(cell, column.name, table, row), column);
      } else {
        const slot = slots!.get(categoryOf(cell)) ?? (column.others ? column.values.length : undefined);
        if (slot !== undefined) x[start + slot] = 1;
        else {
          unseen.add(categoryOf(cell));
          unseenRows++;
        }
      }
    }
    if (unseenRows > 0) {
      const values = listed([...unseen].map(shorten), 3);
      notes.push(
        `column ${shorten(column.name)}: ${counted(unseenRows, "row")} with values unknown to the model: ${values}`,
      );
    }
    at += widthOf(column);
  }
  return { x, notes };
}

function standardised(value: number, { mean, deviation }: NumberColumn): number {
  return Math.max(-FURTHEST, Math.min(FURTHEST, (value - mean) / deviation));
}

/** A cell's number. Throws an InputError that says where it is not one. */
export function numberOf(cell: string, name: string, { path, lines }: Table, row: number): number {
  const value = isNumber(cell) ? Number(cell) : Number.NaN;
  if (Number.isFinite(value)) return value;
  const why = Number.isNaN(value) ? "expected a number" : "which is too large";
  throw new InputError(`${path}: line ${lines[row]}: column ${shorten(name)}: got ${shorten(cell)}, ${why}`);
}
