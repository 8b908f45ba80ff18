// Labelled images in IDX files, the format of MNIST.

import { existsSync } from "node:fs";
import { join } from "node:path";
import * as lg from "lanegrad";
import { InputError } from "./failures.js";
import { readBytes } from "./files.js";

/** Images as bytes, one after the other, and a label for each. */
export interface LabelledImages {
  readonly x: Uint8Array;
  readonly y: Int32Array;
  /** Of an image. */
  readonly shape: readonly number[];
}

/** The files of a folder in MNIST's names: images and labels to train on, and to test on. */
export function filesOfFolder(folder: string): string[] {
  return ["train", "t10k"].flatMap((split) =>
    ["images-idx3-ubyte", "labels-idx1-ubyte"].map((kind) => {
      const plain = join(folder, `${split}-${kind}`);
      const path = [plain, `${plain}.gz`].find((candidate) => existsSync(candidate));
      if (path === undefined) throw new InputError(`${plain}: no such file, with or without .gz`);
      return path;
    }),
  );
}

export async function readImages(path: string): Promise<{ x: Uint8Array; count: number; shape: readonly number[] }> {
  const { shape, data } = await readIdx(path);
  if (shape.length < 2 || data.length === 0 || !(data instanceof Uint8Array)) {
    throw new InputError(`${path}: expected images [count, height, width] of bytes, got ${describe(shape, data)}`);
  }
  return { x: data, count: shape[0], shape: shape.slice(1) };
}

/** Images with their labels. Throws an InputError if they do not belong together. */
export async function readLabelledImages(imagesPath: string, labelsPath: string): Promise<LabelledImages> {
  const { x, count, shape } = await readImages(imagesPath);
  const labels = await readIdx(labelsPath);
  if (labels.shape.length !== 1 || labels.shape[0] !== count) {
    const got = describe(labels.shape, labels.data);
    throw new InputError(`${labelsPath}: expected ${count} labels, as many as images in ${imagesPath}, got ${got}`);
  }
  const wrong = labels.data.find((label) => !Number.isInteger(label) || label < 0);
  if (wrong !== undefined) throw new InputError(`${labelsPath}: expected labels 0, 1, 2, ..., got ${wrong}`);
  return { x, y: Int32Array.from(labels.data), shape };
}

export const largest = (labels: Int32Array): number => labels.reduce((most, label) => Math.max(most, label), 0);

async function readIdx(path: string): Promise<lg.IdxArray<lg.IdxData>> {
  const bytes = await readBytes(path);
  try {
    return lg.readIdx<lg.IdxData>(bytes);
  } catch (error) {
    throw error instanceof lg.FormatError
      ? new InputError(`${path}: expected images or labels in IDX: ${error.message}`)
      : error;
  }
}

const describe = (shape: readonly number[], data: lg.IdxData): string =>
  `[${shape.join(", ")}] of ${data.constructor.name.replace("Array", "")}`;
