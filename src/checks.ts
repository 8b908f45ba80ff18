import { ArgumentError, LanegradError } from "./errors.js";

/** Marks tensors, layers, engines and optimizers, so that those of another copy of the library are recognised. */
export const COPY = /* @__PURE__ */ Symbol.for("lanegrad.copy");

/** Which copy of the library made something, and what it is. */
export interface Mark {
  readonly of: object;
  readonly kind: string;
}

const THIS_COPY = {};

export const mark = (kind: string): Mark => ({ of: THIS_COPY, kind });

const LONGEST_TEXT = 80;
const LONGEST_LIST = 6;
const DEEPEST_LIST = 2;
/** Printing a bigint takes the square of its length. */
const LONGEST_BIGINT = 2 ** 64;

/** An argument in an error message: short, and without a throw whatever it is. */
export function show(value: unknown): string {
  try {
    return shown(value, 0);
  } catch {
    return "a value that cannot be read";
  }
}

function shown(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(shorten(value));
  if (typeof value === "bigint") {
    return value > LONGEST_BIGINT || value < -LONGEST_BIGINT ? "a large bigint" : `${value}n`;
  }
  if (typeof value === "function") return `function ${nameOf(value, "(anonymous)")}`;
  if (typeof value !== "object" || value === null) return shorten(String(value));
  if (Array.isArray(value)) {
    const { length } = value;
    if (length > LONGEST_LIST || depth === DEEPEST_LIST) return `an array of ${length}`;
    return `[${value.map((item) => shown(item, depth + 1)).join(", ")}]`;
  }
  const { of: copy, kind } = Object((value as { [COPY]?: Mark })[COPY]) as Partial<Mark>;
  if (typeof kind === "string" && copy !== THIS_COPY) {
    return `${article(shorten(kind))} of another copy of lanegrad (two versions, or ESM and CommonJS, are loaded)`;
  }
  if (ArrayBuffer.isView(value)) return article(Object.prototype.toString.call(value).slice(8, -1));
  return `an object (${nameOf((value as object).constructor, "no prototype")})`;
}

const article = (noun: string): string => `${/^[AEIO]/.test(noun) ? "an" : "a"} ${noun}`;

function nameOf(value: unknown, otherwise: string): string {
  const name: unknown = typeof value === "function" ? value.name : undefined;
  return typeof name === "string" && name !== "" ? shorten(name) : otherwise;
}

/** A text in a message, cut if it is long. */
export function shorten(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}... (${text.length} characters)` : text;
}

/** How many problems a message lists. */
const MOST_LISTED = 10;

/** The first problems, and how many more there are. */
export function listed(problems: readonly string[]): string {
  const rest = problems.length - MOST_LISTED;
  return rest > 0 ? `${problems.slice(0, MOST_LISTED).join("; ")}; and ${rest} more` : problems.join("; ");
}

/** What an error begins with; an object makes it when the error is thrown. */
export interface Text {
  toString(): string;
}

/** Array.isArray, but false for a revoked proxy, where that throws. */
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Reads a value of the caller's. What its getters or proxies throw becomes an ArgumentError that begins with `what`. */
export function reading<T>(what: Text, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof LanegradError) throw cause;
    throw new ArgumentError(`${what}: reading it failed: ${reasonOf(cause)}`, { cause });
  }
}

/** What was thrown, in words. */
export function reasonOf(thrown: unknown): string {
  try {
    return shorten(thrown instanceof Error ? String(thrown.message) : show(thrown));
  } catch {
    return "for a reason that cannot be read";
  }
}

/** How many axes a message shows. */
const MOST_AXES = 12;

export function showShape(shape: readonly (number | string)[]): string {
  return shape.length > MOST_AXES ? `[${shape.slice(0, MOST_AXES).join(", ")}, ...]` : `[${shape.join(", ")}]`;
}

/** A size: an integer >= 1. */
export function checkSize(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected an integer >= 1`);
  }
  return value as number;
}

export function checkFinite(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected a finite number`);
  }
  return value;
}

/** Finite and >= 0. */
export function checkNonNegative(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected a finite number >= 0`);
  }
  return value;
}

export function checkNumber(value: unknown, what: string): number {
  if (typeof value !== "number") throw new ArgumentError(`${what}: got ${show(value)}, expected a number`);
  return value;
}

export function checkBoolean(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw new ArgumentError(`${what}: got ${show(value)}, expected true or false`);
  return value;
}

export function checkSeed(value: unknown, what = "seed"): number {
  if (!Number.isSafeInteger(value)) throw new ArgumentError(`${what}: got ${show(value)}, expected a safe integer`);
  return value as number;
}

export function checkOneOf<T extends string>(value: unknown, allowed: readonly T[], what: string): T {
  if (!allowed.includes(value as T)) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected ${allowed.map(show).join(" or ")}`);
  }
  return value as T;
}

const NOTHING: object = /* @__PURE__ */ Object.freeze({});

/** The known options of an argument that may be undefined, each read once. Throws ArgumentError for no object and for an unknown option. */
export function checkOptions<T extends object>(
  value: T | undefined,
  known: readonly (keyof T & string)[],
  what: string,
): Partial<T> {
  if (value === undefined) return NOTHING;
  if (typeof value !== "object" || value === null || isArray(value)) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected an object of options`);
  }
  return reading(`${what}: options`, () => {
    checkKnown(value, known, what);
    const options: Partial<T> = {};
    for (const key of known) options[key] = value[key];
    return options;
  });
}

/** Throws an ArgumentError for an option that is not known. */
export function checkKnown(value: object, known: readonly string[], what: string): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      const options = known.length > 0 ? known.join(", ") : "none";
      throw new ArgumentError(`${what}: got the option ${show(key)}, which is not known; the options are ${options}`);
    }
  }
}
