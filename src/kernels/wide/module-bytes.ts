// Just enough of WebAssembly's binary format to give a module more exports and a section of its own.

/** "\0asm", version 1 */
const HEADER = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
const CUSTOM_SECTION = 0;
const IMPORT_SECTION = 2;
const FUNCTION_SECTION = 3;
const EXPORT_SECTION = 7;
/** Kinds of what is imported or exported. */
const FUNCTION = 0;
const MEMORY = 2;
const GLOBAL_TYPE_BYTES = 2;

/**
 * The name under which function `index` is exported, counted without imported functions. No kernel's name begins like this; a "#" would
 * mean something to AssemblyScript's loader.
 */
export const exportName = (index: number): string => `$${index}`;
/** Whether it is the name of a function by number, or of what groups of kernels import from the core (scripts/split.mjs). */
export const isInternal = (name: string): boolean => name.startsWith("$");

export interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

export interface Exposed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many functions the module defines. */
  readonly count: number;
}

/**
 * The module with each function that it defines exported by number, so that each can be compiled by itself; the hot loops are
 * functions that no kernel's name leads to. `unique` goes into a section without meaning: V8 would answer bytes that it has seen before
 * with the code that it made for them.
 */
export function exposeFunctions(module: Uint8Array, unique: Uint8Array): Exposed {
  const sections = readSections(module);
  const contentOf = (wanted: number): Uint8Array | undefined => sections.find(({ id }) => id === wanted)?.content;
  const [count] = readNumber(contentOf(FUNCTION_SECTION)!, 0);
  const imported = countImportedFunctions(contentOf(IMPORT_SECTION)!);
  const exposed = sections.map(({ id, content }) => ({
    id,
    content: id === EXPORT_SECTION ? addExports(content, imported, count) : content,
  }));
  exposed.push({ id: CUSTOM_SECTION, content: Uint8Array.of(...text("unique"), ...unique) });
  return { bytes: writeSections(exposed), count };
}

export function readSections(module: Uint8Array): Section[] {
  const sections: Section[] = [];
  let position = HEADER.length;
  while (position < module.length) {
    const id = module[position];
    const [size, start] = readNumber(module, position + 1);
    position = start + size;
    sections.push({ id, content: module.subarray(start, position) });
  }
  return sections;
}

/** A module of these sections. */
export function writeSections(sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  const parts = sections.flatMap(({ id, content }) => [Uint8Array.of(id, ...number(content.length)), content]);
  return concatenate([HEADER, ...parts]);
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

/** Imported functions have the first indices. Our modules import functions, a memory and global variables. */
function countImportedFunctions(content: Uint8Array): number {
  let [left, position] = readNumber(content, 0);
  const skipNumber = (): void => {
    position = readNumber(content, position)[1];
  };
  const skipName = (): void => {
    const [length, start] = readNumber(content, position);
    position = start + length;
  };
  let count = 0;
  for (; left > 0; left--) {
    skipName();
    skipName();
    const kind = content[position++];
    if (kind === FUNCTION) {
      count++;
      skipNumber();
    } else if (kind === MEMORY) {
      const hasMaximum = (content[position++] & 1) === 1;
      skipNumber();
      if (hasMaximum) skipNumber();
    } else position += GLOBAL_TYPE_BYTES;
  }
  return count;
}

function addExports(content: Uint8Array, first: number, functions: number): Uint8Array {
  const [count, start] = readNumber(content, 0);
  const added = Array.from({ length: functions }, (_, index) => [
    ...text(exportName(index)),
    FUNCTION,
    ...number(first + index),
  ]);
  return Uint8Array.of(...number(count + functions), ...content.subarray(start), ...added.flat());
}

/** An unsigned LEB128 and the position behind it. */
export function readNumber(bytes: Uint8Array, position: number): [value: number, next: number] {
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
