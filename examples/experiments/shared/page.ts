import type { Claim, Report } from "./experiment.js";
import { escaped, tableMarkdown } from "./tables.js";

/** What a section of the page is made of. */
export interface Result {
  name: string;
  title: string;
  about: string;
  report: Report;
}

const INTRODUCTION = `# The experiments behind PReLU

What papers and tutorials say about PReLU, measured; where they only compare, a row says what a reader would expect.
\`npm run experiments\` runs the programs in \`examples/experiments/\` and writes this page, every number and picture of it. They use
the kernel set "simd" and fixed seeds, so that the page is the same on every machine. Each program runs alone, too, and has options for
other sizes: \`npm run build && node --import tsx examples/experiments/depth.ts --help\`.

The networks are small and the images few: 6,000 of Fashion-MNIST to train on and 1,000 to test. What does not hold here may hold
elsewhere.`;

/** The page as Markdown; its charts are in files beside it, in a folder. */
export function pageOf(results: readonly Result[], folder: string): string {
  return `${[INTRODUCTION, overview(results), ...results.map((result) => section(result, folder))].join("\n\n")}\n`;
}

function overview(results: readonly Result[]): string {
  const rows = results.flatMap(({ title, report }) =>
    report.claims.map(
      ({ says, holds }) => `| [${title}](#${anchorOf(title)}) | ${escaped(says)} | ${verdict(holds)} |`,
    ),
  );
  return ["| experiment | what is said | here |", "| --- | --- | --- |", ...rows].join("\n");
}

const verdict = (holds: boolean): string => (holds ? "holds" : "**does not hold**");

const anchorOf = (title: string): string => title.toLowerCase().replaceAll(" ", "-");

function section({ name, title, about, report: { claims, tables, charts } }: Result, folder: string): string {
  return [
    `## ${title}`,
    about,
    ...tables.map(tableMarkdown),
    ...charts.map((chart) => `![${escaped(chart.title)}](${folder}/${chart.name}.svg)\n\n*${escaped(chart.title)}*`),
    claims.map(claimItem).join("\n"),
    `The program: [\`examples/experiments/${name}.ts\`](../examples/experiments/${name}.ts)`,
  ].join("\n\n");
}

const claimItem = ({ says, holds, seen }: Claim): string =>
  `- ${escaped(says)} **${holds ? "Holds" : "Does not hold here"}**: ${escaped(seen)}.`;
