// Models in files: weights, and in the metadata what is needed to build the net and to read rows.

import * as lg from "lanegrad";
import { type Column, inputsOf } from "./columns.js";
import { InputError } from "./failures.js";
import { readBytes } from "./files.js";
import { outputsOf, type Target } from "./target.js";

export type LayerDescription =
  | { readonly name: string; readonly type: "Linear"; readonly inFeatures: number; readonly outFeatures: number }
  | { readonly name: string; readonly type: "PReLU"; readonly numParameters: number };

/** What a net gets. Images are bytes, 0..255 become 0..1, row after row. */
export type InputDescription =
  | { readonly kind: "table"; readonly columns: readonly Column[] }
  | { readonly kind: "images"; readonly shape: readonly number[] };

/** What `train` keeps in a file's metadata. */
export interface ModelDescription {
  readonly version: 1;
  readonly layers: readonly LayerDescription[];
  readonly input: InputDescription;
  readonly target: Target;
}

/** The metadata's key; the value is a description as JSON. */
export const METADATA_KEY = "lanegrad";
const VERSION = 1;

/** Values that a sample has. */
export const sampleSize = (input: InputDescription): number =>
  input.kind === "table" ? inputsOf(input.columns) : input.shape.reduce((size, length) => size * length, 1);

/** Dense layers, each with a learned slope for every unit behind it, and one to the outputs. */
export function describeModel(input: InputDescription, target: Target, hidden: readonly number[]): ModelDescription {
  const layers: LayerDescription[] = [];
  let inFeatures = sampleSize(input);
  for (const [i, units] of hidden.entries()) {
    layers.push({ name: `hidden${i + 1}`, type: "Linear", inFeatures, outFeatures: units });
    layers.push({ name: `activation${i + 1}`, type: "PReLU", numParameters: units });
    inFeatures = units;
  }
  layers.push({ name: "output", type: "Linear", inFeatures, outFeatures: outputsOf(target) });
  return { version: VERSION, layers, input, target };
}

export function buildNet({ layers }: ModelDescription, engine: lg.Engine): lg.Sequential {
  const build = (layer: LayerDescription): lg.Layer =>
    layer.type === "Linear"
      ? new lg.Linear(layer.inFeatures, layer.outFeatures, { engine })
      : new lg.PReLU({ numParameters: layer.numParameters, engine });
  return new lg.Sequential(Object.fromEntries(layers.map((layer) => [layer.name, build(layer)])));
}

export const encodeModel = (net: lg.Layer, description: ModelDescription): Uint8Array =>
  lg.save(net, { metadata: { [METADATA_KEY]: JSON.stringify(description) } });

export interface Model {
  readonly net: lg.Sequential;
  readonly description: ModelDescription;
}

/** Reads a file that `train` wrote. Throws an InputError for any other. */
export async function readModel(path: string, engine: lg.Engine): Promise<Model> {
  const bytes = await readBytes(path);
  const description = descriptionOf(tensorsOf(bytes, path).metadata);
  if (description === undefined) {
    throw new InputError(`${path}: was not written by lanegrad train, which says in a file how to use it`);
  }
  try {
    const net = buildNet(description, engine);
    lg.load(net, bytes);
    return { net, description };
  } catch (error) {
    throw error instanceof lg.LanegradError ? new InputError(`${path}: ${error.message}`) : error;
  }
}

export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface StoredState {
  readonly tensors: readonly StoredTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a safetensors file holds. Throws an InputError for one that is none. */
export function tensorsOf(bytes: Uint8Array, path: string): StoredState {
  // the library checks the file; then its header, JSON behind 8 bytes with its length, can be read as it is
  const metadata = checkedMetadata(bytes, path);
  const { buffer, byteOffset } = bytes;
  const length = Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
  const header: Record<string, StoredTensor> = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return { tensors, metadata };
}

function checkedMetadata(bytes: Uint8Array, path: string): Record<string, string> {
  try {
    return lg.load(new lg.Flatten(), bytes, { strict: false }).metadata;
  } catch (error) {
    throw error instanceof lg.LanegradError ? new InputError(`${path}: expected a model: ${error.message}`) : error;
  }
}

/** The description in a file's metadata; undefined if there is none that this version can use. */
export function descriptionOf(metadata: Readonly<Record<string, string>>): ModelDescription | undefined {
  if (!Object.hasOwn(metadata, METADATA_KEY)) return undefined;
  try {
    const value: ModelDescription = JSON.parse(metadata[METADATA_KEY]);
    return isDescription(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Throws a TypeError, or says false, for what `train` does not write. */
function isDescription({ version, layers, input, target }: ModelDescription): boolean {
  const [first, last] = [layers[0], layers[layers.length - 1]];
  return (
    version === VERSION &&
    layers.every(isLayer) &&
    (input.kind === "table" ? input.columns.every(isColumn) : input.shape.every(isSize)) &&
    isTarget(target) &&
    first.type === "Linear" &&
    first.inFeatures === sampleSize(input) &&
    last.type === "Linear" &&
    last.outFeatures === outputsOf(target)
  );
}

const isText = (value: unknown): boolean => typeof value === "string";
const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1;
const isDeviation = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0;

const isLayer = (layer: LayerDescription): boolean =>
  isText(layer.name) &&
  (layer.type === "Linear"
    ? isSize(layer.inFeatures) && isSize(layer.outFeatures)
    : layer.type === "PReLU" && isSize(layer.numParameters));

function isColumn(column: Column): boolean {
  if (!isText(column.name) || typeof column.missing !== "boolean") return false;
  if (column.kind === "number") return Number.isFinite(column.mean) && isDeviation(column.deviation);
  return column.kind === "category" && column.values.every(isText) && typeof column.others === "boolean";
}

function isTarget(target: Target): boolean {
  if (!isText(target.name)) return false;
  if (target.task === "regression") return Number.isFinite(target.mean) && isDeviation(target.deviation);
  return target.task === "classification" && target.classes.every(isText);
}
