import { runInNewContext } from "node:vm";
import * as lg from "lanegrad";
import { describe, expect, it, test } from "vitest";
import { Random } from "./support/random.js";
import { expectRefusal, refusal, wrong } from "./support/state.js";

type Rows = number[][];

const engine = lg.createEngine({ kernels: "js" });
const random = new Random(3);

const rowsOf = (count: number, axes: number, value: (axis: number) => number): Rows =>
  Array.from({ length: count }, () => Array.from({ length: axes }, (_, axis) => value(axis)));

/** Rows of independent values, mixed so that no two axes are. */
function correlated(count: number, axes: number): Rows {
  const mixing = rowsOf(axes, axes, (axis) => (random.next() - 0.5) / (1 + axis));
  return product(
    rowsOf(count, axes, () => random.next() - 0.5),
    mixing,
  );
}

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));

/** What float32 makes of them. */
const rounded = (rows: Rows): Rows => rows.map((row) => row.map(Math.fround));

/** The definition: covariance over all axes, its eigenvalues by Jacobi's rotations, host Math. */
function reference(rows: Rows): lg.EmbeddingStats {
  const x = rounded(rows);
  const means = x[0].map((_, axis) => x.reduce((sum, row) => sum + row[axis], 0) / x.length);
  const centred = x.map((row) => row.map((value, axis) => value - means[axis]));
  const transposed = means.map((_, axis) => centred.map((row) => row[axis]));
  const covariance = product(transposed, centred).map((row) => row.map((value) => value / (x.length - 1)));
  const variance = covariance.reduce((sum, row, i) => sum + row[i], 0) / means.length;
  const values = jacobiEigenvalues(covariance);
  const total = values.reduce((sum, value) => sum + value, 0);
  const shares = values.map((value) => value / total).filter((share) => share > 0);
  const entropy = shares.reduce((sum, share) => sum - share * Math.log(share), 0);
  return { variance, isotropy: Math.exp(entropy) / means.length };
}

function jacobiEigenvalues(a: Rows): number[] {
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < a.length; p++) for (let q = p + 1; q < a.length; q++) rotateAway(a, p, q);
  }
  return a.map((row, i) => row[i]);
}

/** Turns axes p and q so that a[p][q] becomes 0. */
function rotateAway(a: Rows, p: number, q: number): void {
  const angle = Math.atan2(2 * a[p][q], a[q][q] - a[p][p]) / 2;
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  for (const row of a) turn(row, p, q, sine, cosine);
  const [left, right] = [a[p], a[q]];
  a[p] = left.map((value, i) => cosine * value - sine * right[i]);
  a[q] = left.map((value, i) => sine * value + cosine * right[i]);
}

function turn(row: number[], p: number, q: number, sine: number, cosine: number): void {
  [row[p], row[q]] = [cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]];
}

function expectClose(got: lg.EmbeddingStats, want: lg.EmbeddingStats, tolerance: number): void {
  expect(Math.abs(got.variance / want.variance - 1)).toBeLessThan(tolerance);
  expect(Math.abs(got.isotropy / want.isotropy - 1)).toBeLessThan(tolerance);
}

describe("embeddingStats", () => {
  it("is 1 where all directions are alike", () => {
    const axes = 6;
    // ± each axis: Σ x xᵀ = 2 I over 12 embeddings of mean 0
    const cross = [1, -1].flatMap((sign) =>
      Array.from({ length: axes }, (_, at) => Array.from({ length: axes }, (_, axis) => (axis === at ? sign : 0))),
    );
    expectClose(lg.embeddingStats(cross), { variance: 2 / 11, isotropy: 1 }, 1e-12);
    expect(lg.embeddingStats(cross).isotropy).toBeLessThanOrEqual(1);
  });

  it.each([1, 2, 5, 40])("is 1 / d on a line in %i dimensions", (axes) => {
    const line = [1, 2, 4, 9].map((at) => Array.from({ length: axes }, (_, axis) => at * (axis + 1) + 100));
    const squares = Array.from({ length: axes }, (_, axis) => (axis + 1) ** 2).reduce((sum, square) => sum + square, 0);
    // the unbiased variance of 1, 2, 4, 9 is 38 / 3
    expectClose(lg.embeddingStats(line), { variance: ((38 / 3) * squares) / axes, isotropy: 1 / axes }, 1e-12);
  });

  it.each([0.5, 0.1, 0.001])("goes by the entropy of two axes, one with %d of the variance", (share) => {
    const [a, b] = [Math.sqrt(share), Math.sqrt(1 - share)].map(Math.fround);
    const plane = [
      [a, 0, 0],
      [-a, 0, 0],
      [0, b, 0],
      [0, -b, 0],
    ];
    const [first, second] = [a * a, b * b].map((square) => square / (a * a + b * b));
    const isotropy = Math.exp(-first * Math.log(first) - second * Math.log(second)) / 3;
    expectClose(lg.embeddingStats(plane), { variance: (2 * (a * a + b * b)) / 9, isotropy }, 1e-12);
  });

  test.each([
    [2, 1],
    [2, 2],
    [3, 2],
    [7, 7],
    [60, 12],
    [200, 33],
    [12, 60],
    [5, 100],
    [2, 50],
  ])("agrees with the definition on [%i, %i]", (count, axes) => {
    const rows = correlated(count, axes);
    expectClose(lg.embeddingStats(rows), reference(rows), 1e-9);
  });

  it("agrees with the definition where most directions are empty", () => {
    const rows = product(correlated(40, 3), correlated(3, 20));
    expectClose(lg.embeddingStats(rows), reference(rows), 1e-9);
    expect(lg.embeddingStats(rows).isotropy).toBeLessThan(3 / 20);
  });

  it("does not change as the embeddings turn, move or are scaled", () => {
    const [count, axes] = [50, 16];
    const rows = correlated(count, axes);
    const { variance, isotropy } = lg.embeddingStats(rows);
    const turned = rows.map((row) => [...row]);
    for (let p = 0; p < axes; p++) {
      for (let q = p + 1; q < axes; q++) {
        const angle = 6 * random.next();
        for (const row of turned) turn(row, p, q, Math.sin(angle), Math.cos(angle));
      }
    }
    expectClose(lg.embeddingStats(turned), { variance, isotropy }, 1e-5);
    const moved = rows.map((row) => row.map((value, axis) => value * 8 + axis));
    expectClose(lg.embeddingStats(moved), { variance: 64 * variance, isotropy }, 1e-4);
    const tiny = rows.map((row) => row.map((value) => value * 2 ** -100));
    expectClose(lg.embeddingStats(tiny), { variance: variance * 2 ** -200, isotropy }, 1e-6);
    const huge = rows.map((row) => row.map((value) => value * 2 ** 120));
    expectClose(lg.embeddingStats(huge), { variance: variance * 2 ** 240, isotropy }, 1e-6);
  });

  it.each([
    [3, 5],
    [5, 3],
    [1000, 4],
  ])("is 0 where [%i, %i] embeddings are all equal", (count, axes) => {
    expect(lg.embeddingStats(rowsOf(count, axes, (axis) => 0.1 * axis + 0.7))).toEqual({ variance: 0, isotropy: 0 });
  });

  it("is without a variance, as torch.var, and without a direction for a single embedding", () => {
    for (const one of [[[1, 2, 3]], [1, 2, 3], engine.tensor([1, 2, 3])]) {
      expect(lg.embeddingStats(one)).toEqual({ variance: Number.NaN, isotropy: 0 });
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("is NaN with a %d in it", (value) => {
    for (const [count, axes] of [
      [9, 3],
      [3, 9],
      [1, 3],
    ]) {
      const rows = correlated(count, axes);
      rows[count - 1][1] = value;
      expect(lg.embeddingStats(rows)).toEqual({ variance: Number.NaN, isotropy: Number.NaN });
    }
  });

  it("takes tensors, nested arrays and arrays of typed arrays, and leaves them as they are", () => {
    const rows = rounded(correlated(7, 3));
    const want = lg.embeddingStats(rows);
    const tensor = engine.tensor(rows);
    const forms = [
      tensor,
      rows.map((row) => Float32Array.from(row)),
      rows.map((row) => Float64Array.from(row)),
      runInNewContext(JSON.stringify(rows)) as Rows,
    ];
    const before = engine.memory.used;
    for (const form of forms) expect(lg.embeddingStats(form)).toEqual(want);
    expect(tensor.toArray()).toEqual(rows);
    expect(engine.memory.used).toBe(before);
  });

  const disposed = engine.zeros([2, 2]);
  disposed.dispose();
  test.each<[string, unknown, new (message: string) => lg.LanegradError, RegExp]>([
    ["nothing", undefined, lg.ArgumentError, /embeddingStats: got undefined, expected a Tensor or nested arrays/],
    ["a number", 3, lg.ArgumentError, /got 3, expected a Tensor/],
    ["an array of texts", [["a"]], lg.ArgumentError, /got "a" as a value, expected numbers/],
    [
      "a flat typed array",
      new Float32Array(6),
      lg.ShapeError,
      /got a Float32Array of unknown shape, expected engine\.tensor\(data, shape\)/,
    ],
    ["ragged arrays", [[1, 2], [1]], lg.ShapeError, /got ragged arrays, expected \[2, 2\]/],
    ["three axes", [[[1]]], lg.ShapeError, /got \[1, 1, 1\], expected \[N, d\]/],
    ["a scalar", engine.tensor(1), lg.ShapeError, /got \[\], expected \[N, d\]/],
    [
      "no embeddings",
      engine.zeros([0, 3]),
      lg.ShapeError,
      /got \[0, 3\], expected \[N, d\] or \[d\], neither of them 0/,
    ],
    ["no axes", [[], []], lg.ShapeError, /got \[2, 0\], expected/],
    ["an empty array", [], lg.ShapeError, /got \[0\], expected/],
    ["a disposed tensor", disposed, lg.StateError, /was disposed/],
  ])("refuses %s", async (_, value, error, message) => {
    expectRefusal(await refusal(() => lg.embeddingStats(wrong(value))), error, message);
  });
});
