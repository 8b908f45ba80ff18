/** The bytes of an IDX file: two zeros, the type, the number of axes, their sizes (big-endian), the values. */
export function idxBytes(shape: number[], values: ArrayLike<number>, type = 0x08): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, type, shape.length]);
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return new Uint8Array(Buffer.concat([header, Uint8Array.from(values)]));
}
