/** Room that a tick's label takes, in pixels. */
const LABEL = 34;
/** The ticks within a power of ten, from many to few. */
const STEPS = [[1, 1.2, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]];

/** Round numbers for a logarithmic axis that is `width` pixels wide, as many as have room beside each other. */
export function logTicks([low, high]: readonly [number, number], width: number): number[] {
  const pixels = (from: number, to: number) => (width * Math.log(to / from)) / Math.log(high / low);
  const [first, last] = [low, high].map((value) => Math.floor(Math.log10(value)));
  const candidates = STEPS.map((steps) => {
    const decades = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const ticks = decades.flatMap((decade) => steps.map((step) => Number((step * 10 ** decade).toPrecision(2))));
    return ticks.filter((tick) => tick >= low && tick <= high);
  });
  const fits = (ticks: number[]) => ticks.every((tick, i) => i === 0 || pixels(ticks[i - 1], tick) >= LABEL);
  return candidates.find(fits) ?? [];
}

/** From the smallest value to the largest, on a logarithmic axis with so much room beyond them. */
export const extent = (values: readonly number[], room = 1): [number, number] => [
  Math.min(...values) / room,
  Math.max(...values) * room,
];

/** What all charts have in common. */
export const STYLE = { style: { fontSize: "12px" } };

/** A tooltip; `title` is its text. */
export const TIP = { stroke: "var(--line)", lineHeight: 1.3, textPadding: 10 };

/** Room for the longest word to the left of a chart. */
export const marginFor = (words: readonly string[]): number =>
  18 + 6.8 * Math.max(...words.map(({ length }) => length));
