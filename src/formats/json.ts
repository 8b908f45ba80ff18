import { isArray, show } from "../checks.js";
import { FormatError } from "../errors.js";

/** Reads JSON of ours, field by field. Throws a FormatError for anything else than what is asked for. */
export class JsonReader {
  readonly #value: unknown;
  readonly #what: string;

  private constructor(value: unknown, what: string) {
    this.#value = value;
    this.#what = what;
  }

  static parse(text: string, what: string): JsonReader {
    try {
      return new JsonReader(JSON.parse(text), what);
    } catch (cause) {
      throw new FormatError(`${what}: got no JSON`, { cause });
    }
  }

  /** A field of an object. */
  field(name: string): JsonReader {
    const value = this.#value;
    const has = typeof value === "object" && value !== null && Object.hasOwn(value, name);
    return new JsonReader(has ? (value as Record<string, unknown>)[name] : undefined, `${this.#what}: ${name}`);
  }

  get isAbsent(): boolean {
    return this.#value === undefined || this.#value === null;
  }

  /** The value itself, for what checks it by itself. */
  get value(): unknown {
    return this.#value;
  }

  list(): JsonReader[] {
    if (!isArray(this.#value)) throw this.#wrong("a list");
    return this.#value.map((item, i) => new JsonReader(item, `${this.#what}: ${i}`));
  }

  string(): string {
    if (typeof this.#value !== "string") throw this.#wrong("a string");
    return this.#value;
  }

  boolean(): boolean {
    if (typeof this.#value !== "boolean") throw this.#wrong("true or false");
    return this.#value;
  }

  /** An integer from 0 to 2^53 - 1. */
  count(): number {
    if (!(Number.isSafeInteger(this.#value) && (this.#value as number) >= 0)) throw this.#wrong("an integer >= 0");
    return this.#value as number;
  }

  /** Any number, in the form that `numberForJson` gives it. */
  number(): number {
    const value = this.#value;
    if (typeof value === "number") return value;
    if (value === "NaN" || value === "Infinity" || value === "-Infinity" || value === "-0") return Number(value);
    throw this.#wrong("a number");
  }

  #wrong(expected: string): FormatError {
    return new FormatError(`${this.#what}: got ${show(this.#value)}, expected ${expected}`);
  }
}

/** JSON has no NaN, no infinities and no -0. */
export function numberForJson(value: number): number | string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}
