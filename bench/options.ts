import { parseArgs } from "node:util";
import type { Run } from "./run.js";

/** What the person at the keyboard can mend; it is shown as one line, without a stack. */
export class InputError extends Error {}

export interface Options {
  /** What is measured: our kernels beside their twin, other libraries, or fresh processes. */
  bench: Run["bench"];
  /** Rows are measured whose names contain all of these words. */
  words: string[];
  /** Where the measurements go as JSON, beside the table. */
  json?: string;
  /** A tenth of the time. */
  quick: boolean;
  help: boolean;
}

export const USAGE = `Measures the training step and every kernel: WebAssembly beside the pure-JS twin and beside the processor's limit.
With "peers": the training step and the forward pass, beside other libraries that are installed into a temporary folder.
With "coldstart": fresh processes that load lanegrad and do one forward pass.

Usage: npm run bench -- [options] [peers] [FILTER ...]
       npm run bench -- [options] coldstart

  FILTER         part of a row's name, in any case; of several words all must match:
                 "step", "sgd", "forward 784", "prelu 'batch 32'"
  --json FILE    also write everything to FILE, for npm run bench:report
  --quick        measure for a tenth of the time, to see that all works
  --help         this text

In the environment: with LANEGRAD_WIDE=1 our kernels take turns with themselves widened to 256 bits (Node 24 and 26);
BENCH_KERNELS=simd measures that set where the fastest one is another.`;

/** Reads the command line; whatever does not fit is an InputError. */
export function parseOptions(args: string[]): Options {
  try {
    const { values, positionals } = parseArgs({
      args,
      strict: true,
      allowPositionals: true,
      options: {
        json: { type: "string" },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const words = positionals.map((word) => word.toLowerCase());
    const [first, ...rest] = words;
    return first === "peers" || first === "coldstart"
      ? { ...values, bench: first, words: rest }
      : { ...values, bench: "kernels", words };
  } catch (error) {
    // parseArgs follows its first sentence with advice of several lines
    const [firstSentence] = (error as Error).message.split(/\.\s/);
    throw new InputError(`${firstSentence} (--help lists the options)`);
  }
}

export function select<Named extends { name: string }>(rows: Named[], words: string[]): Named[] {
  const selected = rows.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  if (selected.length === 0) throw new InputError(`no row's name contains ${words.map((w) => `"${w}"`).join(" and ")}`);
  return selected;
}
