import { readFileSync } from "node:fs";
import { parseHTML } from "linkedom";
import { headlineBars } from "./client/headline.js";
import { type Headline, headlineText } from "./headline.js";
import { Html, html } from "./html.js";

const COLORS = new URL("client/colors.css", import.meta.url);
const WIDTH = 760;
const PADDING = 20;
/** Room for the two lines above the bars. */
const HEAD = 58;

/** The bars at the head of the page as a picture of their own, which is light or dark as the reader's screen is. */
export function chartOf(headline: Headline): string {
  const bars = headlineBars(headline, WIDTH - 2 * PADDING, parseHTML("<html></html>").document);
  bars.setAttribute("x", String(PADDING));
  bars.setAttribute("y", String(HEAD));
  const height = HEAD + Number(bars.getAttribute("height")) + PADDING / 2;
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">
<title>${headlineText(headline)}</title>
<style>
${new Html(readFileSync(COLORS, "utf8"))}
svg { color: var(--ink); font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow: visible; }
</style>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="12" fill="var(--card)" stroke="var(--line)"/>
<text x="${PADDING}" y="28" font-size="16" font-weight="600" fill="var(--ink)">A training step on one thread</text>
<text x="${PADDING}" y="47" font-size="12" fill="var(--muted)">784-256-256-10 with PReLU, SGD, batch 128. ${headline.setup.label}. ×: how many times as long as lanegrad</text>
${new Html(bars.outerHTML)}
</svg>
`.text;
}
