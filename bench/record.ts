/**
 * `npm run bench:record`: runs all benches on this Node, one process after the other, and writes bench/results, which `npm run bench:report`
 * reads. If this Node can, our kernels are measured widened, too. Names ("steps", "peers", ...) choose parts; `--kernels SET` measures that
 * set, our own rows only; `--quick` takes a tenth of the time.
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
  /** The arguments of `npm run bench`. */
  words: string;
  /** Whether it measures our kernels by themselves, so that it depends on the kernel set. */
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
