// A file's elements as a net has them: float32 values, or the value of a counter.

import type { Dtype, StoredTensor } from "./safetensors.js";

/** A half float as the bits of a float32. A NaN keeps its payload. */
function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  // a subnormal half is a normal float32, whose leading 1 is not stored
  const shift = Math.clz32(mantissa) - 21;
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

type Table<T> = Partial<Record<Dtype, T>>;

const FLOATS: Table<(source: DataView, target: Float32Array) => void> = {
  // by bits: read as a number, a NaN may lose its payload
  F32: (source, target) => asBits(target, (i) => source.getUint32(4 * i, true)),
  F16: (source, target) => asBits(target, (i) => halfBits(source.getUint16(2 * i, true))),
  BF16: (source, target) => asBits(target, (i) => source.getUint16(2 * i, true) << 16),
  F64: (source, target) => {
    for (let i = 0; i < target.length; i++) target[i] = source.getFloat64(8 * i, true);
  },
};

function asBits({ buffer, byteOffset, length }: Float32Array, read: (i: number) => number): void {
  const bits = new Int32Array(buffer, byteOffset, length);
  for (let i = 0; i < length; i++) bits[i] = read(i);
}

const INTEGERS: Table<(source: DataView) => number | bigint> = {
  U8: (source) => source.getUint8(0),
  I8: (source) => source.getInt8(0),
  U16: (source) => source.getUint16(0, true),
  I16: (source) => source.getInt16(0, true),
  U32: (source) => source.getUint32(0, true),
  I32: (source) => source.getInt32(0, true),
  U64: (source) => source.getBigUint64(0, true),
  I64: (source) => source.getBigInt64(0, true),
};

const viewOf = ({ bytes }: StoredTensor): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

export const readsAsFloats = (dtype: Dtype): boolean => FLOATS[dtype] !== undefined;

export const readsAsCount = (dtype: Dtype): boolean => INTEGERS[dtype] !== undefined;

/** F64 is rounded to the nearest float32. */
export function writeFloats(source: StoredTensor, target: Float32Array): void {
  FLOATS[source.dtype]!(viewOf(source), target);
}

export const readCount = (source: StoredTensor): number => Number(INTEGERS[source.dtype]!(viewOf(source)));

/** A count as an I64. */
export function countBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(Number.isFinite(count) ? Math.trunc(count) : 0), true);
  return bytes;
}
