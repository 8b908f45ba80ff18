import { fileURLToPath } from "node:url";
import * as lg from "lanegrad";
import { loadDataSet } from "../../fashion-mnist/data.js";
import { InputError } from "../../fashion-mnist/errors.js";

const FOLDER = fileURLToPath(new URL("../../../data/fashion-mnist-subset", import.meta.url));

export const PIXELS = 784;
export const CLASSES = 10;

export interface Images {
  /** 0..255 */
  x: Uint8Array;
  y: Uint8Array;
}

/** The first images of the repository's part of Fashion-MNIST: so many to train on, and at most as many others. */
export function loadImages(count: number): { train: Images; test: Images } {
  const data = loadDataSet(FOLDER);
  if (count > data.train.count) throw new InputError(`--images: got ${count}, there are ${data.train.count}`);
  const first = ({ x, y }: Images): Images => ({
    x: x.subarray(0, count * PIXELS),
    y: y.subarray(0, count),
  });
  return { train: first(data.train), test: first(data.test) };
}

/** Images [N, 784] with values in 0..1. */
export const imageTensor = (engine: lg.Engine, { x, y }: Images): lg.Tensor =>
  engine.tensor(
    new Float32Array(x).map((value) => value / 255),
    [y.length, PIXELS],
  );

/** One after another, as many as there are whole ones. */
export function inBatches({ x, y }: Images, size: number): Images[] {
  return Array.from({ length: Math.floor(y.length / size) }, (_, i) => ({
    x: x.subarray(i * size * PIXELS, (i + 1) * size * PIXELS),
    y: y.subarray(i * size, (i + 1) * size),
  }));
}

/** Independent draws of N(0, 1) from the engine's generator. */
export const normal = (engine: lg.Engine, shape: number[]): lg.Tensor =>
  lg.init.kaimingNormal_(engine.zeros(shape), { fanIn: 2 });

/** Independent draws between -1 and 1. */
export const uniform = (engine: lg.Engine, shape: number[]): lg.Tensor =>
  lg.init.kaimingUniform_(engine.zeros(shape), { fanIn: 6 });
