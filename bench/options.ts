import { parseArgs } from "node:util";
import { bestKernelSet, isAvailable } from "../src/kernels/wasm.js";
import { isWideByDefault } from "../src/kernels/wide/gate.js";
import { groupOf } from "./report/groups.js";
import type { Run, RunRow } from "./run.js";

const SETS = ["simd", "relaxed-simd"] as const;
type WasmKernelSet = (typeof SETS)[number];

/** A mistake on the command line: shown as one line, without a stack. */
export class InputError extends Error {}

export interface Options {
  /** What is measured: our kernels beside their twin, other libraries, or fresh processes. */
  bench: Run["bench"];
  /** Rows are measured whose names or kinds contain all of these words. */
  words: string[];
  /** The set of kernels that is measured. */
  kernels: WasmKernelSet;
  /** Whether the kernels are measured widened to 256 bits as well. */
  wide: boolean;
  /** How many threads the bench of threads compares with one. */
  threads: number;
  /** Where the measurements go as JSON, beside the table. */
  json?: string;
  /** A tenth of the time. */
  quick: boolean;
  help: boolean;
}

export const USAGE = `Measures the training step and every kernel: WebAssembly beside the pure-JS twin and beside the processor's limit.
With "peers": the training step and the forward pass, beside other libraries that are installed into a temporary folder.
With "coldstart": fresh processes that load lanegrad and do one forward pass.
With "threads": training steps on one thread and on several.

Usage: npm run bench -- [options] [peers] [FILTER ...]
       npm run bench -- [options] coldstart
       npm run bench -- [options] threads

  FILTER         part of a row's name or its kind (step, product, convolution, pass, forward), in any case; of several words
                 all must match: "step", "sgd", "forward 784", "prelu 'batch 32'"
  --wide         measure our kernels widened to 256 bits as well, in turns with the normal ones: Node 24 and 26 on x64;
                 LANEGRAD_WIDE=1 in the environment does the same
  --kernels SET  "simd" or "relaxed-simd", where it should not be the fastest that this Node has
  --threads N    with "threads": how many (default 2)
  --json FILE    also write everything to FILE, for npm run bench:report
  --quick        measure for a tenth of the time, to see that all works
  --help         this text`;

/** Reads the command line; whatever does not fit is an InputError. */
export function parseOptions(args: string[]): Options {
  const { values, positionals } = parsed(args);
  const [first, ...rest] = positionals.map((word) => word.toLowerCase());
  const isOther = first === "peers" || first === "coldstart" || first === "threads";
  if ((first === "coldstart" || first === "threads") && rest.length > 0) {
    throw new InputError(`${first} measures one thing, there is no "${rest.join(" ")}" to choose`);
  }
  if (first === "coldstart" && (values.wide || values.kernels !== undefined)) {
    throw new InputError("coldstart takes neither --wide nor --kernels: it measures the library as it loads");
  }
  return {
    ...values,
    kernels: setOf(values.kernels ?? bestKernelSet()),
    threads: countOf(values.threads),
    wide: first !== "coldstart" && (values.wide ?? isWideByDefault()),
    bench: isOther ? first : "kernels",
    words: isOther || first === undefined ? rest : [first, ...rest],
  };
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      strict: true,
      allowPositionals: true,
      options: {
        json: { type: "string" },
        kernels: { type: "string" },
        wide: { type: "boolean" },
        threads: { type: "string", default: "2" },
        quick: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    // without parseArgs' advice, several lines after its first sentence
    const [firstSentence] = (error as Error).message.split(/\.\s/);
    throw new InputError(`${firstSentence} (--help lists the options)`);
  }
}

function setOf(text: string): WasmKernelSet {
  const set = SETS.find((known) => known === text);
  if (set === undefined) throw new InputError(`--kernels: got "${text}", expected "${SETS.join('" or "')}"`);
  if (!isAvailable(set)) throw new InputError(`--kernels: Node ${process.versions.node} does not run ${set}`);
  return set;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!(Number.isInteger(count) && count >= 2)) {
    throw new InputError(`--threads: got "${text}", expected an integer from 2 on`);
  }
  return count;
}

export function select<Named extends Pick<RunRow, "name" | "work">>(rows: Named[], words: string[]): Named[] {
  const selected = rows.filter((row) => {
    const text = `${groupOf(row)} ${row.name}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  if (selected.length === 0)
    throw new InputError(`no row's name or kind contains ${words.map((w) => `"${w}"`).join(" and ")}`);
  return selected;
}
