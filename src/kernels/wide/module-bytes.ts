// Just enough of WebAssembly's binary format to give a module more exports and a section of its own.

const HEADER_BYTES = 8;
const CUSTOM_SECTION = 0;
const FUNCTION_SECTION = 3;
const EXPORT_SECTION = 7;
const FUNCTION_EXPORT = 0;

/** What function `index` is exported as. No name of a kernel begins like this, and a "#" would mean something to AssemblyScript's loader. */
export const exportName = (index: number): string => `$${index}`;
export const isExportName = (name: string): boolean => name.startsWith("$");

interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

export interface Exposed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many functions there are: all that the module defines. */
  readonly count: number;
}

/**
 * The module with each of its functions exported by number, so that each can be asked to be compiled; the hot loops are functions that
 * the module keeps to itself. `unique` goes into a section without meaning: V8 would answer bytes that it has seen before
 * with the code that it made for them. The module imports no functions.
 */
export function exposeFunctions(module: Uint8Array, unique: Uint8Array): Exposed {
  const sections = readSections(module);
  const [count] = readNumber(sections.find(({ id }) => id === FUNCTION_SECTION)!.content, 0);
  const exposed = sections.map(({ id, content }) => ({
    id,
    content: id === EXPORT_SECTION ? addExports(content, count) : content,
  }));
  exposed.push({ id: CUSTOM_SECTION, content: Uint8Array.of(...text("unique"), ...unique) });
  const parts = exposed.flatMap(({ id, content }) => [Uint8Array.of(id, ...number(content.length)), content]);
  return { bytes: concatenate([module.subarray(0, HEADER_BYTES), ...parts]), count };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

function readSections(module: Uint8Array): Section[] {
  const sections: Section[] = [];
  let position = HEADER_BYTES;
  while (position < module.length) {
    const id = module[position];
    const [size, start] = readNumber(module, position + 1);
    position = start + size;
    sections.push({ id, content: module.subarray(start, position) });
  }
  return sections;
}

function addExports(content: Uint8Array, functions: number): Uint8Array {
  const [count, start] = readNumber(content, 0);
  const added = Array.from({ length: functions }, (_, index) => [
    ...text(exportName(index)),
    FUNCTION_EXPORT,
    ...number(index),
  ]);
  return Uint8Array.of(...number(count + functions), ...content.subarray(start), ...added.flat());
}

/** An unsigned LEB128 and the position behind it. */
function readNumber(bytes: Uint8Array, position: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[position++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value, position];
  }
}

function number(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)];
}

const text = (ascii: string): number[] => [
  ...number(ascii.length),
  ...Array.from(ascii, (character) => character.charCodeAt(0)),
];
