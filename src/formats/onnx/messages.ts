// ONNX's messages as scripts/onnx.proto has them.

export interface AttributeProto {
  readonly name: string;
  readonly type: number;
  readonly f?: number;
  readonly i?: number;
  readonly ints?: number[];
}

export interface NodeProto {
  readonly name: string;
  readonly op_type: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly AttributeProto[];
}

export interface TensorProto {
  readonly name: string;
  readonly dims: number[];
  readonly data_type: number;
  readonly raw_data: Uint8Array;
}

export interface TensorShapeProtoDimension {
  readonly dim_value?: number;
  readonly dim_param?: string;
}

export interface TensorShapeProto {
  readonly dim: readonly TensorShapeProtoDimension[];
}

export interface TypeProtoTensor {
  readonly elem_type: number;
  readonly shape: TensorShapeProto;
}

export interface TypeProto {
  readonly tensor_type: TypeProtoTensor;
}

export interface ValueInfoProto {
  readonly name: string;
  readonly type: TypeProto;
}

export interface GraphProto {
  readonly name: string;
  readonly node: readonly NodeProto[];
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
}

export interface OperatorSetIdProto {
  readonly domain: string;
  readonly version: number;
}

export interface ModelProto {
  readonly ir_version: number;
  readonly producer_name: string;
  readonly graph: GraphProto;
  readonly opset_import: readonly OperatorSetIdProto[];
}
