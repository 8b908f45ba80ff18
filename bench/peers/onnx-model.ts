import { CLASSES } from "../network.js";
import type { LayerSpec, Problem, Values } from "./problem.js";

export const INPUT = "x";
export const OUTPUT = "logits";

/** The numbers of onnx.proto that are needed, by message. */
const MODEL = { irVersion: 1, graph: 7, opsetImport: 8 };
const OPSET = { version: 2 };
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, opType: 4, attribute: 5 };
const ATTRIBUTE = { name: 1, i: 3, ints: 8, type: 20 };
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 };
const VALUE = { name: 1, type: 2 };
const TYPE = { tensorType: 1 };
const TENSOR_TYPE = { elemType: 1, shape: 2 };
const SHAPE = { dim: 1 };
const DIMENSION = { value: 1 };
const FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

const IR_VERSION = 8;
const OPSET_VERSION = 17;

const integer = (name: string, value: number): Buffer =>
  Buffer.concat([field(ATTRIBUTE.name, name), field(ATTRIBUTE.i, value), field(ATTRIBUTE.type, ATTRIBUTE_INT)]);

const integers = (name: string, values: number[]): Buffer =>
  Buffer.concat([
    field(ATTRIBUTE.name, name),
    ...values.map((value) => field(ATTRIBUTE.ints, value)),
    field(ATTRIBUTE.type, ATTRIBUTE_INTS),
  ]);

/** A layer's node: its type and attributes; what is left out has the layer's value by default. */
const OPERATIONS: Record<LayerSpec["kind"], [opType: string, ...attributes: Buffer[]]> = {
  linear: ["Gemm", integer("transB", 1)],
  prelu: ["PRelu"],
  conv2d: ["Conv", integers("kernel_shape", [3, 3]), integers("pads", [1, 1, 1, 1])],
  batchNorm2d: ["BatchNormalization"],
  maxPool2d: ["MaxPool", integers("kernel_shape", [2, 2]), integers("strides", [2, 2])],
  flatten: ["Flatten"],
};

/** The problem's network as an ONNX file, with the nodes that PyTorch's exporter writes. */
export function modelOf({ batch, x, layers }: Pick<Problem, "batch" | "x" | "layers">, outputs = CLASSES): Uint8Array {
  const nodes: Buffer[] = [];
  const initializers: Buffer[] = [];
  let value = INPUT;
  let rank = x.shape.length;
  for (const [i, layer] of layers.entries()) {
    const constants = constantsOf(layer, rank).map(({ values, shape }, j) => {
      const name = `constant ${i} ${j}`;
      initializers.push(tensor(name, values, shape));
      return name;
    });
    const output = i === layers.length - 1 ? OUTPUT : `h${i}`;
    const [opType, ...attributes] = OPERATIONS[layer.kind];
    nodes.push(node(opType, [value, ...constants], output, ...attributes));
    value = output;
    if (layer.kind === "flatten") rank = 2;
  }
  const graph = [
    ...nodes.map((bytes) => field(GRAPH.node, bytes)),
    field(GRAPH.name, "peers"),
    ...initializers.map((bytes) => field(GRAPH.initializer, bytes)),
    field(GRAPH.input, valueInfo(INPUT, x.shape)),
    field(GRAPH.output, valueInfo(OUTPUT, [batch, outputs])),
  ];
  return Buffer.concat([
    field(MODEL.irVersion, IR_VERSION),
    field(MODEL.graph, Buffer.concat(graph)),
    field(MODEL.opsetImport, field(OPSET.version, OPSET_VERSION)),
  ]);
}

/** A layer's parameters as its node wants them, where its input has so many axes. */
function constantsOf({ kind, parameters }: LayerSpec, rank: number): Values[] {
  // slopes meet the last axes, and channels are axis 1
  if (kind === "prelu") {
    const [{ values, shape }] = parameters;
    return [{ values, shape: [...shape, ...Array<number>(rank - 2).fill(1)] }];
  }
  if (kind === "batchNorm2d") {
    const [{ values, shape }] = parameters;
    const running = [0, 1].map((value) => ({ values: values.map(() => value), shape }));
    return [...parameters, ...running];
  }
  return [...parameters];
}

function node(opType: string, inputs: string[], output: string, ...attributes: Buffer[]): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => field(NODE.input, name)),
    field(NODE.output, output),
    field(NODE.opType, opType),
    ...attributes.map((bytes) => field(NODE.attribute, bytes)),
  ]);
}

function tensor(name: string, values: Float32Array, shape: number[]): Buffer {
  return Buffer.concat([
    ...shape.map((size) => field(TENSOR.dims, size)),
    field(TENSOR.dataType, FLOAT),
    field(TENSOR.name, name),
    field(TENSOR.rawData, Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  ]);
}

function valueInfo(name: string, shape: number[]): Buffer {
  const dimensions = shape.map((size) => field(SHAPE.dim, field(DIMENSION.value, size)));
  const tensorType = [field(TENSOR_TYPE.elemType, FLOAT), field(TENSOR_TYPE.shape, Buffer.concat(dimensions))];
  return Buffer.concat([field(VALUE.name, name), field(VALUE.type, field(TYPE.tensorType, Buffer.concat(tensorType)))]);
}

/** A field of a protobuf message: its number and kind, then an integer, or a length and so many bytes. */
function field(number: number, content: number | string | Buffer): Buffer {
  if (typeof content === "number") return Buffer.concat([varint((number << 3) | WIRE_VARINT), varint(content)]);
  const bytes = Buffer.from(content);
  return Buffer.concat([varint((number << 3) | WIRE_BYTES), varint(bytes.length), bytes]);
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
}
