import { Random } from "../../support/random.js";

// Random functions in the forms of our kernels, as WebAssembly text: pairs of vectors are loaded, computed with and stored beside each
// other, in straight lines, loops and branches.
//
// The bits of a NaN are V8's affair: they may differ between two compilations of one function. Values have types, so that these bits never
// become numbers: each type has registers and a part of memory of its own, and a float's bits are taken as an integer's only where the
// float is a number.

/** Floats, integers, masks of all ones or zeros, doubles. */
type Type = "F" | "I" | "M" | "D";

interface Operation {
  readonly name: string;
  readonly result: Type;
  readonly operands: readonly Type[];
}

const take = (result: Type, operands: string, names: string): Operation[] =>
  names.split(" ").map((name) => ({ name, result, operands: [...operands] as Type[] }));

const OPERATIONS: readonly Operation[] = [
  ...take("F", "F", "f32x4.neg f32x4.abs f32x4.sqrt f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest"),
  ...take("F", "FF", "f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax"),
  ...take("F", "FFF", "f32x4.relaxed_madd f32x4.relaxed_nmadd"),
  ...take("F", "FFM", "v128.bitselect"),
  ...take("F", "FM", "v128.and v128.andnot"),
  ...take("F", "I", "f32x4.convert_i32x4_s f32x4.convert_i32x4_u"),
  ...take("F", "D", "f32x4.demote_f64x2_zero"),
  ...take("M", "FF", "f32x4.eq f32x4.ne f32x4.lt f32x4.le f32x4.gt f32x4.ge"),
  ...take("M", "II", "i32x4.eq i32x4.ne i32x4.lt_s i32x4.gt_s i32x4.le_s i32x4.ge_s"),
  ...take("M", "MM", "v128.and v128.or v128.xor v128.andnot"),
  ...take("M", "M", "v128.not"),
  ...take("I", "I", "i32x4.neg i32x4.abs v128.not"),
  ...take("I", "II", "i32x4.add i32x4.sub i32x4.mul i32x4.min_s i32x4.max_s v128.and v128.or v128.xor v128.andnot"),
  ...take("I", "IIM", "v128.bitselect"),
  ...take("I", "F", "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u"),
  ...take("D", "F", "f64x2.promote_low_f32x4"),
  ...take("D", "D", "f64x2.neg f64x2.abs f64x2.sqrt"),
  ...take("D", "DD", "f64x2.add f64x2.sub f64x2.mul f64x2.div"),
];
const SHIFTS = ["i32x4.shl", "i32x4.shr_s", "i32x4.shr_u"];
/** These have statements of their own, in every function. */
const ALWAYS = [
  "v128.load v128.store v128.const v128.load32_splat v128.load32_zero v128.load64_zero v128.load32_lane",
  "v128.store32_lane v128.store64_lane f32x4.splat i32x4.splat f32x4.extract_lane f64x2.extract_lane i32x4.extract_lane",
].flatMap((names) => names.split(" "));

/** What functions of a build, as text, are made of. An operation that is not known here is an error: it would never be tried. */
export function vocabularyOf(code: string): string[] {
  const known = new Set([...OPERATIONS.map(({ name }) => name), ...SHIFTS, ...ALWAYS]);
  const used = [...new Set(code.match(/\b(?:v128|[if]\d+x\d+)\.\w+/g))];
  const unknown = used.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new Error(`kernels to be widened use ${unknown.join(", ")}: teach them to functions.ts`);
  return used;
}

/** What functions are like beside the operations that they hold. */
export interface Style {
  /** How many pairs of vectors of each type live from the start of a function to its end. */
  readonly pairs: Readonly<Record<Type, number>>;
  readonly shuffles: boolean;
}

/** 14 vectors that a loop carries. With 16 V8 13.6 loses half of one in a function of 20,000: function 34 of seed 276. */
const FEW = { F: 3, I: 2, M: 1, D: 1 };
export const STYLES = {
  /** As our kernels: few values at a time, no shuffles. */
  ours: { pairs: FEW, shuffles: false },
  /** More values than registers: parts of them are lost when they are moved. */
  crowded: { pairs: { F: 6, I: 3, M: 2, D: 2 }, shuffles: false },
  shuffled: { pairs: FEW, shuffles: true },
} satisfies Record<string, Style>;

const TYPES: readonly Type[] = ["F", "I", "M", "D"];
/** Where each type lies in memory; masks are stored with integers. */
const POINTERS: Record<Type, readonly string[]> = { F: ["$p0", "$p1", "$p2"], I: ["$q"], M: ["$q"], D: ["$r"] };
const OFFSETS = [0, 16, 32, 48, 64, 96, 128, 4, 8, 20];
/** Doubles lie at multiples of 8. */
const EVEN_OFFSETS = [0, 16, 32, 48, 64, 96, 128, 8, 24];
const LANES = [0, 1, 2, 3];
/** Shuffles that V8's pass knows of, and others; none is in a kernel that is widened. */
const SHUFFLES = [
  [0, 4, 1, 5],
  [2, 6, 3, 7],
  [0, 1, 4, 5],
  [0, 0, 0, 0],
  [3, 2, 1, 0],
  [0, 2, 4, 6],
  [1, 3, 5, 7],
];

/** One half of a pair: 0 is at the lower address. */
type Half = 0 | 1;
const HALVES = [0, 1] as const;

const local = (type: Type, index: number, half: Half): string => `$${type}${index}${half === 0 ? "low" : "high"}`;

export class FunctionWriter {
  readonly #random: Random;
  readonly #operations: readonly Operation[];
  readonly #shifts: readonly string[];
  readonly #style: Style;

  constructor(seed: number, vocabulary: readonly string[], style: Style) {
    this.#random = new Random(seed);
    this.#operations = OPERATIONS.filter(({ name }) => vocabulary.includes(name));
    this.#shifts = SHIFTS.filter((name) => vocabulary.includes(name));
    this.#style = style;
  }

  /** A module of `count` functions (p0, p1, p2, q, r, turns: i32), exported as "0", "1", ..., over an imported page of memory. */
  module(count: number): string {
    const functions = Array.from({ length: count }, (_, index) => this.#function(index));
    return `(module (import "env" "memory" (memory 1))\n${functions.join("\n")})`;
  }

  #function(index: number): string {
    const pairs = TYPES.flatMap((type) =>
      Array.from({ length: this.#style.pairs[type] }, (_, i) => [type, i] as const),
    );
    const locals = pairs.flatMap(([type, i]) => HALVES.map((half) => `(local ${local(type, i, half)} v128)`));
    const end = (pointers: readonly string[]): string[] =>
      pointers.map((pointer) => this.#advance(pointer, [0, 16, 32, 64]));
    const body = [
      ...pairs.flatMap(([type, i]) => (type === "M" ? [] : this.#load(type, i, POINTERS[type][0], i * 32))),
      ...this.#statements(0, 5),
      "(block $end (loop $next (br_if $end (i32.eqz (local.get $turns)))",
      ...this.#statements(4, 18),
      ...end(["$p0", "$p1", "$q", "$r"]),
      "(local.set $turns (i32.sub (local.get $turns) (i32.const 1))) (br $next)))",
      ...this.#statements(0, 5),
      ...pairs.flatMap(([type, i]) =>
        this.#store(type, i, POINTERS[type].at(-1)!, (type === "M" ? 3 + i : i) * 32, 16),
      ),
    ];
    const parameters = ["$p0", "$p1", "$p2", "$q", "$r", "$turns"].map((name) => `(param ${name} i32)`);
    return `(func (export "${index}") ${parameters.join(" ")} (local $t0 v128) (local $t1 v128)
      ${locals.join(" ")}\n${body.join("\n")})`;
  }

  #statements(least: number, most: number, depth = 0): string[] {
    return Array.from({ length: this.#random.integer(least, most) }).flatMap(() => this.#statement(depth));
  }

  #chance(share: number): boolean {
    return this.#random.next() < share;
  }

  #statement(depth: number): string[] {
    const random = this.#random;
    const type = random.pick(["F", "F", "F", "F", "I", "D"] as const);
    const [i, pointer] = [this.#index(type), random.pick(POINTERS[type])];
    const offset = random.pick(type === "D" ? EVEN_OFFSETS : OFFSETS);
    const choice = random.integer(0, 99);
    if (choice < 16) return this.#load(type, i, pointer, offset);
    if (choice < 24) return this.#splat();
    if (choice < 60) return this.#compute();
    if (choice < 66) return this.#reinterpret();
    if (choice < 69) return this.#constant(random.pick(["F", "I"] as const));
    if (choice < 72 && this.#style.shuffles) return this.#shuffle();
    if (choice < 87) return this.#store(type, i, pointer, offset, this.#chance(0.85) ? 16 : random.pick([8, 24, 32]));
    if (choice < 91) return [this.#single()];
    if (choice < 95) return [this.#advance(pointer, type === "D" ? [0, 16, 32] : [0, 4, 16, 32])];
    return depth < 2 ? this.#branch(depth) : [];
  }

  #index(type: Type): number {
    return this.#random.integer(0, this.#style.pairs[type] - 1);
  }

  #advance(pointer: string, steps: readonly number[]): string {
    return `(local.set ${pointer} (i32.add (local.get ${pointer}) (i32.const ${this.#random.pick(steps)})))`;
  }

  /** Both halves set, in either order. */
  #pair(type: Type, i: number, value: (half: Half) => string): string[] {
    const set = HALVES.map((half) => `(local.set ${local(type, i, half)} ${value(half)})`);
    return this.#chance(0.15) ? set.reverse() : set;
  }

  /** Both halves computed from what was there before, then set. */
  #assign(type: Type, i: number, value: (half: Half) => string): string[] {
    return [
      ...HALVES.map((half) => `(local.set $t${half} ${value(half)})`),
      ...HALVES.map((half) => `(local.set ${local(type, i, half)} (local.get $t${half}))`),
    ];
  }

  #load(type: Type, i: number, pointer: string, offset: number): string[] {
    const gap = this.#chance(0.85) ? 16 : this.#random.pick([0, 8, 24, 32]);
    return this.#pair(type, i, (half) => `(v128.load offset=${offset + half * gap} (local.get ${pointer}))`);
  }

  /** One number for both halves, as in a row of a product, or two. */
  #splat(): string[] {
    const [pointer, offset] = [this.#random.pick(POINTERS.F), this.#random.pick(OFFSETS)];
    const gap = this.#chance(0.8) ? 0 : 4;
    const isLoad = this.#chance(0.7);
    return this.#pair("F", this.#index("F"), (half) => {
      const from = `offset=${offset + half * gap} (local.get ${pointer})`;
      return isLoad ? `(v128.load32_splat ${from})` : `(f32x4.splat (f32.load ${from}))`;
    });
  }

  #compute(): string[] {
    if (this.#shifts.length > 0 && this.#chance(0.08)) return this.#shift();
    const { name, result, operands } = this.#random.pick(this.#operations);
    const indices = operands.map((type) => this.#index(type));
    // now and then the halves are crossed, or both take the same operand
    const crossed = this.#chance(0.06) ? operands.length - 1 : -1;
    const shared = this.#chance(0.06) ? 0 : -1;
    return this.#assign(result, this.#index(result), (half) => {
      const values = operands.map((type, place) => {
        const from = place === shared ? 0 : place === crossed ? ((1 - half) as Half) : half;
        return `(local.get ${local(type, indices[place], from)})`;
      });
      return `(${name} ${values.join(" ")})`;
    });
  }

  #shift(): string[] {
    const [name, i] = [this.#random.pick(this.#shifts), this.#index("I")];
    const count = this.#chance(0.7) ? `(i32.const ${this.#random.pick([1, 8, 9, 23, 31])})` : "(local.get $turns)";
    return this.#assign("I", this.#index("I"), (half) => `(${name} (local.get ${local("I", i, half)}) ${count})`);
  }

  /** The bits of an integer as a float's, of a mask as an integer's, of a float that is a number as an integer's. */
  #reinterpret(): string[] {
    const [f, i, m] = [this.#index("F"), this.#index("I"), this.#index("M")];
    const get = (type: Type, index: number, half: Half): string => `(local.get ${local(type, index, half)})`;
    return this.#random.pick([
      () => this.#assign("F", f, (half) => get("I", i, half)),
      () => this.#assign("I", i, (half) => get("M", m, half)),
      () =>
        this.#assign("I", i, (half) => {
          const float = get("F", f, half);
          return `(v128.bitselect ${float} ${get("I", i, half)} (f32x4.eq ${float} ${float}))`;
        }),
    ])();
  }

  /** The same in all lanes, as thresholds and coefficients are; now and then not. */
  #constant(type: Type): string[] {
    const bits = this.#random.integer(0, 2 ** 32 - 1) | 0;
    const lanes = this.#chance(0.7) ? [bits, bits, bits, bits] : [0, 1, 2, bits];
    return this.#pair(type, this.#index(type), () => `(v128.const i32x4 ${lanes.join(" ")})`);
  }

  #shuffle(): string[] {
    const random = this.#random;
    const lanes = this.#chance(0.7) ? random.pick(SHUFFLES) : LANES.map(() => random.integer(0, 7));
    const bytes = lanes.flatMap((lane) => LANES.map((byte) => lane * 4 + byte)).join(" ");
    const [i, j] = [this.#index("F"), this.#index("F")];
    const get = (index: number, half: Half): string => `(local.get ${local("F", index, half)})`;
    return this.#assign("F", this.#index("F"), (half) => `(i8x16.shuffle ${bytes} ${get(i, half)} ${get(j, half)})`);
  }

  #store(type: Type, i: number, pointer: string, offset: number, gap: number): string[] {
    const stores = HALVES.map(
      (half) => `(v128.store offset=${offset + half * gap} (local.get ${pointer}) (local.get ${local(type, i, half)}))`,
    );
    return this.#chance(0.6) ? stores.reverse() : stores;
  }

  /** What stands at tails: one vector of floats, or some of its lanes. */
  #single(): string {
    const random = this.#random;
    const value = `(local.get ${local("F", this.#index("F"), random.pick(HALVES))})`;
    const [to, offset, lane] = [`(local.get ${random.pick(POINTERS.F)})`, random.pick(OFFSETS), random.pick(LANES)];
    return random.pick([
      `(v128.store offset=${offset} ${to} ${value})`,
      `(v128.store32_lane offset=${offset} ${lane} ${to} ${value})`,
      `(v128.store64_lane offset=${offset} 0 ${to} ${value})`,
      `(f32.store offset=${offset} ${to} (f32x4.extract_lane ${lane} ${value}))`,
      `(local.set ${local("F", this.#index("F"), 0)} (v128.load32_lane offset=${offset} ${lane} ${to} ${value}))`,
      `(local.set ${local("F", this.#index("F"), 1)} (v128.load64_zero offset=${offset} ${to}))`,
    ]);
  }

  #branch(depth: number): string[] {
    const bit = 1 << this.#random.integer(0, 1);
    const [then, otherwise] = [this.#statements(1, 5, depth + 1), this.#statements(0, 2, depth + 1)];
    return [
      `(if (i32.and (local.get $turns) (i32.const ${bit})) (then ${then.join("\n")}) (else ${otherwise.join("\n")}))`,
    ];
  }
}
