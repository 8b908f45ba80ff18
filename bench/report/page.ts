import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Headline, headlineOf, headlineText, WIDE_BAR } from "./headline.js";
import { Html, html } from "./html.js";
import type { Report, Setup } from "./model.js";
import { type Section, sectionsOf } from "./sections.js";
import type { Sheet } from "./sheets.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPT = fileURLToPath(new URL("client/main.ts", import.meta.url));
const STYLES = ["client/colors.css", "client/style.css"].map((name) => new URL(name, import.meta.url));

/** The page, in one file: it asks for nothing else. */
export async function pageOf(report: Report): Promise<string> {
  const { script, licences } = await bundle();
  const sections = sectionsOf(report).filter(({ sheets }) => sheets.length > 0);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>lanegrad bench</title>
<link rel="icon" href="data:,">
<style>${STYLES.map((file) => new Html(readFileSync(file, "utf8")))}</style>
</head>
<body>
<header>
<h1>lanegrad bench</h1>
</header>
<main>
${headlinePart(headlineOf(report))}
${contendersPart(report)}
<nav>${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}
${report.setups.length > 1 && html`<a href="#setups">Side by side</a>`}
<a href="#machines">Machines and method</a></nav>
${sections.map(sectionPart)}
${
  report.setups.length > 1 &&
  html`<section id="setups"><h2>Side by side</h2>
<p>How many times as fast a row of lanegrad is on one setup as on another: a tick for each row, a dot at their median.</p>
<div class="charts"></div></section>`
}
<section id="machines"><h2>Machines and method</h2>
<p>Medians of rounds in which the contenders take turns in one process, on one thread. Only rounds count whose probes, before, between
and after the turns, show an undisturbed machine; a row with too few of them is marked <span class="noisy">noisy</span>, or with a <span class="noisy">!</span>, and not to be quoted.
The limit is what a loop of nothing but multiplications and additions in registers reaches.</p>
<div class="setups">${report.setups.map(setupCard)}</div></section>
</main>
${footer(licences)}
<noscript><style>.charts { display: none }</style></noscript>
<script type="application/json" id="report">${asJson(report)}</script>
<script>${script}</script>
</body>
</html>
`.text;
}

function headlinePart(headline: Headline | undefined): Html | false {
  if (headline === undefined) return false;
  const hasWide = headline.bars.some(({ name }) => name === WIDE_BAR);
  return html`<section id="headline"><h2>${headlineText(headline)}</h2>
<p>784-256-256-10 with PReLU, batch 128: forward pass, loss, all gradients and the update by SGD. ${headline.setup.label}.${
    hasWide && " Wide is the same with kernels of 256 bits, which have to be asked for."
  } × says how many times as long as lanegrad the others take, in the same process.${headline.noisy && html` <span class="noisy">Noisy: not to be quoted.</span>`}</p>
<div class="charts"></div></section>
`;
}

function contendersPart({ contenders }: Report): Html {
  const rows = Object.entries(contenders).map(([name, about]) => html`<dt>${name}</dt><dd>${about}</dd>`);
  return html`<section id="contenders"><h2>Who is compared</h2><dl>${rows}</dl></section>
`;
}

function setupCard(setup: Setup): Html {
  const { label, node, v8, machine, limit, date, quick, countedRounds, rounds, noisyRows, rows } = setup;
  return html`<dl class="card"><dt class="label">${label}</dt>
<dt>Versions</dt><dd>Node ${node}, V8 ${v8}</dd>
<dt>Machine</dt><dd>${machine}</dd>
${limit !== undefined && html`<dt>Limit</dt><dd>${limit}</dd>`}
<dt>Measured</dt><dd>${date.slice(0, 16).replace("T", " ")} UTC${quick && html`, <span class="noisy">a quick run: not to be quoted</span>`}</dd>
<dt>Rounds</dt><dd>${countedRounds} of ${rounds} count; ${noisyRows} of ${rows} rows noisy</dd></dl>
`;
}

function sectionPart({ id, title, about, sheets }: Section): Html {
  return html`<section id="${id}"><h2>${title}</h2><p>${about}</p><div class="charts"></div>
<details><summary>The figures</summary>${sheets.map(sheetTable)}</details></section>
`;
}

function sheetTable({ columns, rows }: Sheet): Html {
  const kind = columns.map(({ isNumeric }) => isNumeric && html` class="n"`);
  return html`<div class="scroll"><table class="sortable n-last">
<thead><tr>${columns.map(({ title }, i) => html`<th${kind[i]}>${title}</th>`)}</tr></thead>
<tbody>${rows.map(
    ({ cells, noisy }) =>
      html`<tr${noisy && html` class="noisy"`}>${cells.map(({ text, value }, i) => html`<td${kind[i]} data-sort="${value}">${text}</td>`)}</tr>
`,
  )}</tbody></table></div>
`;
}

function footer(licences: string[]): Html {
  return html`<footer><details><summary>Licences of what draws this page</summary>${licences.map((text) => html`<pre>${text}</pre>`)}</details></footer>`;
}

/** JSON without <, so that nothing in it can end the script's element. */
const asJson = (report: Report): Html => new Html(JSON.stringify(report).replaceAll("<", "\\u003c"));

async function bundle(): Promise<{ script: Html; licences: string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [SCRIPT],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "iife",
    target: "es2022",
    legalComments: "none",
    absWorkingDir: ROOT,
  });
  const script = new Html(outputFiles[0].text.replaceAll("</script", "<\\/script"));
  return { script, licences: licencesOf(Object.keys(metafile.inputs)) };
}

/** The licences of the packages that these files are from, each text once. */
function licencesOf(files: string[]): string[] {
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  const texts = new Map<string, string[]>();
  for (const folder of new Set(folders)) {
    const text = readFileSync(join(ROOT, folder, "LICENSE"), "utf8").trim();
    texts.set(text, [...(texts.get(text) ?? []), folder.replace(/^.*node_modules\//, "")]);
  }
  return [...texts].map(([text, names]) => `${names.join(", ")}\n\n${text}`);
}
