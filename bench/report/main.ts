/**
 * `npm run bench:report [-- --to FOLDER] [RUN.json ...]`: makes bench/RESULTS.md, the README's bench/chart.svg and the page
 * build/report.html, or all three in one folder, of the runs that --json wrote, by default all in bench/results.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parseRun, RunFileError } from "../run.js";
import { chartOf } from "./chart.js";
import { headlineOf } from "./headline.js";
import { markdownOf } from "./markdown.js";
import { reportOf } from "./model.js";
import { pageOf } from "./page.js";

const BENCH = fileURLToPath(new URL("..", import.meta.url));
const RESULTS = join(BENCH, "results");
/** The page is large and made again by anyone who wants it; git ignores this folder. */
const BUILD = join(BENCH, "../build");
const EXIT_BAD_INPUT = 2;

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { to: { type: "string" } } });
  const files = positionals.length > 0 ? positionals : recordedRuns();
  const report = reportOf(files.map((file) => parseRun(readFileSync(file, "utf8"), file)));
  const headline = headlineOf(report);
  // all are made before one is written
  const outputs = [
    { name: "RESULTS.md", folder: BENCH, text: markdownOf(report) },
    ...(headline === undefined ? [] : [{ name: "chart.svg", folder: BENCH, text: chartOf(headline) }]),
    { name: "report.html", folder: BUILD, text: await pageOf(report) },
  ];
  for (const { name, folder, text } of outputs) {
    const file = join(values.to ?? folder, name);
    mkdirSync(dirname(file), { recursive: true });
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
