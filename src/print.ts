/** Of more values only the first and last of each axis are shown, as numpy does. */
const MOST_SHOWN = 1000;
const EDGE = 3;
const DIGITS = 6;

/** Values in nested brackets, a row on each line, `[[1, 2], [3, 4]]`, without the middle of long axes. */
export function printed(shape: readonly number[], data: Float32Array): string {
  const isShort = data.length <= MOST_SHOWN;
  const texts: string[] = [];
  /** The places of an axis that are shown; -1 stands for those left out. */
  const places = (length: number): number[] => {
    if (isShort || length <= 2 * EDGE) return Array.from({ length }, (_, i) => i);
    const edge = Array.from({ length: EDGE }, (_, i) => i);
    return [...edge, -1, ...edge.map((i) => length - EDGE + i)];
  };
  const visit = (axis: number, start: number, stride: number, leaf: (value: number) => string): string => {
    if (axis === shape.length) return leaf(data[start]);
    const inner = stride / shape[axis];
    const items = places(shape[axis]).map((i) => (i < 0 ? "..." : visit(axis + 1, start + i * inner, inner, leaf)));
    const gap = axis + 1 === shape.length ? ", " : `,${"\n".repeat(shape.length - axis - 1)}${" ".repeat(axis + 1)}`;
    return `[${items.join(gap)}]`;
  };
  if (data.length === 0) return "[]";
  // a first pass, for the width of the widest number
  visit(0, 0, data.length, (value) => {
    texts.push(numberText(value));
    return "";
  });
  const width = texts.reduce((widest, text) => Math.max(widest, text.length), 0);
  return visit(0, 0, data.length, (value) => numberText(value).padStart(width));
}

function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(Number(value.toPrecision(DIGITS)));
}
