const LONGEST = 60;

/** A cell or name of the user's in a message: in quotes, and cut if it is long. */
export const shorten = (text: string): string =>
  JSON.stringify(text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);

/** 12345.6 → "12,346", the same in every locale. */
export const thousands = (value: number): string => Math.round(value).toLocaleString("en-US");

/** A number of zero or one things: "1 row", "2 rows". */
export const counted = (count: number, noun: string): string => `${thousands(count)} ${noun}${count === 1 ? "" : "s"}`;

/** A measured number, to four digits. */
export const rounded = (value: number): string => String(Number(value.toPrecision(4)));

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** A part of a list, and how many more there are. */
export function listed(items: readonly string[], most = 8): string {
  const rest = items.length - most;
  return rest > 0 ? `${items.slice(0, most).join(", ")} and ${rest} more` : items.join(", ");
}

/** Rows of cells as lines of columns; `right` names the columns that end together. */
export function columnsOf(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell: string, column: number) =>
    right.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}
