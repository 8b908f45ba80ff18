/**
 * The code blocks of a page, as one program. A block sees what the blocks before it have declared, and may declare the same names anew. What
 * a page's reader has and the page does not show, data for instance, stands in comments that no reader sees:
 *
 *     <!-- given
 *     const images = new Float32Array(784);
 *     -->
 *
 * A block of shell whose lines call `npx lanegrad` is run by pages.test.ts.
 *
 * A block marked ```js not-run needs what is not here, another library or a platform: its syntax is checked.
 */
export interface Block {
  readonly language: string;
  readonly isRun: boolean;
  readonly text: string;
  /** Where it begins in the page. */
  readonly line: number;
}

const FENCE = /^```(\w*)(?: +(.*))?$/;
const GIVEN = /^<!-- given$/;

/** Throws for a block that does not end, has no language, or is marked with anything but "not-run". */
export function blocksOf(page: string): Block[] {
  const lines = page.split("\n");
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const fence = FENCE.exec(lines[i]);
    if (fence === null && !GIVEN.test(lines[i])) continue;
    const [, language, mark] = fence ?? [lines[i], "js", undefined];
    if (language === "") throw new Error(`line ${i + 1}: a block without a language`);
    if (mark !== undefined && mark !== "not-run") throw new Error(`line ${i + 1}: a block marked "${mark}"`);
    const end = lines.indexOf(fence === null ? "-->" : "```", i);
    if (end < 0) throw new Error(`line ${i + 1}: a block that does not end`);
    const text = lines.slice(i + 1, end).join("\n");
    blocks.push({ language, isRun: language === "js" && mark === undefined, text, line: i + 1 });
    i = end;
  }
  return blocks;
}

const IMPORT = /^import .* from "(.*)";$/gm;

/** The blocks that are run, one inside the other; empty if there is none. */
export function programOf(blocks: readonly Block[]): string {
  const run = blocks.filter(({ isRun }) => isRun);
  if (run.length === 0) return "";
  const imports = new Set(run.flatMap(({ text }) => text.match(IMPORT) ?? []));
  const bodies = run.map(({ text, line }) => `{ // line ${line}\n${text.replace(IMPORT, "")}`);
  return [...imports, ...bodies, "}".repeat(run.length), ""].join("\n");
}
