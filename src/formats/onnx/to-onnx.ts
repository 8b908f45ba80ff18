import { PbfWriter } from "pbf";
import { checkOptions, isArray, reading, show, showShape } from "../../checks.js";
import { ArgumentError, ShapeError, StateError } from "../../errors.js";
import type { Bytes } from "../../host-types.js";
import { CheckedLayer } from "../../layers/checked-layer.js";
import { checkNet, type Layer } from "../../layers/layer.js";
import { inEvalMode } from "../../layers/modes.js";
import { writeModelProto } from "../generated/onnx.js";
import { Graph, INPUT, type Value } from "./graph.js";
import { EXPORTERS } from "./operations.js";

/** How `toONNX` writes a net. */
export interface ToONNXOptions {
  /** The shape of one sample, without the axis of the batch: [784], [3, 32, 32]. */
  inputShape: readonly number[];
}

/** Of 2024: ONNX Runtime 1.18 and later read it. */
const OPSET = 21;
const IR_VERSION = 10;

/** A protobuf message holds less than 2 GiB. */
const MOST_BYTES = 2 ** 31 - 2 ** 20;
/** Bytes of a node or a constant beside its data, at a guess. */
const LEAST_BUFFER = 2 ** 14;

/** Stands for the batch's size, which is free in the file. */
const BATCH = 2;

/**
 * The net in eval mode as an ONNX file, for ONNX Runtime and others: the input "input" [N, ...inputShape] and the output "output" of float32,
 * with N free. Nodes have the layers' names, and constants those of `stateDict`. Slopes are those in effect. A fused layer becomes its two operations.
 *
 * Throws ShapeError where a layer does not take the shape, ArgumentError for a wrong option and for a layer that is not one of lanegrad's own,
 * StateError for a net that was disposed or has more than 2 GiB of parameters.
 */
export function toONNX(net: Layer, options: ToONNXOptions): Bytes {
  checkNet(net, "toONNX");
  const { inputShape } = checkOptions(options, ["inputShape"], "toONNX");
  const sample = readShape(inputShape);
  net.assertUsable();
  return inEvalMode(net, () => {
    const first: Value = { name: INPUT, shape: [BATCH, ...sample] };
    if (net.isSample(first.shape) === true) {
      throw new ShapeError(
        `toONNX: inputShape: got ${showShape(sample)}, which is less than one sample of ${net.type}`,
      );
    }
    const graph = new Graph();
    const last = exportLayer(net, graph, first, "");
    if (graph.bytes > MOST_BYTES)
      throw new StateError(`toONNX: ${graph.bytes} bytes of parameters: a file has at most 2 GiB`);
    const writer = new PbfWriter(new Uint8Array(graph.bytes + LEAST_BUFFER));
    writeModelProto(
      {
        ir_version: IR_VERSION,
        producer_name: "lanegrad",
        graph: graph.finish(first, last),
        opset_import: [{ domain: "", version: OPSET }],
      },
      writer,
    );
    return writer.finish().slice();
  });
}

function readShape(shape: unknown): number[] {
  const sizes = isArray(shape) ? reading("toONNX: inputShape", () => [...shape]) : [shape];
  if (
    !isArray(shape) ||
    sizes.length === 0 ||
    !sizes.every((size) => Number.isInteger(size) && (size as number) >= 1)
  ) {
    throw new ArgumentError(`toONNX: inputShape: got ${show(shape)}, expected integers >= 1, the shape of one sample`);
  }
  return sizes as number[];
}

function exportLayer(layer: Layer, graph: Graph, x: Value, path: string): Value {
  const isOurs = layer instanceof CheckedLayer && Object.hasOwn(layer.constructor, "isOurs");
  const exporter = isOurs && Object.hasOwn(EXPORTERS, layer.type) ? EXPORTERS[layer.type] : undefined;
  if (exporter === undefined) {
    const name = path === "" ? "the net" : `"${path}"`;
    throw new ArgumentError(
      `toONNX: ${name} is a ${layer.constructor.name}, which is not one of lanegrad's own layers: only those can be exported`,
    );
  }
  const of = (name: string): string => (path === "" ? name : `${path}.${name}`);
  const place = {
    path: path === "" ? layer.type : path,
    of,
    inside: (name: string, child: Layer, value: Value) => exportLayer(child, graph, value, of(name)),
  };
  // a container finds its shape as its layers do theirs
  const shape = layer.children().length > 0 ? x.shape : layer.shapeAfter(x.shape)!;
  return exporter(layer as never, graph, x, shape, place);
}
