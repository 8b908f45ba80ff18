// Two builds of one source have most of their functions in common: a list of what both have, the first and the second, in turns,
// has the common parts once, and what differs side by side, where a compressor finds the likeness. What only the kernels for images
// need is apart: in its place there are functions that trap.
const CODE_SECTION = 10;
const HEADER_BYTES = 8;
/** A body without locals that is unreachable, behind its length. */
const STUB = Buffer.from([3, 0, 0, 11]);
/** The code section's size is written with as many bytes whatever it is, since it depends on what is in its place. */
const SIZE_BYTES = 5;

/** A LEB128 number, and where it ends. */
function readNumber(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value |= (byte & 127) << shift;
    if (byte < 128) return [value >>> 0, at];
  }
}

const paddedNumber = (value) =>
  Buffer.from(
    Array.from({ length: SIZE_BYTES }, (_, i) => ((value >>> (7 * i)) & 127) | (i < SIZE_BYTES - 1 ? 128 : 0)),
  );

/** Functions that nothing but the exports `apart` reaches, from the module's text. */
function reachedByAlone(text, apart) {
  const calls = new Map();
  for (const [, name, body] of text.matchAll(/^ \(func (\S+)(.*?)(?=^ \(|^\))/gms)) {
    calls.set(
      name,
      [...body.matchAll(/\bcall (\$[^\s()]+|\$"[^"]+")/g)].map(([, callee]) => callee),
    );
  }
  const reached = new Set();
  const visit = (name) => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const callee of calls.get(name)) visit(callee);
  };
  for (const [, name, target] of text.matchAll(/^ \(export "([^"]+)" \(func (\S+)\)\)/gm)) {
    if (!apart.includes(name)) visit(target);
  }
  // who calls a function through the table, no call tells
  for (const [elements] of text.matchAll(/^ \(elem .*$/gm)) {
    for (const [name] of elements.matchAll(/\$assembly\S+(?=[\s)])/g)) visit(name.replace(/\)+$/, ""));
  }
  const [, start] = /^ \(start (\S+)\)/m.exec(text) ?? [];
  if (start !== undefined) visit(start);
  return new Set([...calls.keys()].filter((name) => !reached.has(name)));
}

/** A module cut into what is before its functions, each function, and what is behind; `isApart` says so of functions. */
function cut({ bytes, names, text }, exportsApart) {
  const apart = reachedByAlone(text, exportsApart);
  let at = HEADER_BYTES;
  for (;;) {
    const [size, content] = readNumber(bytes, at + 1);
    if (bytes[at] !== CODE_SECTION) {
      at = content + size;
      continue;
    }
    const end = content + size;
    const [count, first] = readNumber(bytes, content);
    if (count !== names.length) throw new Error(`${count} functions have ${names.length} names`);
    const functions = [];
    for (let from = first; from < end; ) {
      const [length, body] = readNumber(bytes, from);
      functions.push({ bytes: bytes.subarray(from, body + length), isApart: apart.has(names[functions.length]) });
      from = body + length;
    }
    const head = Buffer.concat([bytes.subarray(0, at + 1), paddedNumber(size), bytes.subarray(content, first)]);
    const parts = [{ bytes: head, isApart: false }, ...functions, { bytes: bytes.subarray(end), isApart: false }];
    return { parts, layout: { codeSizeAt: at + 1, tailBytes: bytes.length - end } };
  }
}

const isSame = (a, b) => a.isApart === b.isApart && a.bytes.equals(b.bytes);

/** Lengths of the longest common subsequences of all ends of both lists. */
function commonLengths(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i][j] = isSame(a[i], b[j]) ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

/** The parts of both lists in an order that is each one's own: [part, turn], turn 0 for what both have. */
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

/**
 * Two modules as pieces in turns: of both, of the first, of the second, of both, ... Some are empty. `core` has stubs in the place of
 * what only `exportsApart` need, `apart` has [position, piece] of those. `layouts` tell for each module where the size of
 * its code is, and how many bytes follow the code.
 */
export function mergeModules(first, second, exportsApart) {
  const [a, b] = [first, second].map((module) => cut(module, exportsApart));
  const core = [];
  const apart = [];
  let turn = [];
  const endTurn = () => {
    for (const who of [0, 1, 2]) {
      const parts = turn.filter(([, ofWhom]) => ofWhom === who).map(([part]) => part);
      if (parts.some(({ isApart }) => isApart))
        apart.push([core.length, Buffer.concat(parts.map(({ bytes }) => bytes))]);
      core.push(Buffer.concat(parts.map(({ bytes, isApart }) => (isApart ? STUB : bytes))));
    }
    turn = [];
  };
  for (const [part, who] of align(a.parts, b.parts)) {
    const [last, lastWho] = turn.at(-1) ?? [part, who];
    if (last.isApart !== part.isApart || (who === 0 && lastWho !== 0)) endTurn();
    turn.push([part, who]);
  }
  endTurn();
  return { core, apart, layouts: [a.layout, b.layout] };
}
