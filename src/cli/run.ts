// From the words of a command line to an exit status.

import { bench } from "./bench.js";
import { exportModel } from "./export.js";
import { FAILED, InputError, isFromOutside, MISUSED, reasonOf, UsageError } from "./failures.js";
import { info } from "./info.js";
import { suggestion } from "./names.js";
import { type Command, helpOf, readLine } from "./options.js";
import { predict } from "./predict.js";
import { train } from "./train.js";
import { version } from "./version.js";

const COMMANDS: Readonly<Record<string, Command>> = { train, predict, export: exportModel, info, bench };

const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
const USAGE = [
  "Trains neural networks and predicts with them, fast, in Node.",
  "",
  "Usage: npx lanegrad COMMAND [options]",
  "",
  ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
  "",
  "  npx lanegrad COMMAND --help  says what a command takes",
  "  npx lanegrad --version       is the version",
].join("\n");

async function call([name, ...line]: readonly string[]): Promise<number> {
  if (name === "--version" || name === "-v") return print(version);
  if (name === "--help" || name === "-h" || (name === "help" && line.length === 0)) return print(USAGE);
  if (name === undefined) {
    process.stderr.write(`${USAGE}\n`);
    return MISUSED;
  }
  const called = name === "help" ? line[0] : name;
  const command = Object.hasOwn(COMMANDS, called) ? COMMANDS[called] : undefined;
  if (command === undefined) {
    throw new UsageError(
      `there is no command ${called}${suggestion(called, [...Object.keys(COMMANDS), "--help", "--version"])}`,
    );
  }
  const given = name === "help" ? undefined : readLine(line, command);
  return given === undefined ? print(helpOf(command)) : command.run(given);
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

/** One line on stderr where a person can mend what went wrong, and a stack where only we can. */
function fail(error: unknown, [name]: readonly string[]): number {
  if (error instanceof UsageError) {
    const help = name !== undefined && Object.hasOwn(COMMANDS, name) ? `${name} --help` : "--help";
    process.stderr.write(`lanegrad: ${error.message} (npx lanegrad ${help})\n`);
    return MISUSED;
  }
  if (!(error instanceof InputError) && !isFromOutside(error)) throw error;
  process.stderr.write(`lanegrad: ${reasonOf(error).replaceAll(/\s*\n\s*/g, " ")}\n`);
  return FAILED;
}

/** Runs a command line, without the program's name, and resolves to the exit status. */
export const runCommand = (args: readonly string[]): Promise<number> => call(args).catch((error) => fail(error, args));
