import * as Plot from "@observablehq/plot";
import { timesText, timeText } from "../../figures.js";
import type { Headline, HeadlineBar } from "../headline.js";
import { marginFor, STYLE } from "./axis.js";
import { colorOf } from "./words.js";

const LINE = 34;

/** Milliseconds a step, from 0: a bar for each, ours first. Outside a browser it is drawn in the document that is given. */
export function headlineBars({ bars }: Headline, width: number, within: Document = document): Element {
  const names = bars.map(({ name }) => name);
  return Plot.plot({
    ...STYLE,
    document: within,
    width,
    height: 50 + LINE * bars.length,
    marginTop: 2,
    marginBottom: 46,
    marginLeft: marginFor(names),
    marginRight: 116,
    x: { domain: [0, Math.max(...bars.map(({ milliseconds }) => milliseconds))], label: null },
    y: { domain: names, padding: 0.25, label: null },
    marks: [
      Plot.gridX({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.axisX({ ticks: 5, tickSize: 0, label: "milliseconds a step: shorter is better", labelArrow: "none" }),
      Plot.axisY({ tickSize: 0 }),
      Plot.barX(bars, { x: "milliseconds", y: "name", fill: ({ name }: HeadlineBar) => colorOf(name), rx: 2 }),
      Plot.text(bars, { x: "milliseconds", y: "name", text: barText, textAnchor: "start", dx: 6, fontWeight: 600 }),
    ],
  });
}

const barText = ({ milliseconds, times }: HeadlineBar): string =>
  times === 1 ? timeText(milliseconds) : `${timeText(milliseconds)} · ${timesText(times)}×`;
