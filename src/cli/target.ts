// What a net is to give: one of some classes, or a number.

import { categoryOf, isConstant, isMissing, isNumber, momentsOf, numberOf } from "./columns.js";
import type { Table } from "./csv.js";
import { InputError } from "./failures.js";
import { counted, shorten } from "./text.js";

export interface ClassTarget {
  readonly task: "classification";
  readonly name: string;
  readonly classes: readonly string[];
}

/** The net's output is standardised: a prediction is output * deviation + mean. */
export interface NumberTarget {
  readonly task: "regression";
  readonly name: string;
  readonly mean: number;
  readonly deviation: number;
}

export type Target = ClassTarget | NumberTarget;
export const TASKS = ["classification", "regression"] as const;
export type Task = (typeof TASKS)[number];

/** Whole numbers with so few values that they stand for classes. */
const MOST_NUMBERED_CLASSES = 10;
/** Of each class, on average. */
const FEWEST_ROWS_OF_A_CLASS = 2;

/** The rows with a value of the target. Among its values "none" may be a class. */
export const labelledRows = ({ rows }: Table, place: number): number[] =>
  rows.flatMap((row, i) => (isMissing(row[place]) && !/^none$/i.test(row[place].trim()) ? [] : [i]));

/** Texts, and whole numbers of few values, are classes. */
export function taskOf({ rows }: Table, place: number, labelled: readonly number[]): Task {
  const cells = labelled.map((row) => rows[row][place]);
  if (!cells.every(isNumber)) return "classification";
  const values = new Set(cells.map(Number));
  return values.size <= MOST_NUMBERED_CLASSES && [...values].every(Number.isInteger) ? "classification" : "regression";
}

/** The classes are those of all labelled rows; mean and deviation are the training rows'. Throws an InputError for too few values. */
export function learnTarget(
  table: Table,
  place: number,
  task: Task,
  labelled: readonly number[],
  training: readonly number[],
): Target {
  const { rows, names, path } = table;
  const name = names[place];
  if (task === "regression") {
    for (const row of labelled) numberOf(rows[row][place], name, table, row);
    const { mean, deviation } = momentsOf(training.map((row) => Number(rows[row][place])));
    if (isConstant(mean, deviation)) {
      throw new InputError(
        `${path}: column ${shorten(name)} is always ${rows[training[0]][place].trim()}: nothing to learn`,
      );
    }
    return { task, name, mean, deviation };
  }
  const classes = [...new Set(labelled.map((row) => classOf(rows[row][place])))].sort(inOrder);
  if (classes.length === 1) {
    throw new InputError(`${path}: column ${shorten(name)} is always ${shorten(classes[0])}: nothing to learn`);
  }
  if (classes.length * FEWEST_ROWS_OF_A_CLASS > labelled.length) {
    const hint = classes.every(isNumber) ? "; --task regression learns numbers" : "";
    throw new InputError(
      `${path}: column ${shorten(name)} has ${classes.length} classes in ${counted(labelled.length, "row")}, too few rows of each${hint}`,
    );
  }
  return { task, name, classes };
}

/** A class's name: a number is the same however it is written. */
const classOf = (cell: string): string => (isNumber(cell) ? String(Number(cell)) : categoryOf(cell));

/** Numbers by size, and texts by their characters' codes, alike in every locale. */
function inOrder(a: string, b: string): number {
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b);
  return a < b ? -1 : Number(a > b);
}

/** The rows' targets, as `fit` takes them. Throws an InputError for a value that the target does not have. */
export function encodeTarget(
  target: Target,
  table: Table,
  place: number,
  rows: readonly number[],
): Int32Array | Float32Array {
  if (target.task === "regression") {
    const { name, mean, deviation } = target;
    return Float32Array.from(rows, (row) => (numberOf(table.rows[row][place], name, table, row) - mean) / deviation);
  }
  const labels = new Map(target.classes.map((value, label) => [value, label]));
  return Int32Array.from(rows, (row) => {
    const value = classOf(table.rows[row][place]);
    const label = labels.get(value);
    if (label !== undefined) return label;
    throw new InputError(
      `${table.path}: line ${table.lines[row]}: column ${shorten(target.name)}: the model has no class ${shorten(value)}`,
    );
  });
}

/** How many outputs a net has for it. */
export const outputsOf = (target: Target): number => (target.task === "regression" ? 1 : target.classes.length);
