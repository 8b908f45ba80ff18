import { describe, expect, it } from "vitest";
import { independentProductsAndSums, READ_FLOATS, reading } from "../../bench/loops.js";
import { millisecondsOf } from "../../bench/numbers.js";
import * as lg from "../../src/index.js";
import { Random } from "../support/random.js";

const SHAPES = 2000;
const LARGEST = 4096;
const LEAST_SHARE = 0.5;
const SHOWN = 10;
/** Rounds of a measurement; the best counts, since other processes only slow one down. */
const ROUNDS = 5;
/** A shape is under its bound only if so many measurements say so. */
const ATTEMPTS = 6;
const ROUND_MS = 0.3;

interface Shape {
  transposeA: boolean;
  transposeB: boolean;
  m: number;
  n: number;
  k: number;
}

interface Kind {
  name: string;
  reason: string;
  has(shape: Shape): boolean;
}

/** What may stay under half of the bound, the first that fits, and what limits it. */
const EXCUSED: Kind[] = [
  {
    name: "few products",
    reason: "below 2^16 of them the call, the choice of tiles and their remainders take longer than the arithmetic",
    has: ({ m, n, k }) => m * n * k < 1 << 16,
  },
  {
    name: "few columns",
    reason: "a tile of eight is computed for them, and its columns go through scratch one by one",
    has: ({ n }) => n < 8,
  },
  {
    name: "few columns that fill no tile",
    reason: "the last n mod 8 take a tile's time, and go through scratch one by one",
    has: ({ n }) => n < 64 && n % 8 !== 0,
  },
  {
    name: "short sums",
    reason: "below 16 products each, packing and the stores of a tile take longer than they do",
    has: ({ k }) => k < 16,
  },
  {
    name: "short dot products",
    reason: "eight partial sums are added up across lanes for fewer than 64 products",
    has: ({ transposeA, transposeB, m, k }) => !transposeA && transposeB && m < 16 && k < 64,
  },
  {
    name: "few rows of a transposed A",
    reason: "A, and with it a transposed B, is turned into rows or panels for too few products",
    has: ({ transposeA, m }) => transposeA && m < 16,
  },
];

const loop = independentProductsAndSums(8, 16);
const LOOP_TURNS = 1000;
const LOOP_FLOP = 2 * 8 * 4 * 16 * LOOP_TURNS;

/** The largest shapes fit once: `measure` tells how much of its bound a product reaches. */
class Bounds implements Disposable {
  readonly #engine = lg.createEngine();
  readonly #operands: number[];
  readonly #read: ReturnType<typeof reading>;
  readonly lanes: number;

  constructor() {
    const { linear } = this.#engine;
    this.#engine.warmUp();
    this.lanes = this.#engine.wide ? 2 : 1;
    this.#read = reading(linear.memory);
    const random = new Random(1);
    const numbers = random.values(LARGEST * LARGEST);
    this.#operands = [1, 2, 3].map(() => linear.allocate(4 * LARGEST * LARGEST));
    for (const address of this.#operands) linear.f32.set(numbers, address >>> 2);
    for (let i = 0; i < 1000; i++) loop(LOOP_TURNS, 1);
  }

  get name(): string {
    return `Node ${process.versions.node}, ${this.#engine.kernels}${this.lanes > 1 ? ", wide" : ""}`;
  }

  /** The larger of the times of moving its operands once and of its arithmetic in registers, as a share of its own. */
  measure({ transposeA, transposeB, m, n, k }: Shape): number {
    const { ops } = this.#engine;
    const [a, b, c] = this.#operands;
    const read = (address: number, floats: number) => this.#read(Math.ceil(floats / READ_FLOATS), address);
    const product = () =>
      ops.gemm(transposeA, transposeB, m, n, k, a, transposeA ? m : k, b, transposeB ? k : n, c, n, 0, false);
    const move = () => {
      read(a, m * k);
      read(b, k * n);
      ops.fill(m * n, c, 0);
    };
    const limit = () => loop(LOOP_TURNS, 1);
    const [own, moving, arithmetic] = bestOf([product, move, limit]);
    return Math.max(moving, (arithmetic * 2 * m * n * k) / LOOP_FLOP / this.lanes) / own;
  }

  [Symbol.dispose](): void {
    for (const address of this.#operands) this.#engine.linear.free(address);
    this.#engine.dispose();
  }
}

/** Milliseconds a call, the least of some rounds in which the calls take turns. */
function bestOf(calls: (() => unknown)[]): number[] {
  const counts = calls.map((call) => Math.ceil(ROUND_MS / Math.max(1e-4, millisecondsOf(call))));
  const best = calls.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < ROUNDS; round++) {
    calls.forEach((call, i) => {
      const milliseconds = millisecondsOf(() => {
        for (let left = counts[i]; left > 0; left--) call();
      });
      best[i] = Math.min(best[i], milliseconds / counts[i]);
    });
  }
  return best;
}

/** Sizes log-uniform from 1 to LARGEST. */
function randomShape(random: Random): Shape {
  const size = () => Math.floor(Math.exp(random.next() * Math.log(LARGEST + 1)));
  return { transposeA: random.next() < 0.5, transposeB: random.next() < 0.5, m: size(), n: size(), k: size() };
}

const textOf = ({ transposeA, transposeB, m, n, k }: Shape, share: number): string =>
  `${`A${transposeA ? "ᵀ" : ""}·B${transposeB ? "ᵀ" : ""}`.padEnd(6)} m ${m}, n ${n}, k ${k}: ${(100 * share).toFixed(0)} % of the bound`;

describe("products of random shapes against what memory and lanes allow", () => {
  it(`${SHAPES} shapes reach half of their bound, or are of a kind that is known not to`, () => {
    const seed = Number(process.env.LANEGRAD_SEED ?? Date.now() % 2 ** 31);
    const random = new Random(seed);
    using bounds = new Bounds();
    const measured = Array.from({ length: SHAPES }, () => {
      const shape = randomShape(random);
      let share = bounds.measure(shape);
      for (let i = 1; i < ATTEMPTS && share < LEAST_SHARE; i++) share = Math.max(share, bounds.measure(shape));
      return { shape, share, kind: EXCUSED.find((kind) => kind.has(shape)) };
    }).sort((a, b) => a.share - b.share);

    const under = measured.filter(({ share }) => share < LEAST_SHARE);
    const unexpected = measured.filter(({ kind }) => kind === undefined);
    const worst = unexpected.slice(0, SHOWN).map(({ shape, share }) => textOf(shape, share));
    const excused = EXCUSED.flatMap((kind) => {
      const [first, ...others] = under.filter((each) => each.kind === kind);
      return first === undefined
        ? []
        : [
            `${kind.name}: ${kind.reason}. ${1 + others.length} under half, the worst ${textOf(first.shape, first.share)}`,
          ];
    });
    console.info([`${bounds.name}, seed ${seed}. The worst ${SHOWN}:`, ...worst, "Known:", ...excused].join("\n"));
    expect(
      unexpected.filter(({ share }) => share < LEAST_SHARE).map(({ shape, share }) => textOf(shape, share)),
    ).toEqual([]);
  });
});
