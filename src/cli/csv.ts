import { isUtf8 } from "node:buffer";
import { CsvError, parse } from "csv-parse/sync";
import { InputError } from "./failures.js";
import { counted, shorten } from "./text.js";

/** The rows of a CSV file below its header, every one with a cell for each name. */
export interface Table {
  /** In messages. */
  readonly path: string;
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The line of the file in which each row ends. */
  readonly lines: readonly number[];
}

const SEPARATORS = [",", ";", "\t", "|"];
const QUOTE = 0x22;
const LINE_ENDS = [0x0a, 0x0d];

/**
 * Reads CSV in UTF-8 (RFC 4180), with or without a byte order mark, whose cells are separated by what occurs most in the header: comma,
 * semicolon, tab or bar. Throws an InputError that says which line is wrong.
 */
export function readTable(bytes: Uint8Array, path: string): Table {
  const wrong = (what: string) => new InputError(`${path}: ${what}`);
  if (bytes.length === 0) throw wrong("is empty, expected CSV with a header");
  if (bytes.includes(0)) throw wrong("is no text in UTF-8: expected CSV with a header");
  if (!isUtf8(bytes)) throw wrong("is not in UTF-8: save it as such");
  const lines: number[] = [];
  let width = 0;
  let rows: string[][];
  try {
    rows = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
      bom: true,
      delimiter: separatorOf(bytes),
      record_delimiter: ["\r\n", "\n", "\r"],
      skip_empty_lines: true,
      on_record: (record: string[], context) => {
        lines.push(context.lines);
        width ||= record.length;
        return record;
      },
    });
  } catch (error) {
    throw error instanceof CsvError ? wrong(reasonOf(error, width)) : error;
  }
  const [header, ...below] = rows;
  if (header === undefined) throw wrong("has no header");
  const names = header.map((name) => name.trim());
  const twice = names.find((name, i) => name !== "" && names.indexOf(name) < i);
  if (twice !== undefined) throw wrong(`the header has ${shorten(twice)} twice`);
  if (below.length === 0) throw wrong("has a header and no rows");
  return { path, names, rows: below, lines: lines.slice(1) };
}

/** What is wrong, in our words: the parser's may have a whole cell in them. */
function reasonOf({ code, lines, record }: CsvError & { lines?: number; record?: string[] }, names: number): string {
  switch (code) {
    case "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH":
      return `line ${lines} has ${counted(record?.length ?? 0, "cell")}, the header has ${names}`;
    case "CSV_QUOTE_NOT_CLOSED":
      return `a quote is opened and not closed by the end of the file, line ${lines}`;
    case "INVALID_OPENING_QUOTE":
      return `line ${lines} has a quote inside a cell without quotes; write "a ""word"" in quotes"`;
    case "CSV_INVALID_CLOSING_QUOTE":
      return `line ${lines} has text behind a closing quote; write "a ""word"" in quotes"`;
    default:
      return `line ${lines}: ${code}`;
  }
}

/** What separates the cells of the first line, outside of quotes. */
function separatorOf(bytes: Uint8Array): string {
  const counts = new Map(SEPARATORS.map((separator) => [separator.charCodeAt(0), 0]));
  let isQuoted = false;
  for (const byte of bytes) {
    if (byte === QUOTE) isQuoted = !isQuoted;
    else if (!isQuoted && LINE_ENDS.includes(byte)) break;
    else if (!isQuoted && counts.has(byte)) counts.set(byte, counts.get(byte)! + 1);
  }
  const [[most]] = [...counts].sort(([, a], [, b]) => b - a);
  return String.fromCharCode(most);
}

/** A line of CSV. */
export const csvLine = (cells: readonly (string | number)[]): string => cells.map(cellOf).join(",");

function cellOf(value: string | number): string {
  const text = String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
