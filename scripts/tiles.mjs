// Writes assembly/gemm/tiles.ts: the register tiles of the product, unrolled.
//
//   rowsRxC   R x C of C = A · B + addend over a block of k. A is read along R rows, `aRow` bytes apart; B as C neighbouring floats a step
//             of k, `bStep` bytes apart: a packed panel, or B[k, n] where it lies. `addend` is 0 for none, or the address of
//             the rows to add, `addendRow` bytes apart: 0 for a bias, cRow for C itself. `...Next` is how far the next tile is.
//   addsRxC   the same over a few steps of k, where the sums go on from scratch: sums[n / C][m][C], `sumsNext` bytes a block of columns. All
//             rows of A use a block of B, read where it lies, before the next block.
//   dotsRxQ   the partial sums of R x Q outputs of A · Bᵀ, where A and B both lie contiguous along k: output (r, q) has eight of them, k
//             mod 8, in two vectors at sums + r · sumsRow + 32 q, which go on from what is there. The two are computed `together`, which V8 merges but which
//             needs too many registers at 128 bits, `apart` in two basic blocks, or only `one` of them for twice as many outputs.
//   additions  what calibration measures
//
// Why they look as they do, from V8's machine code:
//
// - A function computes `tiles` tiles below each other (the ir loop: B's panel stays in L1) or beside each other (the jr loop), and V8,
//   which tiers up at calls, gets many short ones.
// - The first step of k is peeled: sums start as a · b instead of 0.
// - Addresses advance once in four steps, which read at constant offsets; an index for each step would take an addition for each row (on
//   Zen 4 42 GFLOP/s instead of 46; tall tiles with multiply-add in one instruction hide it). Each of the four ends in a way out, so
//   that any length is right without a loop for the rest, and because V8 before 13 moves the loads of a basic block to its top and
//   would run out of registers.
// - Stores come last, the higher address first, in pairs: the form that V8 can merge into 256 bits.
import { writeFile } from "node:fs/promises";

const STEPS = 4;
/** Vectors of B that a basic block reads. */
const GROUP = 4;
/** Begins a new basic block. */
const NEVER = "if (left < 0) break;";
const range = (n) => Array.from({ length: n }, (_, i) => i);
const lines = (n, line) => range(n).map(line).join("\n");
/** 1, 0, 3, 2, … */
const pairsReversed = (n) => range(n).map((i) => i ^ 1);

/** The steps after the first: `step(i)` reads the i-th of four, `advance` moves the addresses on by `steps` of them. */
const loop = (left, steps, step, advance) => `let left = ${left};
while (left != 0) {
${range(steps)
  .map((i) => step(i) + (i < steps - 1 ? `\nif (left == ${i + 1}) break;` : ""))
  .join("\n")}
left -= ${steps};
${advance(steps)}
}`;

const accumulate = (sum, a, b, isFirst) =>
  isFirst ? `let ${sum} = f32x4.mul(${a}, ${b});` : `${sum} = multiplyAdd(${a}, ${b}, ${sum});`;

/** Unrolling gains most at four rows; for long rows two steps suffice. Flat tiles are for remainders; tall ones have enough to do. */
const stepsOf = (rows, columns) => (rows === 4 ? STEPS : columns >= 32 ? 2 : 1);

function rowsTile(rows, columns) {
  const vectors = columns / 4;
  const groups = Math.ceil(vectors / GROUP);
  const size = vectors / groups;
  const products = (
    offset,
    group,
    isFirst,
  ) => `${lines(size, (j) => `${isFirst && group === 0 ? "let " : ""}b${j} = v128.load(pb, ${16 * (group * size + j)});`)}
${lines(
  rows,
  (i) => `${isFirst && group === 0 && i === 0 ? "let " : ""}s = v128.load32_splat(a${i}, ${4 * offset});
${lines(size, (j) => accumulate(`c${i}_${group * size + j}`, "s", `b${j}`, isFirst))}`,
)}`;
  const step = (offset, isFirst) => `${isFirst ? "" : "pb += bStep;"}
${range(groups)
  .map((group) => products(offset, group, isFirst))
  .join(isFirst ? "\n" : `\n${NEVER}\n`)}`;
  const advance = (steps) => lines(rows, (i) => `a${i} += ${4 * steps};`);
  return `export function rows${rows}x${columns}(
  tiles: i32, k: i32, a: usize, aRow: usize, aNext: usize, b: usize, bStep: usize, bNext: usize,
  c: usize, cRow: usize, cNext: usize, addend: usize, addendRow: usize, addendNext: usize,
): void {
for (; tiles > 0; tiles--) {
let pb = b;
let to = c;
let plus = addend;
${lines(rows, (i) => `let a${i} = ${i === 0 ? "a" : `a${i - 1} + aRow`};`)}
${step(0, true)}
${advance(1)}
${loop("k - 1", stepsOf(rows, columns), (i) => step(i, false), advance)}
if (addend) {
${lines(rows, (i) => `${lines(vectors, (j) => `c${i}_${j} = f32x4.add(v128.load(plus, ${16 * j}), c${i}_${j});`)}\nplus += addendRow;`)}
}
${lines(
  rows,
  (i) =>
    `${pairsReversed(vectors)
      .map((j) => `v128.store(to, c${i}_${j}, ${16 * j});`)
      .join("\n")}\nto += cRow;`,
)}
a += aNext;
b += bNext;
c += cNext;
if (addend) addend += addendNext;
}
}`;
}

function addsTile(rows, columns) {
  const vectors = range(columns / 4);
  const sums = range(rows).flatMap((i) => vectors.map((j) => ({ name: `c${i}_${j}`, at: 4 * (i * columns + 4 * j) })));
  const step = (
    offset,
  ) => `${offset ? "pb += bRow;\n" : ""}${vectors.map((j) => `b${j} = v128.load(pb, ${16 * j});`).join("\n")}
${lines(
  rows,
  (i) => `s = v128.load32_splat(a${i}, ${4 * offset});
${vectors.map((j) => accumulate(`c${i}_${j}`, "s", `b${j}`, false)).join("\n")}`,
)}`;
  const advance = (steps) => `pb += bRow;\n${lines(rows, (i) => `a${i} += ${4 * steps};`)}`;
  return `export function adds${rows}x${columns}(
  blocks: i32, tiles: i32, k: i32, a: usize, aRow: usize, b: usize, bRow: usize, sums: usize, sumsNext: usize,
): void {
${vectors.map((j) => `let b${j}: v128;`).join("\n")}
let s: v128;
for (; blocks > 0; blocks--) {
let pa = a;
let to = sums;
for (let tile = tiles; tile > 0; tile--) {
let pb = b;
${lines(rows, (i) => `let a${i} = ${i === 0 ? "pa" : `a${i - 1} + aRow`};`)}
${sums.map(({ name, at }) => `let ${name} = v128.load(to, ${at});`).join("\n")}
${loop("k", STEPS, step, advance)}
${pairsReversed(sums.length)
  .map((i) => `v128.store(to, ${sums[i].name}, ${sums[i].at});`)
  .join("\n")}
pa += aRow * ${rows};
to += ${4 * rows * columns};
}
b += ${4 * columns};
sums += sumsNext;
}
}`;
}

function dotsTile(rows, columns, form) {
  const vectors = form === "one" ? [0] : [0, 1];
  const load = (target, base, step, u) => `${target} = v128.load(${base}, ${32 * step + 16 * u});`;
  const products = (
    at,
    halves,
  ) => `${lines(rows, (r) => halves.map((u) => load(`x${r}_${u}`, `a${r}`, at, u)).join("\n"))}
${lines(
  columns,
  (q) => `${halves.map((u) => load(`y${u}`, `b${q}`, at, u)).join("\n")}
${lines(rows, (r) => halves.map((u) => accumulate(`c${r}_${q}_${u}`, `x${r}_${u}`, `y${u}`, false)).join("\n"))}`,
)}`;
  const step = (at) =>
    form === "apart" ? vectors.map((u) => products(at, [u])).join(`\n${NEVER}\n`) : products(at, vectors);
  const advance = (steps) =>
    `${lines(rows, (r) => `a${r} += ${32 * steps};`)}\n${lines(columns, (q) => `b${q} += ${32 * steps};`)}`;
  return `export function dots${rows}x${columns}${form === "one" ? "half" : ""}(
  tiles: i32, eighths: i32, a: usize, aRow: usize, b: usize, bRow: usize, sums: usize, sumsRow: usize,
): void {
${vectors.map((u) => `let y${u}: v128;\n${lines(rows, (r) => `let x${r}_${u}: v128;`)}`).join("\n")}
for (; tiles > 0; tiles--) {
let next = sums;
${lines(rows, (r) => `let a${r} = ${r === 0 ? "a" : `a${r - 1} + aRow`};`)}
${lines(columns, (q) => `let b${q} = ${q === 0 ? "b" : `b${q - 1} + bRow`};`)}
${lines(
  rows,
  (r) =>
    `${lines(columns, (q) => vectors.map((u) => `let c${r}_${q}_${u} = v128.load(next, ${32 * q + 16 * u});`).join("\n"))}
next += sumsRow;`,
)}
${loop("eighths", form === "one" ? STEPS : 2, step, advance)}
${lines(
  rows,
  (r) =>
    `${lines(columns, (q) =>
      vectors
        .toReversed()
        .map((u) => `v128.store(sums, c${r}_${q}_${u}, ${32 * q + 16 * u});`)
        .join("\n"),
    )}\nsums += sumsRow;`,
)}
a += aRow * ${rows};
}
}`;
}

/**
 * What calibration measures: additions in registers of vectors that lie `together` or apart. Both are in one function, so that the same
 * compiler compiles both.
 */
function additions() {
  const vectors = range(12);
  const sums = (apart) => `${vectors.map((j) => `let s${j} = v128.load(from, ${apart * j});`).join("\n")}
for (let left = 128; left > 0; left--) {
${vectors.map((j) => `s${j} = f32x4.add(s${j}, s${j});`).join("\n")}
}
${pairsReversed(vectors.length)
  .map((j) => `v128.store(to, s${j}, ${apart * j});`)
  .join("\n")}`;
  return `export function additions(together: bool, repeats: i32, from: usize, to: usize): void {
for (; repeats > 0; repeats--) {
if (together) {
${sums(16)}
} else {
${sums(32)}
}
}
}`;
}

const TILES = [
  rowsTile(1, 8),
  rowsTile(2, 8),
  rowsTile(4, 8),
  rowsTile(6, 8),
  rowsTile(4, 16),
  rowsTile(6, 16),
  rowsTile(1, 32),
  rowsTile(1, 64),
  addsTile(1, 8),
  addsTile(4, 8),
  addsTile(1, 16),
  addsTile(4, 16),
  dotsTile(2, 4, "one"),
  dotsTile(2, 4, "together"),
  dotsTile(1, 4, "apart"),
  dotsTile(1, 8, "together"),
  dotsTile(2, 2, "apart"),
  additions(),
];

export function writeTiles() {
  const head = `// Written by scripts/tiles.mjs, which explains it.\n\nimport { multiplyAdd } from "../lanes";\n`;
  return writeFile("assembly/gemm/tiles.ts", `${head}\n${TILES.join("\n\n").replace(/\n\n+(?!export)/g, "\n")}\n`);
}
