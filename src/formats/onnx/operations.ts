import type { BatchNorm1d } from "../../layers/batch-norm.js";
import type { Conv2d } from "../../layers/conv2d.js";
import type { ELU } from "../../layers/elu.js";
import type { Layer, Parameter } from "../../layers/layer.js";
import type { LeakyReLU } from "../../layers/leaky-relu.js";
import type { Linear } from "../../layers/linear.js";
import type { LinearELU } from "../../layers/linear-elu.js";
import type { LinearPReLU } from "../../layers/linear-prelu.js";
import type { MaxPool2d } from "../../layers/max-pool2d.js";
import type { PReLU } from "../../layers/prelu.js";
import type { Graph, Value } from "./graph.js";

/** A place in the graph: the layer's name, and how layers inside it are exported. */
export interface Place {
  /** The layer's name in the net, "" for the net itself. */
  readonly path: string;
  /** The name of something that belongs to the layer. */
  of(name: string): string;
  /** Exports a layer inside this one. */
  inside(name: string, layer: Layer, x: Value): Value;
}

/** Adds the nodes of a layer in eval mode behind x. `shape` is the output's for a batch of N. */
type Exporter = (layer: never, graph: Graph, x: Value, shape: readonly number[], place: Place) => Value;

/**
 * The nodes of each layer, by its type: each computes what the layer's docstring says in eval mode. The layers themselves are not imported: a
 * program has those that it uses.
 */
export const EXPORTERS: Readonly<Record<string, Exporter>> = {
  Sequential: (layer: Layer, _graph, x, _shape, { inside }) =>
    layer.children().reduce((value, [name, child]) => inside(name, child, value), x),
  Linear: (layer: Linear, graph, x, shape, place) => dense(layer, graph, x, shape, place),
  LinearPReLU: (layer: LinearPReLU, graph, x, shape, place) =>
    slopes(layer, "slope", graph, dense(layer, graph, x, shape, place), place),
  LinearELU: (layer: LinearELU, graph, x, shape, place) =>
    elu(layer.alpha, graph, dense(layer, graph, x, shape, place), place),
  Conv2d: (layer: Conv2d, graph, x, shape, { path, of }) => {
    const inputs = [x.name, ...parametersOf(layer, graph, of)];
    return graph.node(path, "Conv", inputs, shape, windowOf(layer));
  },
  PReLU: (layer: PReLU, graph, x, _shape, place) => slopes(layer, "weight", graph, x, place),
  ELU: (layer: ELU, graph, x, _shape, place) => elu(layer.alpha, graph, x, place),
  LeakyReLU: (layer: LeakyReLU, graph, x, shape, { path }) =>
    graph.node(path, "LeakyRelu", [x.name], shape, { alpha: { float: layer.negativeSlope } }),
  ReLU: (_layer, graph, x, shape, { path }) => graph.node(path, "Relu", [x.name], shape),
  BatchNorm1d: batchNorm,
  BatchNorm2d: batchNorm,
  MaxPool2d: (layer: MaxPool2d, graph, x, shape, { path }) =>
    graph.node(path, "MaxPool", [x.name], shape, windowOf(layer)),
  Flatten: (_layer, graph, x, shape, { path }) => graph.node(path, "Flatten", [x.name], shape, { axis: { int: 1 } }),
  // the identity in eval mode
  Dropout: (_layer, _graph, x) => x,
};

/** The layer's parameters `names` as constants by their own names. */
function parametersOf(layer: { weight: Parameter; bias?: Parameter }, graph: Graph, of: Place["of"]): string[] {
  const { weight, bias } = layer;
  return [weight, ...(bias === undefined ? [] : [bias])].map(({ name, value }) =>
    graph.constant(of(name), value.liveView(), value.shape),
  );
}

/** s = x · Wᵀ + b */
function dense(
  layer: Linear | LinearPReLU | LinearELU,
  graph: Graph,
  x: Value,
  shape: readonly number[],
  { path, of }: Place,
): Value {
  const inputs = [x.name, ...parametersOf(layer, graph, of)];
  return graph.node(path, "Gemm", inputs, shape, { transB: { int: 1 } });
}

/** PReLU by the slopes in effect; ONNX broadcasts from the last axis on, and channels are axis 1. */
function slopes(layer: { slopes(): Float32Array }, name: string, graph: Graph, x: Value, { path, of }: Place): Value {
  const values = layer.slopes();
  const inner = values.length === 1 ? [] : x.shape.slice(2).map(() => 1);
  const slope = graph.constant(of(name), values, [values.length, ...inner]);
  return graph.node(path, "PRelu", [x.name, slope], x.shape);
}

const elu = (alpha: number, graph: Graph, x: Value, { path }: Place): Value =>
  graph.node(path, "Elu", [x.name], x.shape, { alpha: { float: alpha } });

function batchNorm(layer: BatchNorm1d, graph: Graph, x: Value, shape: readonly number[], { path, of }: Place): Value {
  const state = layer.stateDict();
  const constants = ["weight", "bias", "running_mean", "running_var"].map((name) =>
    graph.constant(of(name), state[name].liveView(), state[name].shape),
  );
  return graph.node(path, "BatchNormalization", [x.name, ...constants], shape, { epsilon: { float: layer.eps } });
}

/** `pads` begin before both axes, then come those behind them. */
const windowOf = ({
  kernelSize,
  stride,
  padding,
}: Conv2d | MaxPool2d): Record<string, { ints: readonly number[] }> => ({
  kernel_shape: { ints: kernelSize },
  strides: { ints: stride },
  pads: { ints: [...padding, ...padding] },
});
