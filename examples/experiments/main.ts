/** `npm run experiments`: runs all experiments, at the sizes that are their defaults, and writes docs/experiments.md with its pictures. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EXPERIMENTS } from "./all.js";
import { pageOf, type Result } from "./shared/page.js";
import { svgOf } from "./shared/plots.js";

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));
const FOLDER = "experiments";

const USAGE = `Runs all experiments and writes experiments.md and its pictures.

Usage: npm run experiments -- [options]

  --to DIR  folder of the page (default docs/)
  --help    this text`;

async function main(args: string[]): Promise<void> {
  const options = { to: { type: "string", default: DOCS }, help: { type: "boolean" } } as const;
  const { to, help } = parseArgs({ args, options }).values;
  if (help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const results: Result[] = [];
  for (const { name, title, about, run } of EXPERIMENTS) {
    process.stderr.write(`${name} ...\n`);
    results.push({ name, title, about, report: await run() });
  }
  const pictures = join(to, FOLDER);
  rmSync(pictures, { recursive: true, force: true });
  mkdirSync(pictures, { recursive: true });
  for (const chart of results.flatMap(({ report }) => report.charts)) {
    writeFileSync(join(pictures, `${chart.name}.svg`), svgOf(chart));
  }
  writeFileSync(join(to, "experiments.md"), pageOf(results, FOLDER));
}

await main(process.argv.slice(2)).catch((error: NodeJS.ErrnoException) => {
  if (!error.code?.startsWith("ERR_PARSE_ARGS")) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
});
