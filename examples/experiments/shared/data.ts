import { fileURLToPath } from "node:url";
import * as lg from "lanegrad";
import { loadDataSet } from "../../fashion-mnist/data.js";

const FOLDER = fileURLToPath(new URL("../../../data/fashion-mnist-subset", import.meta.url));

export const PIXELS = 784;
export const CLASSES = 10;

export interface Images {
  /** 0..255 */
  x: Uint8Array;
  y: Uint8Array;
}

/** The first images of the repository's part of Fashion-MNIST: so many to train on, and so many others. */
export function loadImages(train: number, test = 0): { train: Images; test: Images } {
  const data = loadDataSet(FOLDER);
  const first = ({ x, y }: Images, count: number): Images => ({
    x: x.subarray(0, count * PIXELS),
    y: y.subarray(0, count),
  });
  return { train: first(data.train, train), test: first(data.test, test) };
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
