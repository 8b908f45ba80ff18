// Just enough of WebAssembly's code to see which instructions a function holds.
import { readNumber, readSections } from "./sources.mjs";

const CODE_SECTION = 10;

/** How many bytes follow an instruction, by what follows it: numbers of any length, or bytes. */
const skipNumber = (bytes, at) => readNumber(bytes, at)[1];
const skipNumbers = (count) => (bytes, at) => {
  for (let i = 0; i < count; i++) at = skipNumber(bytes, at);
  return at;
};
const skipBytes = (count) => (_, at) => at + count;
const skipList = (bytes, at) => {
  const [count, first] = readNumber(bytes, at);
  return skipNumbers(count)(bytes, first);
};
const nothing = skipBytes(0);

const isWithin = (code, first, last) => code >= first && code <= last;

/** A block's type, an index, a constant. */
const ONE_NUMBER = [0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26];
ONE_NUMBER.push(0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2);

function operandsOf(code) {
  if (ONE_NUMBER.includes(code)) return skipNumbers(1);
  // calls through a table; loads and stores
  if (code === 0x11 || code === 0x13 || isWithin(code, 0x28, 0x3e)) return skipNumbers(2);
  // br_table
  if (code === 0x0e) return (bytes, at) => skipNumber(bytes, skipList(bytes, at));
  if (code === 0x1c) return skipList;
  if (code === 0x43) return skipBytes(4);
  if (code === 0x44) return skipBytes(8);
  return nothing;
}

const MEMORY_AND_TABLES = 0xfc;
const SIMD = 0xfd;

function operandsOfMemory(code) {
  if (code < 8) return nothing;
  return skipNumbers([9, 11, 13, 15, 16, 17].includes(code) ? 1 : 2);
}

function operandsOfSimd(code) {
  // constants and shuffles; lanes; loads and stores of vectors, of lanes
  if (code === 12 || code === 13) return skipBytes(16);
  if (isWithin(code, 21, 34)) return skipBytes(1);
  if (code <= 11 || code === 92 || code === 93) return skipNumbers(2);
  if (isWithin(code, 84, 91)) return (bytes, at) => skipNumbers(2)(bytes, at) + 1;
  return nothing;
}

/** The instructions of a function's code: those with a prefix as "prefix code". */
function* instructions(bytes, at) {
  const [groups, first] = readNumber(bytes, at);
  at = first;
  // locals: how many, of which type
  for (let i = 0; i < groups; i++) at = skipNumber(bytes, at) + 1;
  while (at < bytes.length) {
    const code = bytes[at++];
    if (code === MEMORY_AND_TABLES || code === SIMD) {
      const [detail, next] = readNumber(bytes, at);
      yield { code, detail };
      at = (code === SIMD ? operandsOfSimd : operandsOfMemory)(detail)(bytes, next);
    } else if (code === 0xfe || code === 0xfb) throw new Error("atomics and references are not read");
    else {
      yield { code };
      at = operandsOf(code)(bytes, at);
    }
  }
}

const V128_STORE = 11;
/** shuffle, swizzle, relaxed swizzle */
const SHUFFLES = [13, 14, 256];
/** extadd_pairwise, extmul and extend, by their first and last codes. */
const EXTENSIONS = [
  [124, 127],
  [135, 138],
  [156, 159],
  [167, 170],
  [188, 191],
  [199, 202],
  [220, 223],
];
/** i64.extend_i32_s and _u */
const SCALAR_EXTENSIONS = [0xac, 0xad];

const isForbidden = ({ code, detail }) =>
  code === SIMD
    ? SHUFFLES.includes(detail) || EXTENSIONS.some(([first, last]) => isWithin(detail, first, last))
    : SCALAR_EXTENSIONS.includes(code);

/**
 * Whether a function may be widened to 256 bits (src/kernels/wide): it has two stores that might be neighbours, and neither a shuffle,
 * beside which V8 13.6 gets them wrong, nor an integer extension, at which it may abort.
 */
function isWidenable(body) {
  const code = [...instructions(body, 0)];
  const stores = code.filter(({ code, detail }) => code === SIMD && detail === V128_STORE).length;
  return stores >= 2 && !code.some(isForbidden);
}

/** The functions of a module that may be widened, by their places among those that it defines. */
export function widenable(bytes) {
  const { content } = readSections(bytes).find(({ id }) => id === CODE_SECTION);
  const [count, first] = readNumber(content, 0);
  const indices = [];
  for (let i = 0, at = first; i < count; i++) {
    const [size, start] = readNumber(content, at);
    at = start + size;
    if (isWidenable(content.subarray(start, at))) indices.push(i);
  }
  return indices;
}
