import { CLASSES, DENSE, HIDDEN, INPUTS } from "../network.js";
import type { Problem } from "./problem.js";

export const INPUT = "x";
export const OUTPUT = "logits";

/** The numbers of onnx.proto that are needed, by message. */
const MODEL = { irVersion: 1, graph: 7, opsetImport: 8 };
const OPSET = { version: 2 };
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, opType: 4, attribute: 5 };
const ATTRIBUTE = { name: 1, i: 3, type: 20 };
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 };
const VALUE = { name: 1, type: 2 };
const TYPE = { tensorType: 1 };
const TENSOR_TYPE = { elemType: 1, shape: 2 };
const SHAPE = { dim: 1 };
const DIMENSION = { value: 1 };
const FLOAT = 1;
const ATTRIBUTE_INT = 2;

const IR_VERSION = 8;
const OPSET_VERSION = 17;

/**
 * The problem's network as an ONNX file, with the nodes that PyTorch's exporter writes: Gemm with B transposed, and
 * PRelu.
 */
export function modelOf({ batch, weights, biases, slopes }: Problem): Uint8Array {
  const nodes: Buffer[] = [];
  const initializers: Buffer[] = [];
  const constant = (name: string, values: Float32Array, shape: number[]): string => {
    initializers.push(tensor(name, values, shape));
    return name;
  };
  let value = INPUT;
  DENSE.forEach(([inputs, outputs], i) => {
    const isLast = i === DENSE.length - 1;
    const weight = constant(`w${i}`, weights[i], [outputs, inputs]);
    const bias = constant(`b${i}`, biases[i], [outputs]);
    const product = isLast ? OUTPUT : `h${i}`;
    nodes.push(node("Gemm", [value, weight, bias], product, integerAttribute("transB", 1)));
    value = product;
    if (isLast) return;
    const slope = constant(`s${i}`, slopes, [HIDDEN]);
    nodes.push(node("PRelu", [value, slope], `a${i}`));
    value = `a${i}`;
  });
  const graph = [
    ...nodes.map((bytes) => field(GRAPH.node, bytes)),
    field(GRAPH.name, "peers"),
    ...initializers.map((bytes) => field(GRAPH.initializer, bytes)),
    field(GRAPH.input, valueInfo(INPUT, [batch, INPUTS])),
    field(GRAPH.output, valueInfo(OUTPUT, [batch, CLASSES])),
  ];
  return Buffer.concat([
    field(MODEL.irVersion, IR_VERSION),
    field(MODEL.graph, Buffer.concat(graph)),
    field(MODEL.opsetImport, field(OPSET.version, OPSET_VERSION)),
  ]);
}

function node(opType: string, inputs: string[], output: string, ...attributes: Buffer[]): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => field(NODE.input, name)),
    field(NODE.output, output),
    field(NODE.opType, opType),
    ...attributes.map((bytes) => field(NODE.attribute, bytes)),
  ]);
}

const integerAttribute = (name: string, value: number): Buffer =>
  Buffer.concat([field(ATTRIBUTE.name, name), field(ATTRIBUTE.i, value), field(ATTRIBUTE.type, ATTRIBUTE_INT)]);

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

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;

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
