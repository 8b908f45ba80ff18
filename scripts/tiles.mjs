// Writes assembly/gemm/tiles.ts: the register tiles of the product, R x C of C = A · B + addend for one block of k, unrolled.
//
//   rows     A is read along R rows that lie `aStep` bytes apart (a stored A[m, k], or A packed so)
//   columns  A is read as R neighbouring floats a step of k, `aStep` bytes apart (columns of a stored A[k, m])
//   B        C neighbouring floats a step of k, `bStep` bytes apart: a packed panel, or B[k, n] where it lies
//   addend   0: none; otherwise an address like c's with its own distance between rows: a row of bias (0), or C itself (cRow)
//
// A function does a whole column of tiles, `tiles` of them one below the other, so that B's panel stays in L1 and V8, which tiers up at
// calls, sees many short ones. What the form rests on, from V8's machine code:
//
// - The first step of k is peeled: accumulators start as a · b, and nothing has to be zeroed.
// - Along rows the addresses advance once in four steps, which read at constant offsets; an index for each step would take an addition
//   for each row (on Zen 4 42 GFLOP/s instead of 46). Each of the four ends in a way out, so that any k is right without a
//   loop for the rest, and because V8 before 13 moves the loads of a basic block to its top and would run out of registers.
// - Stores come last, the higher address first, in pairs: the form that V8 can merge into 256 bits.
import { writeFile } from "node:fs/promises";

const STEPS = 4;
const range = (n) => Array.from({ length: n }, (_, i) => i);
const lines = (n, line) => range(n).map(line).join("\n");
/** 1, 0, 3, 2, … */
const pairsReversed = (n) => range(n).map((i) => i ^ 1);

function tile(form, rows, columns) {
  const vectors = columns / 4;
  const alongRows = form === "rows";
  const steps = alongRows && rows >= 4 ? STEPS : 1;
  const splat = (i, step) => (alongRows ? `v128.load32_splat(a${i}, ${4 * step})` : `v128.load32_splat(a0, ${4 * i})`);
  const eachProduct = (i, line) => lines(vectors, (j) => line(`c${i}_${j}`, `b${j}`));

  const first = lines(
    rows,
    (i) => `s = ${splat(i, 0)};\n${eachProduct(i, (c, b) => `let ${c} = f32x4.mul(s, ${b});`)}`,
  );
  const next = (step) => `pb += bStep;
${alongRows ? "" : "a0 += aStep;"}
${lines(vectors, (j) => `b${j} = v128.load(pb, ${16 * j});`)}
${lines(rows, (i) => `s = ${splat(i, step)};\n${eachProduct(i, (c, b) => `${c} = multiplyAdd(s, ${b}, ${c});`)}`)}
${step < steps - 1 ? `if (left == ${step + 1}) break;` : ""}`;

  return `
export function ${form}${rows}x${columns}(
  tiles: i32, k: i32, a: usize, aStep: usize, b: usize, bStep: usize, c: usize, cRow: usize, addend: usize, addendRow: usize,
): void {
  for (; tiles > 0; tiles--) {
${lines(alongRows ? rows : 1, (i) => `let a${i} = ${i === 0 ? "a" : `a${i - 1} + aStep`};`)}
let pb = b;
let s: v128;
${lines(vectors, (j) => `let b${j} = v128.load(pb, ${16 * j});`)}
${first}
${alongRows ? lines(rows, (i) => `a${i} += 4;`) : ""}
let left = k - 1;
while (left != 0) {
${range(steps).map(next).join("\n")}
left -= ${steps};
${alongRows ? lines(rows, (i) => `a${i} += ${4 * steps};`) : ""}
}
if (addend) {
${lines(
  rows,
  (i) => `${eachProduct(i, (v) => `${v} = f32x4.add(v128.load(addend, ${16 * v.split("_")[1]}), ${v});`)}
addend += addendRow;`,
)}
}
${lines(
  rows,
  (i) =>
    `${pairsReversed(vectors)
      .map((j) => `v128.store(c, c${i}_${j}, ${16 * j});`)
      .join("\n")}\nc += cRow;`,
)}
a += ${alongRows ? `aStep * ${rows}` : 4 * rows};
  }
}
`;
}

const SIZES = {
  rows: [
    [1, 8],
    [2, 8],
    [4, 8],
    [6, 8],
    [4, 16],
    [6, 16],
  ],
  columns: [
    [1, 8],
    [2, 8],
    [4, 8],
    [4, 16],
  ],
};

export function writeTiles() {
  const tiles = Object.entries(SIZES).flatMap(([form, sizes]) => sizes.map((size) => tile(form, ...size)));
  const text = `// Written by scripts/tiles.mjs, which explains it.\n\nimport { multiplyAdd } from "../lanes";\n${tiles.join("")}`;
  return writeFile("assembly/gemm/tiles.ts", text.replace(/\n\n+/g, "\n"));
}
