import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { LanegradError } from "lanegrad";
import { InputError } from "../../fashion-mnist/errors.js";
import { type Table, tableText } from "./tables.js";

/** A number that an experiment can be run with: how many layers, images, draws. */
export interface Setting {
  default: number;
  about: string;
  /** 1 unless given. */
  least?: number;
}

/** Of weights, draws and orders. */
export const SEED: Setting = { default: 0, about: "of weights, draws and orders", least: 0 };

/** What is said, whether it was seen here, and what was seen. */
export interface Claim {
  says: string;
  holds: boolean;
  seen: string;
}

/** Points under one name, in one colour. Dashes are what is predicted; all else was measured. */
export interface Series {
  name: string;
  as: "line" | "dashes" | "dots" | "bars";
  points: readonly (readonly [x: number, y: number])[];
  /** Charts beside each other, each with its own name. */
  panel?: string;
}

export interface Axis {
  label: string;
  log?: boolean;
  domain?: [number, number];
  /** Of what stands at 0, 1, ..., where an axis is no axis of numbers. */
  names?: string[];
}

export interface Chart {
  /** Of its file. */
  name: string;
  title: string;
  x: Axis;
  y: Axis;
  series: readonly Series[];
}

export interface Report {
  claims: Claim[];
  tables: Table[];
  charts: Chart[];
}

export interface Experiment<Settings extends Record<string, number>, Measured> {
  name: string;
  title: string;
  /** Theory: paragraphs of plain text. */
  about: string;
  settings: { [Name in keyof Settings]: Setting };
  measure(settings: Settings): Measured | Promise<Measured>;
  report(measured: Measured): Report;
}

/** Of every experiment: the same bits on every machine. */
export const KERNELS = "simd";

const EXIT_BAD_INPUT = 2;

/** The settings that were not given have their defaults. */
export async function run<Settings extends Record<string, number>, Measured>(
  experiment: Experiment<Settings, Measured>,
  given: Partial<Settings> = {},
): Promise<Report> {
  return experiment.report(await experiment.measure({ ...defaultsOf(experiment.settings), ...given }));
}

export const defaultsOf = <Settings extends Record<string, number>>(
  settings: {
    [Name in keyof Settings]: Setting;
  },
): Settings =>
  Object.fromEntries(Object.entries<Setting>(settings).map(([name, setting]) => [name, setting.default])) as Settings;

/** Runs an experiment whose file is the program that was started, and prints its numbers; does nothing where it was imported. */
export async function runIfMain<Settings extends Record<string, number>, Measured>(
  url: string,
  experiment: Experiment<Settings, Measured>,
): Promise<void> {
  if (url !== pathToFileURL(process.argv[1] ?? "").href) return;
  try {
    const given = parse(process.argv.slice(2), experiment.settings);
    process.stdout.write(
      `${given === "help" ? usage(experiment) : reportText(await run<Settings, Measured>(experiment, given))}\n`,
    );
  } catch (error) {
    // a size that no network takes, say
    if (!(error instanceof InputError || error instanceof LanegradError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_BAD_INPUT;
  }
}

function parse<Settings extends Record<string, number>>(
  args: string[],
  settings: { [Name in keyof Settings]: Setting },
): Partial<Settings> | "help" {
  const options = Object.fromEntries(Object.keys(settings).map((name) => [name, { type: "string" } as const]));
  try {
    const { values } = parseArgs({ args, options: { ...options, help: { type: "boolean" } } });
    if (values.help) return "help";
    const given = Object.entries(values).map(([name, text]) => [name, wholeNumber(name, String(text), settings[name])]);
    return Object.fromEntries(given);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const [firstSentence] = (error as Error).message.split(/\.\s/);
    throw new InputError(`${firstSentence} (--help lists the options)`);
  }
}

function wholeNumber(name: string, text: string, { least = 1 }: Setting): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value >= least) return value;
  throw new InputError(`--${name} takes a whole number of at least ${least}, got "${text}"`);
}

/** What --help prints. */
export function usage<Settings extends Record<string, number>, Measured>({
  name,
  title,
  about,
  settings,
}: Experiment<Settings, Measured>): string {
  const lines = Object.entries<Setting>(settings).map(
    ([option, setting]) => `  --${`${option} N`.padEnd(14)}${setting.about} (default ${setting.default})`,
  );
  return `${title}\n\n${about}\n\nUsage: node --import tsx examples/experiments/${name}.ts [options]\n\n${lines.join("\n")}\n  --help          this text`;
}

export function reportText({ claims, tables }: Report): string {
  const said = claims.map(({ says, holds, seen }) => `${holds ? "holds" : "DOES NOT HOLD"}: ${says}\n  seen: ${seen}`);
  return [...tables.map(tableText), ...said].join("\n\n");
}
