// Two builds of one source have most of their functions in common. A list of what both have, what the first has and what the second has, in
// turns, holds the common parts once, and puts what differs side by side, where a compressor finds the likeness.
import { readNumber } from "./sources.mjs";

const CODE_SECTION = 10;
const HEADER_BYTES = 8;

/** A module cut into its sections, and the code's section into what is before its functions and each function. */
function cut(bytes) {
  const parts = [bytes.subarray(0, HEADER_BYTES)];
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const [size, content] = readNumber(bytes, at + 1);
    const end = content + size;
    if (bytes[at] === CODE_SECTION) parts.push(...cutFunctions(bytes, at, content, end));
    else parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

function cutFunctions(bytes, section, content, end) {
  const [, first] = readNumber(bytes, content);
  const parts = [bytes.subarray(section, first)];
  for (let from = first; from < end; ) {
    const [length, body] = readNumber(bytes, from);
    parts.push(bytes.subarray(from, body + length));
    from = body + length;
  }
  return parts;
}

const isSame = (a, b) => Buffer.compare(a, b) === 0;

/** Lengths of the longest common subsequences of all suffixes of both lists. */
function commonLengths(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i][j] = isSame(a[i], b[j]) ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

/** The parts of both lists in an order that keeps that of each list: [part, turn], turn 0 for what both have. */
function align(a, b) {
  const lengths = commonLengths(a, b);
  const aligned = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && isSame(a[i], b[j])) {
      aligned.push([a[i++], 0]);
      j++;
    } else if (j === b.length || (i < a.length && lengths[i + 1][j] >= lengths[i][j + 1])) aligned.push([a[i++], 1]);
    else aligned.push([b[j++], 2]);
  }
  return aligned;
}

/** Two modules as pieces in turns: of both, of the first, of the second, of both, ... Some are empty. */
export function mergeModules(first, second) {
  const pieces = [];
  let turn = [[], [], []];
  const endTurn = () => {
    pieces.push(...turn.map((parts) => Buffer.concat(parts)));
    turn = [[], [], []];
  };
  for (const [part, who] of align(cut(first), cut(second))) {
    if (who === 0 && (turn[1].length > 0 || turn[2].length > 0)) endTurn();
    turn[who].push(part);
  }
  endTurn();
  return pieces;
}
