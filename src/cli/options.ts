// Commands and their options: how they are described, read and explained.

import { parseArgs } from "node:util";
import { UsageError } from "./failures.js";
import { suggestion } from "./names.js";

export interface Option {
  /** What stands for the value in the help; without it the option is a flag. */
  readonly value?: string;
  readonly help: string;
}

export interface Command<Name extends string = string> {
  /** One line for the list of commands. */
  readonly summary: string;
  /** How it is called, without `npx lanegrad`. */
  readonly usage: readonly string[];
  /** The fewest and the most arguments that are no options. */
  readonly arguments: readonly [number, number];
  readonly options: Readonly<Record<Name, Option>>;
  /** Lines below the options. */
  readonly notes?: readonly string[];
  /** Resolves to the exit status. */
  run(given: Given<Name>): Promise<number>;
}

/** What a command line holds. */
export interface Given<Name extends string = string> {
  /** As it was typed, without the command. */
  readonly line: readonly string[];
  readonly values: Readonly<Partial<Record<Name, string>>>;
  readonly flags: ReadonlySet<Name>;
  readonly files: readonly string[];
}

const HELP: Option = { help: "this text" };
/** Reads a command's line. undefined if it asks for help. Throws a UsageError for all that does not fit. */
export function readLine<Name extends string>(
  line: readonly string[],
  command: Command<Name>,
): Given<Name> | undefined {
  const options: Record<string, Option> = { ...command.options, help: HELP };
  const { tokens } = parseArgs({
    args: [...line],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value }]) => [
        name,
        { type: value === undefined ? "boolean" : "string", ...(name === "help" ? { short: "h" } : {}) },
      ]),
    ),
  });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) return undefined;
  const values: Record<string, string> = {};
  const flags = new Set<string>();
  const files: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") files.push(token.value);
    else if (token.kind === "option") {
      const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
      if (option === undefined) throw unknownOption(token.rawName, Object.keys(options));
      if (option.value === undefined) {
        if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value, got "${token.value}"`);
        flags.add(token.name);
      } else values[token.name] = textOf(token, option.value);
    }
  }
  const [least, most] = command.arguments;
  if (files.length > most) throw new UsageError(`got "${files[most]}", which is one argument too many`);
  if (files.length < least) throw new UsageError(`expected ${command.usage[0]}`);
  return {
    line,
    files,
    values: values as Given<Name>["values"],
    flags: flags as ReadonlySet<string> as ReadonlySet<Name>,
  };
}

function textOf(token: { rawName: string; value?: string; inlineValue?: boolean }, placeholder: string): string {
  const { rawName, value, inlineValue } = token;
  if (value === undefined || value === "") throw new UsageError(`${rawName} takes a value: ${rawName} ${placeholder}`);
  if (!inlineValue && value.startsWith("-") && value !== "-") {
    throw new UsageError(`${rawName} takes a value, got "${value}"; if that is meant, write ${rawName}=${value}`);
  }
  return value;
}

function unknownOption(name: string, known: readonly string[]): UsageError {
  const named = known.map((option) => `--${option}`);
  return new UsageError(`there is no option ${name}${suggestion(name, named)}`);
}

/** A whole number that an option has. */
export function wholeNumber(
  option: string,
  text: string,
  { least, most = Number.MAX_SAFE_INTEGER }: { least: number; most?: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`--${option} takes a whole number ${range}, got "${text}"`);
}

/** A number in a range that an option has. */
export function decimalNumber(option: string, text: string, isIn: (value: number) => boolean, range: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && isIn(value)) return value;
  throw new UsageError(`--${option} takes a number ${range}, got "${text}"`);
}

export function oneOf<Choice extends string>(option: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${option} takes one of ${choices.join(", ")}, got "${text}"${suggestion(text, choices)}`);
}

/** Items between commas. */
export const listOf = (text: string): string[] => text.split(",").map((item) => item.trim());

/** What `--help` prints. */
export function helpOf({ summary, usage, options, notes = [] }: Command): string {
  const rows = Object.entries({ ...options, help: HELP }).map(([name, { value, help }]) => [
    value === undefined ? `--${name}` : `--${name} ${value}`,
    help,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    summary,
    ...usage.map((line, i) => `${i === 0 ? "Usage:" : "      "} npx lanegrad ${line}`),
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    ...notes,
  ].join("\n");
}
