import { AttributeProtoAttributeType as AttributeType, TensorProtoDataType as DataType } from "../generated/onnx.js";
import type { AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto } from "./messages.js";

/** An attribute of a node. ONNX tells integers from floats, JavaScript does not. */
export type Attribute = { readonly float: number } | { readonly int: number } | { readonly ints: readonly number[] };

/** A value that flows through the graph, in the shape that it has for a batch of N samples. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Names of the graph's input and output. */
export const INPUT = "input";
export const OUTPUT = "output";

/** The name of the batch's axis. */
const BATCH = "N";

/** A graph in the making: nodes in the order in which they run, and constants, the parameters. */
export class Graph {
  readonly #nodes: NodeProto[] = [];
  readonly #constants: TensorProto[] = [];
  readonly #names = new Set([INPUT, OUTPUT]);

  /** Adds a node; returns its output. */
  node(
    name: string,
    operation: string,
    inputs: readonly string[],
    shape: readonly number[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value {
    const output = this.#unique(`${name}/${operation}`);
    this.#nodes.push({
      name: output,
      op_type: operation,
      input: inputs,
      output: [output],
      attribute: Object.entries(attributes).map(([key, value]) => attributeOf(key, value)),
    });
    return { name: output, shape };
  }

  /** Adds a constant of float32; returns its name. The data are not copied. */
  constant(name: string, data: Float32Array, shape: readonly number[]): string {
    const unique = this.#unique(name);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#constants.push({ name: unique, dims: [...shape], data_type: DataType.FLOAT, raw_data: bytes });
    return unique;
  }

  /** A layer may be called "input", too. */
  #unique(name: string): string {
    let unique = name;
    for (let i = 2; this.#names.has(unique); i++) unique = `${name} ${i}`;
    this.#names.add(unique);
    return unique;
  }

  /** Bytes of all constants. */
  get bytes(): number {
    return this.#constants.reduce((sum, { raw_data }) => sum + raw_data.length, 0);
  }

  /** The graph from its input to `last`; the first axis of both is the batch, of any size. */
  finish(first: Value, last: Value): GraphProto {
    // a net may be the identity
    const { name, shape } = last.name === first.name ? this.node("net", "Identity", [first.name], last.shape) : last;
    const rename = (value: string): string => (value === name ? OUTPUT : value);
    return {
      name: "lanegrad",
      node: this.#nodes.map((node) => ({ ...node, input: node.input.map(rename), output: node.output.map(rename) })),
      initializer: this.#constants,
      input: [describe(first)],
      output: [describe({ name: OUTPUT, shape })],
    };
  }
}

function attributeOf(name: string, value: Attribute): AttributeProto {
  if ("float" in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ("int" in value) return { name, type: AttributeType.INT, i: value.int };
  return { name, type: AttributeType.INTS, ints: [...value.ints] };
}

function describe({ name, shape: [, ...sample] }: Value): ValueInfoProto {
  const dim = [{ dim_param: BATCH }, ...sample.map((size) => ({ dim_value: size }))];
  return { name, type: { tensor_type: { elem_type: DataType.FLOAT, shape: { dim } } } };
}
