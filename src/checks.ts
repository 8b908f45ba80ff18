import { ArgumentError } from "./errors.js";

/** How an argument reads in an error message: short, and never its whole content. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `function ${value.name || "(anonymous)"}`;
  if (Array.isArray(value)) return value.length > 6 ? `an array of ${value.length}` : `[${value.map(show).join(", ")}]`;
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name ?? "no prototype"})`;
  return String(value);
}

export const showShape = (shape: readonly (number | string)[]): string => `[${shape.join(", ")}]`;

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

/** An options argument: undefined or an object. */
export function checkOptions<T extends object>(value: T | undefined, what: string): Partial<T> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null) {
    throw new ArgumentError(`${what}: got ${show(value)}, expected an object of options`);
  }
  return value;
}
