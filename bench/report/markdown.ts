import { readFileSync } from "node:fs";
import { shareText } from "../figures.js";
import { QUIET } from "../measure.js";
import type { Report } from "./model.js";
import { type Section, sectionsOf } from "./sections.js";
import type { Sheet } from "./sheets.js";

const TEMPLATE = new URL("RESULTS.template.md", import.meta.url);

/** RESULTS.md: the template's prose, with a table in the place of each {{name}}. */
export function markdownOf(report: Report): string {
  const parts: Record<string, string> = {
    quiet: shareText(QUIET),
    setups: setupsTable(report),
    contenders: contendersTable(report),
    ...Object.fromEntries(sectionsOf(report).map((section) => [section.id, sectionTables(section)])),
  };
  return readFileSync(TEMPLATE, "utf8").replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    if (!(name in parts)) throw new Error(`RESULTS.template.md: there is no {{${name}}}`);
    return parts[name];
  });
}

function setupsTable({ setups }: Report): string {
  const columns = ["", "Node", "V8", "machine", "limit", "date", "rounds that count", "noisy rows"];
  const rows = setups.map((setup) => [
    setup.label,
    setup.node,
    setup.v8,
    setup.machine,
    setup.limit ?? "",
    `${setup.date.slice(0, 10)}${setup.quick ? ", a quick run: not to be quoted" : ""}`,
    `${setup.countedRounds} of ${setup.rounds}`,
    `${setup.noisyRows} of ${setup.rows}`,
  ]);
  return table(
    columns,
    columns.map(() => false),
    rows,
  );
}

function contendersTable({ contenders }: Report): string {
  return table(["column", "what it is"], [false, false], Object.entries(contenders));
}

function sectionTables({ sheets }: Section): string {
  return sheets.length === 0 ? "Not measured." : sheets.map(sheetTable).join("\n\n");
}

function sheetTable({ columns, rows }: Sheet): string {
  return table(
    columns.map(({ title }) => title),
    columns.map(({ isNumeric }) => isNumeric),
    rows.map(({ cells }) => cells.map(({ text }) => text)),
  );
}

function table(titles: string[], isNumeric: boolean[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(escaped).join(" | ")} |`;
  const rule = `| ${isNumeric.map((right) => (right ? "---:" : "---")).join(" | ")} |`;
  return [line(titles), rule, ...rows.map(line)].join("\n");
}

/** Escapes what would end a cell, or be a tag or mark-up. */
const escaped = (text: string): string =>
  text.replace(/[\\|`*_[\]<>]/g, (character) => `\\${character}`).replace(/\s+/g, " ");
