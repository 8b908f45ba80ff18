// What a net is trained and tested on, from CSV or IDX files.

import * as lg from "lanegrad";
import { type ColumnChoice, encodeRows, learnColumns, placeOf } from "./columns.js";
import { readTable } from "./csv.js";
import { InputError } from "./failures.js";
import { readBytes } from "./files.js";
import { type LabelledImages, largest, readLabelledImages } from "./images.js";
import type { InputDescription } from "./model.js";
import { encodeTarget, labelledRows, learnTarget, type Target, type Task, taskOf } from "./target.js";
import { counted, shorten } from "./text.js";

export interface Samples extends lg.Dataset {
  readonly x: Float32Array | Uint8Array;
  readonly y: Int32Array | Float32Array;
}

export interface TrainingData {
  readonly input: InputDescription;
  readonly target: Target;
  readonly train: Samples;
  /** undefined if nothing is held out. */
  readonly test: Samples | undefined;
  /** What a person may want to know. */
  readonly notes: readonly string[];
}

/** Which part of the samples is held out for the test: a share in 0..1, drawn by the seed. */
export interface HoldOut {
  readonly fraction: number;
  readonly seed: number;
  /** Whose memory serves for the draw. */
  readonly engine: lg.Engine;
}

export interface TableChoice extends ColumnChoice {
  readonly target: string;
  /** undefined: the target's values decide. */
  readonly task: Task | undefined;
}

/** Reads a CSV file. What is learned about its columns is learned from the training rows alone. */
export async function readTableData(path: string, choice: TableChoice, holdOut: HoldOut): Promise<TrainingData> {
  const table = readTable(await readBytes(path), path);
  const place = placeOf(choice.target, table);
  const labelled = labelledRows(table, place);
  if (labelled.length === 0) throw new InputError(`${path}: column ${shorten(choice.target)} has no values`);
  const notes: string[] = [];
  const unlabelled = table.rows.length - labelled.length;
  if (unlabelled > 0) notes.push(`${counted(unlabelled, "row")} without ${shorten(choice.target)}: left out`);
  const task = choice.task ?? taskOf(table, place, labelled);
  const parts = split(labelled, holdOut, path);
  const target = learnTarget(table, place, task, labelled, parts.train);
  const learned = learnColumns(table, parts.train, { ...choice, without: [...choice.without, choice.target] });
  const { columns } = learned;
  const samplesOf = (rows: readonly number[]): Samples => ({
    x: encodeRows(columns, table, rows).x,
    y: encodeTarget(target, table, place, rows),
  });
  return {
    input: { kind: "table", columns },
    target,
    train: samplesOf(parts.train),
    test: parts.test.length > 0 ? samplesOf(parts.test) : undefined,
    notes: [...notes, ...learned.notes],
  };
}

/** Reads IDX files: images and labels to train on, and to test on if they are four. */
export async function readImageData(paths: readonly string[], holdOut: HoldOut): Promise<TrainingData> {
  const given = await readLabelledImages(paths[0], paths[1]);
  const tests = paths.length > 2 ? await readLabelledImages(paths[2], paths[3]) : undefined;
  if (tests !== undefined && tests.shape.join() !== given.shape.join()) {
    throw new InputError(
      `${paths[2]}: images of ${tests.shape.join("x")}, but ${paths[0]} has ${given.shape.join("x")}`,
    );
  }
  const classes = largest(given.y) + 1;
  if (classes < 2) throw new InputError(`${paths[1]}: every label is 0: nothing to learn`);
  if (tests !== undefined && largest(tests.y) >= classes) {
    throw new InputError(
      `${paths[3]}: has the label ${largest(tests.y)}, but those of ${paths[1]} end at ${classes - 1}`,
    );
  }
  const parts = tests === undefined ? split([...given.y.keys()], holdOut, paths[0]) : undefined;
  const pick = (rows: readonly number[]): Samples | undefined => (rows.length > 0 ? imagesAt(given, rows) : undefined);
  return {
    input: { kind: "images", shape: given.shape },
    target: { task: "classification", name: "label", classes: Array.from({ length: classes }, (_, i) => String(i)) },
    train: parts === undefined ? samplesOf(given) : imagesAt(given, parts.train),
    test: parts === undefined ? samplesOf(tests!) : pick(parts.test),
    notes: [],
  };
}

const samplesOf = ({ x, y }: LabelledImages): Samples => ({ x, y });

function imagesAt({ x, y, shape }: LabelledImages, rows: readonly number[]): Samples {
  const size = shape.reduce((product, length) => product * length, 1);
  const images = new Uint8Array(rows.length * size);
  for (const [n, row] of rows.entries()) images.set(x.subarray(row * size, (row + 1) * size), n * size);
  return { x: images, y: Int32Array.from(rows, (row) => y[row]) };
}

/** Draws the rows that are held out; both parts keep the order of the file. */
function split(rows: readonly number[], { fraction, seed, engine }: HoldOut, path: string) {
  const count = fraction === 0 ? 0 : Math.max(1, Math.round(rows.length * fraction));
  if (rows.length - count < 1) {
    throw new InputError(`${path}: ${counted(rows.length, "row")}, too few to train on some and test on others`);
  }
  const keys = engine.zeros([rows.length]);
  lg.init.kaimingUniform_(keys, { fanIn: 1, seed });
  const { data } = keys;
  const byKey = [...rows.keys()].sort((a, b) => data[a] - data[b]);
  keys.dispose();
  const held = new Set(byKey.slice(0, count));
  return { train: rows.filter((_, i) => !held.has(i)), test: rows.filter((_, i) => held.has(i)) };
}
