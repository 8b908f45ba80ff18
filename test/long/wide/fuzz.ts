/**
 * node --import tsx fuzz.ts FUNCTIONS: V8's pass that widens kernels, tried on random functions in the forms of our kernels and compared
 * with the same functions as V8 compiles them by itself. Ends with 1 where results differ.
 */
import binaryen from "binaryen";
import "../../../src/index.js";
import { codesOf } from "../../../src/kernels/codes.js";
import type { WasmKernelSet } from "../../../src/kernels/modules.js";
import { isAvailable } from "../../../src/kernels/wasm.js";
import { compileWide } from "../../../src/kernels/wide/compile.js";
import { widen } from "../../../src/kernels/wide/wide.js";
import { Random } from "../../support/random.js";
import { FunctionWriter, STYLES, type Style, vocabularyOf } from "./functions.js";

const FUNCTIONS_A_MODULE = 40;
const BYTES = 65_536;
const TURNS = [0, 1, 2, 3, 5, 7, 1, 4, 9, 2];

const SPECIALS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-40, -1e-40, 3e38, -3e38, 1];

/** Memory is floats for pointers p, integers for q, doubles for r. */
const INTEGERS = 32_768;
const DOUBLES = 49_152;

/** What memory holds before each call: ordinary numbers, special ones, and bits of any kind. */
function makeImage(random: Random): Uint32Array {
  const image = new Float32Array(BYTES / 4);
  const words = new Uint32Array(image.buffer);
  const doubles = new Float64Array(image.buffer);
  const draw = (ordinary: () => number): number => (random.next() < 0.1 ? random.pick(SPECIALS) : ordinary());
  for (let i = 0; i < INTEGERS / 4; i++) {
    if (random.next() < 0.15) words[i] = random.integer(0, 2 ** 32 - 1);
    else image[i] = draw(() => (random.next() - 0.5) * 16);
  }
  for (let i = INTEGERS / 4; i < DOUBLES / 4; i++) {
    words[i] = random.next() < 0.5 ? random.integer(0, 2 ** 32 - 1) : random.integer(-20, 200);
  }
  for (let i = DOUBLES / 8; i < BYTES / 8; i++) doubles[i] = draw(() => (random.next() - 0.5) * 16);
  return words;
}

/** Addresses p0, p1, p2, q and r: those of floats apart, the same, overlapping. */
function addresses(random: Random, run: number): number[] {
  const base = 1024 + random.integer(0, 400) * 16;
  const floats = [
    [base, base + 8192, base + 16_384],
    [base, base, base],
    [base, base + 16, base + 32],
    [base + 32, base, base + 8],
    [base + 4, base + 12, base + 64],
    [base, base + 8192, base],
    [base, base + 8192, base + 8192],
  ];
  const [q, r] = [INTEGERS, DOUBLES].map((start) => start + random.integer(0, 200) * 16);
  return [...floats[run % floats.length], q, r];
}

type Runnable = (...args: number[]) => void;

interface Instance {
  readonly words: Uint32Array;
  readonly functions: Record<string, Runnable>;
}

function instantiate(compile: (memory: WebAssembly.Memory) => WebAssembly.Module[]): Instance {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const [module] = compile(memory);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { words: new Uint32Array(memory.buffer), functions: exports as unknown as Instance["functions"] };
}

/** Whether two memories hold the same, NaN being NaN. */
function isSameMemory(a: Uint32Array, b: Uint32Array): boolean {
  const floats = new Float32Array(b.buffer);
  const doubles = [a, b].map(({ buffer }) => new Float64Array(buffer));
  const isNaNInBoth = (i: number): boolean => {
    if (i < INTEGERS / 4) return Number.isNaN(floats[i]) && (a[i] & 0x7fff_ffff) > 0x7f80_0000;
    return i >= DOUBLES / 4 && doubles.every((values) => Number.isNaN(values[i >>> 1]));
  };
  return a.every((word, i) => word === b[i] || isNaNInBoth(i));
}

/** Of `count` random functions those that give other results when they are widened, each as what it takes to write it again. */
function findDifferences(vocabulary: readonly string[], style: Style, count: number): string[] {
  const random = new Random(1);
  const image = makeImage(random);
  const differing: string[] = [];
  for (let seed = 0; seed * FUNCTIONS_A_MODULE < count; seed++) {
    const bytes = assemble(new FunctionWriter(seed, vocabulary, style).module(FUNCTIONS_A_MODULE));
    const all = Array.from({ length: FUNCTIONS_A_MODULE }, (_, index) => index);
    // by the same compiler, without the pass
    const normal = instantiate((memory) => compileWide([{ bytes, widening: [] }], memory));
    const wide = instantiate((memory) => compileWide([{ bytes, widening: all }], memory));
    for (const index of all) {
      const isSame = TURNS.every((turns, run) => {
        const places = addresses(random, run);
        for (const { words, functions } of [normal, wide]) {
          words.set(image);
          functions[index](...places, turns);
        }
        return isSameMemory(normal.words, wide.words);
      });
      if (!isSame) differing.push(`function ${index} of seed ${seed}`);
    }
  }
  return differing;
}

function assemble(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const bytes = new Uint8Array(module.emitBinary());
  module.dispose();
  return bytes;
}

/** The text of the functions of a set that may be widened. */
function widenableCode(set: WasmKernelSet): string {
  const texts = codesOf(set, true).map(({ bytes, widening }) => {
    const functions = disassemble(bytes)
      .split(/^ \(func /m)
      .slice(1);
    return widening.map((index) => functions[index]);
  });
  return texts.flat().join("\n");
}

function disassemble(bytes: Uint8Array): string {
  const module = binaryen.readBinary(bytes);
  const text = module.emitText();
  module.dispose();
  return text;
}

/** Where nothing is widened, nothing can differ. */
function assertWidens(): void {
  const attempt = widen("simd");
  if ("reason" in attempt) throw new Error(`kernels are not widened here: ${attempt.reason}`);
}

/** So many functions of a faulty style show that the fuzzer finds what there is. */
const CONTROLS = 2000;

/** What V8 is known to get wrong, by version; our kernels stay clear of it. */
const FAULTS: Record<string, readonly (keyof typeof STYLES)[]> = {
  "13.6": ["crowded", "shuffled"],
  "14.6": ["crowded"],
};

function main(count: number): void {
  assertWidens();
  const sets = (["simd", "relaxed-simd"] as const).filter(isAvailable);
  const vocabulary = vocabularyOf(sets.map(widenableCode).join("\n"));
  const { node, v8 } = process.versions;
  console.log(`Node ${node}, V8 ${v8}: functions of ${vocabulary.length} operations that are wrong when widened`);
  for (const name of Object.keys(STYLES) as (keyof typeof STYLES)[]) {
    const tried = name === "ours" ? count : CONTROLS;
    const differing = findDifferences(vocabulary, STYLES[name], tried);
    console.log(`  ${name}: ${differing.length} of ${tried}`);
    if (name === "ours" && differing.length > 0) throw new Error(differing.join("\n"));
    const isKnown = FAULTS[v8.split(".", 2).join(".")]?.includes(name);
    if (isKnown && differing.length === 0) throw new Error(`${name}: a known fault was not found: the fuzzer is blind`);
  }
}

main(Number(process.argv[2] ?? 20_000));
