const BLOCKS = "▁▂▃▄▅▆▇█";
const HISTOGRAM_BINS = 20;

/** 12345.6 → "12,346", the same in every locale. */
export const thousands = (value: number): string => Math.round(value).toLocaleString("en-US");

/** `part` of `whole` in percent, to two significant digits: a share may be far below a hundredth. */
export const percentage = (part: number, whole: number): string => `${Number(((100 * part) / whole).toPrecision(2))} %`;

/** A number of zero or one things: "1 thread", "2 threads". */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Rows of cells as lines: columns in `leftAligned` start together, all others end together. */
export function table(rows: string[][], { leftAligned }: { leftAligned: number[] }): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: string[]) =>
    row.map((cell, i) => (leftAligned.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("   ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/** A histogram of values over the range, a block character for each bin. */
export function histogram(values: Float32Array, { min, max }: { min: number; max: number }): string {
  const counts = new Array<number>(Math.min(HISTOGRAM_BINS, values.length)).fill(0);
  for (const value of values) {
    // Where all values are equal, the range has no parts: 0 / 0.
    const bin = Math.floor(((value - min) / (max - min)) * counts.length) || 0;
    counts[Math.min(bin, counts.length - 1)]++;
  }
  const highest = Math.max(...counts);
  return counts.map((count) => blockOf(count / highest)).join("");
}

/** The block that fills its cell up to a height in 0..1; only what is empty looks empty. */
const blockOf = (height: number): string => (height === 0 ? " " : BLOCKS[Math.ceil(height * BLOCKS.length) - 1]);
