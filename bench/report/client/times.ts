import * as Plot from "@observablehq/plot";
import { timesText, timeText } from "../../figures.js";
import { type Entry, grouped } from "../model.js";
import { extent, logTicks, STYLE, TIP } from "./axis.js";
import { colorOf, tipOf, titleOf } from "./words.js";

const LINE = 20;
/** Nearer to the bars below than to those above. */
const HEADING_SHIFT = 3;
/** Keeps text readable across a line. */
const HALO = { stroke: "var(--card)", strokeWidth: 5, fill: "currentColor" };
const MARGIN = { left: 92, right: 52, top: 4, bottom: 44 };

interface Bar {
  /** The line it stands on. */
  key: string;
  contender: string;
  times?: number;
  text: string;
  entry: Entry;
}

interface Heading {
  key: string;
  text: string;
  ours: string;
}

/** How many times as long as lanegrad the others take, on a scale where 1 is in the same place for all: row by row, a bar for each. */
export function timesBars(own: readonly Entry[], all: readonly Entry[], width: number): Element {
  const everyTimes = all.flatMap(({ figures }) => Object.values(figures.times));
  const shown = new Set(own.flatMap(({ figures }) => Object.keys(figures.times)));
  const lines = grouped(own, ({ row }) => row.name).map((entries) => ({
    heading: headingOf(entries),
    bars: entries.flatMap((entry) => barsOf(entry, shown)),
  }));
  const keys = lines.flatMap(({ heading, bars }) => [heading.key, ...bars.map(({ key }) => key)]);
  const bars = lines.flatMap((line) => line.bars);
  const headings = lines.map(({ heading }) => heading);
  const domain = extent([1, 2, ...everyTimes]);
  const ticks = logTicks(domain, width - MARGIN.left - MARGIN.right);
  return Plot.plot({
    width,
    height: MARGIN.top + MARGIN.bottom + LINE * keys.length,
    marginLeft: MARGIN.left,
    marginRight: MARGIN.right,
    marginTop: MARGIN.top,
    marginBottom: MARGIN.bottom,
    ...STYLE,
    x: { type: "log", domain, label: null },
    y: { domain: keys, padding: 0.2, axis: null },
    marks: [
      Plot.gridX(ticks, { strokeOpacity: 0.12 }),
      Plot.axisX(ticks, {
        text: (value: number) => `${value}×`,
        tickSize: 0,
        label: "times as long as lanegrad (logarithmic)",
        labelArrow: "none",
      }),
      Plot.barX(bars, {
        x1: 1,
        x2: "times",
        y: "key",
        fill: ({ contender }: Bar) => colorOf(contender),
        fillOpacity: opacity,
        rx: 2,
      }),
      Plot.ruleX([1], { stroke: colorOf("lanegrad"), strokeWidth: 1.5 }),
      Plot.text(bars, {
        ...HALO,
        x: ({ times = 1 }: Bar) => Math.max(1, times),
        y: "key",
        text: "text",
        textAnchor: "start",
        dx: 5,
        fillOpacity: ({ times }: Bar) => (times === undefined ? 0.6 : 1),
      }),
      Plot.text(bars, {
        frameAnchor: "left",
        y: "key",
        text: "contender",
        textAnchor: "end",
        dx: -8,
        fillOpacity: 0.75,
      }),
      Plot.text(headings, {
        ...HALO,
        frameAnchor: "left",
        y: "key",
        text: "text",
        textAnchor: "start",
        dx: -MARGIN.left,
        dy: HEADING_SHIFT,
        fontWeight: 600,
      }),
      Plot.text(headings, {
        ...HALO,
        frameAnchor: "right",
        y: "key",
        text: "ours",
        textAnchor: "end",
        dx: MARGIN.right,
        dy: HEADING_SHIFT,
        fill: colorOf("lanegrad"),
        fontWeight: 600,
      }),
      Plot.tip(
        bars,
        Plot.pointerY({ ...TIP, x: ({ times = 1 }: Bar) => times, y: "key", title: ({ entry }: Bar) => tipOf(entry) }),
      ),
    ],
  });
}

const opacity = ({ entry }: Bar): number => (entry.row.noisy ? 0.45 : 0.9);

function headingOf([{ row }]: Entry[]): Heading {
  return { key: row.name, text: titleOf(row.name), ours: `lanegrad ${timeText(row.milliseconds.lanegrad)}` };
}

/** For every other contender that has a time somewhere in the chart. */
function barsOf(entry: Entry, shown: ReadonlySet<string>): Bar[] {
  const { row, figures, contenders } = entry;
  return contenders.slice(1).flatMap((contender) => {
    const times = figures.times[contender];
    const reason = row.without?.[contender];
    if (!shown.has(contender) || (times === undefined && !reason)) return [];
    const text = times === undefined ? reason! : `${timesText(times)}×${row.noisy ? " noisy" : ""}`;
    return [{ key: `${row.name} ${contender}`, contender, times, text, entry }];
  });
}
