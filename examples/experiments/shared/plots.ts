import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Axis, Chart, Series } from "./experiment.js";

const WIDTH = 720;
const HEIGHT = 280;
const LEGEND_LINE = 18;
const FONT_SIZE = 12;
/** On average, of the font. */
const LETTER = 6.4;

/** Of a luminance that can be read on white and on black. */
const COLORS = ["#3b82f6", "#e8590c", "#2f9e44", "#9c5de0", "#e64980", "#868e96", "#b8860b", "#1098ad"];

/** Text and axes follow the page that the picture is in; the ground is the page's own. */
const STYLE = `svg { color: #24292f; } text { white-space: pre; }
@media (prefers-color-scheme: dark) { svg { color: #d1d7e0; } }`;

interface Point {
  x: number;
  y: number;
  series: Series;
}

/** The chart as the text of an SVG file. */
export function svgOf({ title, x, y, series }: Chart): string {
  const { document } = parseHTML("<html><body></body></html>");
  const names = [...new Set(series.map(({ name }) => name))];
  const legend = names.length > 1 ? legendRows(names) : [];
  const panels = [...new Set(series.map(({ panel }) => panel))];
  const hasPanels = panels[0] !== undefined;
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height: HEIGHT + LEGEND_LINE * legend.length,
    marginTop: 24 + LEGEND_LINE * legend.length + (hasPanels ? 16 : 0),
    marginLeft: y.names === undefined ? 54 : 12 + LETTER * Math.max(...y.names.map(({ length }) => length)),
    marginRight: 16,
    marginBottom: 40,
    style: { fontSize: `${FONT_SIZE}px` },
    color: { domain: names, range: COLORS },
    x: scaleOf(x),
    y: { ...scaleOf(y), grid: true },
    fx: hasPanels ? { domain: panels as string[], label: null, padding: 0.06 } : undefined,
    marks: series.map((one) => markOf(one, hasPanels)),
  });
  svg.querySelector("style")!.textContent = STYLE;
  svg.removeAttribute("class");
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("role", "img");
  legend.forEach((row, line) => {
    svg.append(
      ...row.flatMap(({ name, left }) => legendEntry(document, name, left, line, COLORS[names.indexOf(name)])),
    );
  });
  const heading = document.createElementNS("http://www.w3.org/2000/svg", "title");
  heading.textContent = title;
  svg.prepend(heading);
  roundNumbers(svg);
  return `${svg.outerHTML}\n`;
}

function scaleOf({ label, log, domain, names }: Axis): Plot.ScaleOptions {
  if (names !== undefined) {
    const places = names.map((_, place) => place);
    return { label: null, type: "point", domain: places, tickFormat: (place: number) => names[place], padding: 0.5 };
  }
  return { label, labelArrow: "none", type: log ? "log" : "linear", domain, ticks: 6, nice: domain === undefined };
}

function markOf(series: Series, hasPanels: boolean): Plot.Markish {
  const points: Point[] = series.points.map(([x, y]) => ({ x, y, series }));
  const panel = hasPanels ? { fx: () => series.panel! } : {};
  const [place, color] = [{ x: "x", y: "y", ...panel }, () => series.name];
  switch (series.as) {
    case "dots":
      return Plot.dot(points, { ...place, fill: color, r: 2.6 });
    case "line":
      return Plot.line(points, { ...place, stroke: color, strokeWidth: 1.5 });
    case "dashes":
      return Plot.line(points, { ...place, stroke: color, strokeWidth: 1.2, strokeDasharray: "5,3" });
    case "bars": {
      const half = (points[1].x - points[0].x) / 2;
      const edges = { x1: ({ x }: Point) => x - half, x2: ({ x }: Point) => x + half };
      return Plot.rectY(points, { ...edges, y: "y", ...panel, fill: color, inset: 0.5 });
    }
  }
}

/** Names with where each begins, in as many rows as they take. */
function legendRows(names: readonly string[]): { name: string; left: number }[][] {
  const rows: { name: string; left: number }[][] = [[]];
  let left = 12;
  for (const name of names) {
    const width = 30 + LETTER * name.length;
    if (left + width > WIDTH) {
      rows.push([]);
      left = 12;
    }
    rows[rows.length - 1].push({ name, left });
    left += width;
  }
  return rows;
}

function legendEntry(document: Document, name: string, left: number, line: number, color: string): Element[] {
  const create = (tag: string, attributes: Record<string, string | number>) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    return element;
  };
  const y = 10 + LEGEND_LINE * line;
  const text = create("text", { x: left + 10, y: y + 4, "text-anchor": "start" });
  text.textContent = name;
  return [create("circle", { cx: left, cy: y, r: 4.5, fill: color }), text];
}

/** Hundredths of a pixel are enough, and the same on every engine. */
function roundNumbers(root: Element): void {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    for (const attribute of Array.from(element.attributes)) {
      if (attribute.name !== "xmlns") {
        attribute.value = attribute.value.replace(/-?\d+\.\d{3,}(e-?\d+)?/g, (text) =>
          String(Math.round(Number(text) * 100) / 100),
        );
      }
    }
  }
}
