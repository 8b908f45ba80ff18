/** Half an ulp of 1 in float32: the relative error of one rounding. */
export const ROUNDING = 2 ** -24;

/** Whether `got` may stand for `want`; only asked about finite numbers. */
export type Limit = (got: number, want: number, index: number) => boolean;

/** Equal as numbers: the zeros are equal. */
export const exact: Limit = (got, want) => got === want;

/** The same bits, so that -0 is not 0 (NaN payloads are exempt). */
export const bitExact: Limit = Object.is;

export const within =
  (bounds: ArrayLike<number>): Limit =>
  (got, want, index) =>
    Math.abs(got - want) <= bounds[index];

/** The first element beyond its limit, in words. NaN equals NaN, and an infinity only itself. */
export function firstDifference(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  limit: Limit,
  skip?: ReadonlySet<number>,
): string | undefined {
  if (got.length !== want.length) return `got ${got.length} elements, expected ${want.length}`;
  for (let i = 0; i < want.length; i++) {
    const g = got[i];
    const w = want[i];
    const fits = Number.isFinite(g) && Number.isFinite(w) ? limit(g, w, i) : Object.is(g, w);
    if (!fits && !skip?.has(i)) {
      const text = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
      return `[${i}] got ${text(g)}, expected ${text(w)} (off by ${Math.abs(g - w)})`;
    }
  }
  return undefined;
}

/** One fault shows in thousands of cases: the first few say what is wrong. */
const FIRST = 8;

/** Collects what many cases of one test complain about; `expect(problems.list).toEqual([])` at the end. */
export class Problems {
  readonly list: string[] = [];

  note(label: () => string, problem: string | undefined): void {
    if (problem !== undefined && this.list.length < FIRST) this.list.push(`${label()}: ${problem}`);
  }
}
