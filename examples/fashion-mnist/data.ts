import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import * as lg from "lanegrad";
import { InputError } from "./errors.js";

/** Images as bytes, one after the other, and a label for each. */
export interface LabelledImages {
  x: Uint8Array;
  y: Uint8Array;
  count: number;
  height: number;
  width: number;
}

export interface DataSet {
  name: string;
  train: LabelledImages;
  test: LabelledImages;
  classes: number;
}

/** Reads the four IDX files of a folder that is laid out as Fashion-MNIST's and checks that they belong together. */
export function loadDataSet(folder: string): DataSet {
  const train = loadLabelledImages(folder, "train");
  const test = loadLabelledImages(folder, "t10k");
  if (train.height !== test.height || train.width !== test.width) {
    throw new InputError(
      `${folder}: training images are ${train.height}x${train.width}, test images ${test.height}x${test.width}`,
    );
  }
  const classes = largest(train.y) + 1;
  if (largest(test.y) >= classes) {
    throw new InputError(`${folder}: test label ${largest(test.y)}, but the training labels end at ${classes - 1}`);
  }
  return { name: basename(resolve(folder)), train, test, classes };
}

function loadLabelledImages(folder: string, split: "train" | "t10k"): LabelledImages {
  const images = loadIdx(join(folder, `${split}-images-idx3-ubyte`));
  const labels = loadIdx(join(folder, `${split}-labels-idx1-ubyte`));
  if (images.shape.length !== 3 || images.data.length === 0) {
    throw new InputError(`${images.path}: expected images [count, height, width], got [${images.shape.join(", ")}]`);
  }
  const [count, height, width] = images.shape;
  if (labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new InputError(`${labels.path}: expected ${count} labels, got [${labels.shape.join(", ")}]`);
  }
  return { x: images.data, y: labels.data, count, height, width };
}

function loadIdx(plainPath: string) {
  const path = [plainPath, `${plainPath}.gz`].find((candidate) => existsSync(candidate));
  if (path === undefined) throw new InputError(`${plainPath}: no such file, with or without .gz`);
  try {
    return { path, ...lg.readIdx(readFileSync(path)) };
  } catch (error) {
    if (error instanceof lg.FormatError || isSystemError(error)) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && "syscall" in error;

const largest = (labels: Uint8Array): number => labels.reduce((most, label) => Math.max(most, label), 0);
