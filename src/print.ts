/** Values beyond this number are shown by the first and last ones of each axis, as numpy does. */
const MOST_SHOWN = 1000;
const EDGE = 3;
const DIGITS = 6;

/** Values of a shape as nested rows: `[[1, 2], [3, 4]]`, a row a line, the middle of long axes left out. */
export function printed(shape: readonly number[], data: Float32Array): string {
  const isShort = data.length <= MOST_SHOWN;
  const texts: string[] = [];
  /** The places that are shown of an axis, -1 where some are left out. */
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
  // twice: the width of the widest number comes first
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
