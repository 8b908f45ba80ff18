type Write = (at: number, value: number) => unknown;

/** How many bytes a value of each type has, and how it is written. */
const TYPES: Record<number, readonly [bytes: number, writer: (buffer: Buffer) => Write]> = {
  8: [1, (buffer) => (at, value) => buffer.writeUInt8(value, at)],
  9: [1, (buffer) => (at, value) => buffer.writeInt8(value, at)],
  11: [2, (buffer) => (at, value) => buffer.writeInt16BE(value, at)],
  12: [4, (buffer) => (at, value) => buffer.writeInt32BE(value, at)],
  13: [4, (buffer) => (at, value) => buffer.writeFloatBE(value, at)],
  14: [8, (buffer) => (at, value) => buffer.writeDoubleBE(value, at)],
};

/** The bytes of an IDX file: two zeros, the type, the number of axes, their sizes (big-endian), the values (big-endian). */
export function idxBytes(shape: number[], values: ArrayLike<number>, type = 0x08): Uint8Array {
  const [bytes, writer] = TYPES[type] ?? TYPES[0x08];
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, type, shape.length]);
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  const data = Buffer.alloc(bytes * values.length);
  const write = writer(data);
  for (let i = 0; i < values.length; i++) write(i * bytes, values[i]);
  return new Uint8Array(Buffer.concat([header, data]));
}
