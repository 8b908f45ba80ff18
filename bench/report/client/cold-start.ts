import * as Plot from "@observablehq/plot";
import type { Entry } from "../model.js";
import { marginFor, STYLE, TIP } from "./axis.js";
import { colorOf, tipOf } from "./words.js";

const LINE = 34;

interface Bar {
  name: string;
  /** Milliseconds, of which `bare` go to a process that does nothing. */
  total: number;
  bare: number;
}

/** Milliseconds from start to end; the faint part is what a process takes that does nothing. */
export function coldStart([entry]: readonly Entry[], all: readonly Entry[], width: number): Element {
  const bars = barsOf(entry);
  const highest = Math.max(...all.flatMap(barsOf).map(({ total }) => total));
  const above = ({ total, bare }: Bar) => total - bare;
  return Plot.plot({
    ...STYLE,
    width,
    height: 58 + LINE * bars.length,
    marginBottom: 44,
    marginLeft: marginFor(bars.map(({ name }) => name)),
    marginRight: 70,
    x: { domain: [0, highest], label: null },
    y: { domain: bars.map(({ name }) => name), padding: 0.25, label: null },
    marks: [
      Plot.gridX({ ticks: 5, strokeOpacity: 0.12 }),
      Plot.axisX({
        ticks: 5,
        tickSize: 0,
        label: "milliseconds from the start of the process to its end",
        labelArrow: "none",
      }),
      Plot.axisY({ tickSize: 0 }),
      Plot.barX(bars, { x1: 0, x2: "bare", y: "name", fill: colorOf("bare Node"), fillOpacity: () => 0.35 }),
      Plot.barX(bars, { x1: "bare", x2: "total", y: "name", fill: ({ name }: Bar) => colorOf(name) }),
      Plot.text(bars, {
        x: "total",
        y: "name",
        text: (bar: Bar) => (above(bar) > 0 ? `+${above(bar).toFixed(1)} ms` : `${bar.total.toFixed(1)} ms`),
        textAnchor: "start",
        dx: 6,
        fontWeight: 600,
      }),
      Plot.tip(bars, Plot.pointerY({ ...TIP, x: "total", y: "name", title: () => tipOf(entry) })),
    ],
  });
}

function barsOf({ row, contenders }: Entry): Bar[] {
  const bare = row.milliseconds[contenders[0]];
  return contenders.map((name) => {
    const total = row.milliseconds[name];
    return { name, total, bare: Math.min(bare, total) };
  });
}
