/**
 * `npm run bench:record`: all benches on this Node, one process after the other, into bench/results, where `npm run bench:report`
 * finds them; with `--quick` for a tenth of the time. Kernels are measured widened as well where this Node can.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readEnvironment, refusal } from "../src/kernels/wide/gate.js";
import { KERNELS } from "./engines.js";
import type { Run } from "./run.js";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const RESULTS = fileURLToPath(new URL("results", import.meta.url));
const BENCHES: Record<Run["bench"], string[]> = { kernels: [], peers: ["peers"], coldstart: ["coldstart"] };

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
mkdirSync(RESULTS, { recursive: true });
const canWiden = refusal(readEnvironment()) === undefined;
const [major] = process.versions.node.split(".");
for (const [bench, words] of Object.entries(BENCHES)) {
  const json = join(RESULTS, `node-${major}-${KERNELS}-${bench}.json`);
  const args = ["--import", "tsx", MAIN, ...words, "--json", json, ...(values.quick ? ["--quick"] : [])];
  const env = bench === "kernels" && canWiden ? { ...process.env, LANEGRAD_WIDE: "1" } : process.env;
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env });
  if (status !== 0) process.exit(status ?? 1);
}
