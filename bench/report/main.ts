/**
 * `npm run bench:report`: makes bench/report.html and bench/RESULTS.md of the runs that --json wrote, by default all in bench/results.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseRun, RunFileError } from "../run.js";
import { markdownOf } from "./markdown.js";
import { reportOf } from "./model.js";
import { pageOf } from "./page.js";

const BENCH = fileURLToPath(new URL("..", import.meta.url));
const RESULTS = join(BENCH, "results");
const EXIT_BAD_INPUT = 2;

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { to: { type: "string" } } });
  const files = positionals.length > 0 ? positionals : recordedRuns();
  const report = reportOf(files.map((file) => parseRun(readFileSync(file, "utf8"), file)));
  // both are made before one is written
  const outputs = { "report.html": await pageOf(report), "RESULTS.md": markdownOf(report) };
  for (const [name, text] of Object.entries(outputs)) {
    const file = join(values.to ?? BENCH, name);
    writeFileSync(file, text);
    process.stdout.write(`${file}: ${(text.length / 1000).toFixed(0)} kB\n`);
  }
}

function recordedRuns(): string[] {
  const files = readdirSync(RESULTS).filter((name) => name.endsWith(".json"));
  if (files.length === 0) throw new RunFileError("bench/results holds no runs: npm run bench:record makes some");
  return files.map((name) => join(RESULTS, name));
}

await main(process.argv.slice(2)).catch((error: NodeJS.ErrnoException) => {
  const isInput = error instanceof RunFileError || error.code?.startsWith("ERR_PARSE_ARGS") || error.code === "ENOENT";
  if (!isInput) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_BAD_INPUT;
});
