import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Axis, Chart, Series } from "./experiment.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 720;
const HEIGHT = 280;
const LEGEND_LINE = 18;
const FONT_SIZE = 12;
/** Room for one, on average. */
const LETTER = 7;

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
export function svgOf({ title, x, y, series: given }: Chart): string {
  // a logarithmic axis has no place for 0
  const isDrawn = ([at, value]: readonly [number, number]) => (!x.log || at > 0) && (!y.log || value > 0);
  const series = given.map((one) => ({ ...one, points: one.points.filter(isDrawn) }));
  const { document } = parseHTML("<html><body></body></html>");
  const names = [...new Set(series.map(({ name }) => name))];
  const legend = names.length > 1 ? legendRows(names) : [];
  const panels = [...new Set(series.map(({ panel }) => panel))];
  const hasPanels = panels[0] !== undefined;
  const top = 28 + LEGEND_LINE * legend.length;
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height: HEIGHT + LEGEND_LINE * legend.length,
    marginTop: top,
    marginLeft: y.names === undefined ? 54 : 12 + LETTER * Math.max(...y.names.map(({ length }) => length)),
    marginRight: 16,
    marginBottom: 40,
    style: { fontSize: `${FONT_SIZE}px` },
    color: { domain: names, range: COLORS },
    x: scaleOf(
      x,
      series.flatMap(({ points }) => points.map(([value]) => value)),
    ),
    y: {
      ...scaleOf(
        y,
        series.flatMap(({ points }) => points.map(([, value]) => value)),
      ),
      grid: true,
      label: null,
    },
    fx: hasPanels ? { domain: panels as string[], label: null, padding: 0.1 } : undefined,
    marks: series.map((one) => markOf(one, hasPanels)),
  });
  const element = (tag: string, attributes: Record<string, string | number>, text = ""): Element => {
    const made = document.createElementNS(NAMESPACE, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    made.textContent = text;
    return made;
  };
  svg.querySelector("style")!.textContent = STYLE;
  svg.removeAttribute("class");
  svg.setAttribute("xmlns", NAMESPACE);
  svg.setAttribute("role", "img");
  legend.forEach((row, line) => {
    const baseline = 14 + LEGEND_LINE * line;
    for (const { name, left } of row) {
      svg.append(
        element("circle", { cx: left, cy: baseline - 4, r: 4.5, fill: COLORS[names.indexOf(name)] }),
        element("text", { x: left + 10, y: baseline, "text-anchor": "start" }, name),
      );
    }
  });
  svg.append(element("text", { x: 4, y: top - 10, "text-anchor": "start" }, y.label));
  svg.prepend(element("title", {}, title));
  roundNumbers(svg);
  return `${svg.outerHTML}\n`;
}

function scaleOf({ label, log, domain, names }: Axis, values: readonly number[]): Plot.ScaleOptions {
  if (names !== undefined) {
    const places = names.map((_, place) => place);
    return { label: null, type: "point", domain: places, tickFormat: (place: number) => names[place], padding: 0.5 };
  }
  const scale = { label, labelArrow: "none" as const };
  if (!log) return { ...scale, domain, nice: domain === undefined, ticks: TICKS };
  const extent = domain ?? [Math.min(...values), Math.max(...values)];
  return { ...scale, type: "log", domain: extent, ticks: powersOfTen(extent), tickFormat: powerText };
}

const TICKS = 6;

/** Every so many-th within a range, 1 among them, so that there are few; the ends of the range where there are none. */
function powersOfTen([low, high]: readonly [number, number]): readonly number[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-6), Math.floor(Math.log10(high) + 1e-6)];
  const exponents = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  const step = Math.ceil(exponents.length / TICKS);
  const powers = exponents.filter((exponent) => exponent % step === 0).map((exponent) => Number(`1e${exponent}`));
  return powers.length > 0 ? powers : [low, high];
}

function powerText(power: number): string {
  const exponent = Math.round(Math.log10(power));
  return Math.abs(exponent) <= 3
    ? String(Number(power.toPrecision(2)))
    : `10${Array.from(String(exponent), (digit) => RAISED[digit]).join("")}`;
}

const RAISED: Record<string, string> = Object.fromEntries(
  Array.from("-0123456789", (digit, i) => [digit, "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"[i]]),
);

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
