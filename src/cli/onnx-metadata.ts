// Texts in an ONNX file. A protobuf message may go on at its end, so a model takes more metadata there.
// ModelProto.metadata_props is field 14, each a StringStringEntryProto { 1: key, 2: value }.
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

const METADATA_FIELD = 14;
const KEY_FIELD = 1;
const VALUE_FIELD = 2;
/** Wire type of fields with a length. */
const WITH_LENGTH = 2;

export function withMetadata(model: Uint8Array, metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(metadata).map(([key, value]) =>
    field(METADATA_FIELD, Buffer.concat([field(KEY_FIELD, Buffer.from(key)), field(VALUE_FIELD, Buffer.from(value))])),
  );
  return Buffer.concat([model, ...entries]);
}

const field = (number: number, content: Uint8Array): Uint8Array =>
  Buffer.concat([varint((number << 3) | WITH_LENGTH), varint(content.length), content]);

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  while (value > 0x7f) {
    bytes.push((value & 0x7f) | 0x80);
    value = Math.floor(value / 0x80);
  }
  return Uint8Array.from([...bytes, value]);
}
