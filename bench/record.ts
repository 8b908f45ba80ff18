/**
 * `npm run bench:record`: all benches on this Node, one process after the other, into bench/results, where `npm run bench:report`
 * finds them. Our kernels are measured widened as well where this Node can. With names of parts ("steps", "peers", ...) only those;
 * with `--kernels SET` our own rows only, for that set; with `--quick` for a tenth of the time.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bestKernelSet } from "../src/kernels/wasm.js";
import { readEnvironment, refusal } from "../src/kernels/wide/gate.js";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const RESULTS = fileURLToPath(new URL("results", import.meta.url));
const EXIT_BAD_INPUT = 2;

interface Part {
  /** What `npm run bench` is asked for. */
  words: string;
  /** Whether it depends on the kernel set and not only on the library as it is. */
  isOurs: boolean;
}

const PARTS: Record<string, Part> = {
  steps: { words: "step", isOurs: true },
  products: { words: "product", isOurs: true },
  convolutions: { words: "convolution", isOurs: true },
  passes: { words: "pass", isOurs: true },
  peers: { words: "peers", isOurs: false },
  coldstart: { words: "coldstart", isOurs: false },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, kernels: { type: "string" } },
});
const unknown = positionals.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  process.stderr.write(`there is no part "${unknown}", only ${Object.keys(PARTS).join(", ")}\n`);
  process.exit(EXIT_BAD_INPUT);
}
mkdirSync(RESULTS, { recursive: true });
const canWiden = refusal(readEnvironment()) === undefined;
const [major] = process.versions.node.split(".");
for (const [name, { words, isOurs }] of Object.entries(PARTS)) {
  const isChosen = positionals.length === 0 ? isOurs || values.kernels === undefined : positionals.includes(name);
  if (!isChosen) continue;
  const isWide = canWiden && name !== "coldstart";
  const file = ["node", major, values.kernels ?? bestKernelSet(), ...(isWide ? ["wide"] : []), name].join("-");
  const options = [
    ...(values.kernels === undefined ? [] : ["--kernels", values.kernels]),
    ...(isWide ? ["--wide"] : []),
    ...(values.quick ? ["--quick"] : []),
  ];
  const args = ["--import", "tsx", MAIN, words, "--json", join(RESULTS, `${file}.json`), ...options];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
