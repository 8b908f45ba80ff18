import { show } from "../checks.js";
import { ArgumentError } from "../errors.js";
import { isLayer, type Layer, layersInside } from "./layer.js";

/** A layer with trainable slopes: PReLU, LinearPReLU, or a user's with the same method. */
interface Sloped {
  slopes(): Float32Array;
}

/** A row of `slopeStats`: one layer's slopes in effect. */
export interface SlopeStats {
  /** The layer's name in the net: "1", "block.act". */
  name: string;
  /** How many slopes the layer has. */
  count: number;
  /** Their mean. */
  mean: number;
  /** Unbiased (divided by count - 1); NaN of a single slope. */
  std: number;
  /** The smallest. */
  min: number;
  /** The largest. */
  max: number;
}

/** A row of `summary`: a layer that has none inside, or parameters of its own. */
export interface LayerSummary {
  /** The layer's name in the net: "1", "block.act". */
  name: string;
  /** The name of its class. */
  type: string;
  /** How many trainable numbers it has. */
  parameters: number;
  /** How many of the parameters are slopes. */
  slopes: number;
}

/** What `summary` returns. */
export interface Summary {
  /** A row for each layer, in the net's order. */
  layers: LayerSummary[];
  /** Of the whole net. */
  parameters: number;
  /** Of the whole net. */
  slopes: number;
}

const isSloped = (layer: Layer): layer is Layer & Sloped => "slopes" in layer && typeof layer.slopes === "function";

interface Row {
  readonly name: string;
  readonly layer: Layer;
  /** How many parameters are the layer's own, not those of layers inside. */
  readonly parameters: number;
}

/** The layers that have none inside, and those with parameters of their own, with their names in the net. */
function rows(layer: Layer, what: string, name = ""): Row[] {
  if (!isLayer(layer)) throw new ArgumentError(`${what}: got ${show(layer)}, expected a Layer`);
  const children = layersInside(layer);
  const inside = new Set(children.flatMap(([, child]) => child.parameters().map(({ value }) => value)));
  const own = layer.parameters().filter(({ value }) => !inside.has(value));
  const parameters = own.reduce((count, { value }) => count + value.size, 0);
  return [
    ...(children.length === 0 || parameters > 0 ? [{ name, layer, parameters }] : []),
    ...children.flatMap(([key, child]) => rows(child, what, name === "" ? key : `${name}.${key}`)),
  ];
}

/** One row for each layer with slopes, over the slopes in effect. Throws ArgumentError for anything but a layer. */
export function slopeStats(net: Layer): SlopeStats[] {
  return rows(net, "slopeStats").flatMap(({ name, layer }) =>
    isSloped(layer) ? [{ name, ...statistics(layer.slopes()) }] : [],
  );
}

function statistics(values: Float32Array): Omit<SlopeStats, "name"> {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0);
  const min = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const max = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  return { count, mean, std: Math.sqrt(squares / (count - 1)), min, max };
}

/** Parameters of each layer and of the net, and how many of them are slopes. Throws ArgumentError for anything but a layer. */
export function summary(net: Layer): Summary {
  const layers = rows(net, "summary").map(({ name, layer, parameters }) => ({
    name,
    type: layer.type,
    parameters,
    slopes: isSloped(layer) ? layer.slopes().length : 0,
  }));
  const total = (key: "parameters" | "slopes"): number => layers.reduce((sum, row) => sum + row[key], 0);
  return { layers, parameters: total("parameters"), slopes: total("slopes") };
}
