import * as Plot from "@observablehq/plot";
import { timeText } from "../../figures.js";
import { median } from "../../numbers.js";
import type { Group } from "../groups.js";
import { type Entry, grouped, type Report, type Setup } from "../model.js";
import { extent, logTicks, marginFor, STYLE, TIP } from "./axis.js";
import type { Chart } from "./charts.js";
import { colorOf } from "./words.js";

const GROUP_NAMES: Record<Group, string> = {
  step: "training steps",
  forward: "forward passes",
  product: "products",
  convolution: "convolutions",
  pass: "other passes",
  coldstart: "cold start",
  other: "other",
};
const LINE = 54;

interface Tick {
  group: string;
  times: number;
  text: string;
}

/** Each setup beside the first, and wide kernels beside the normal ones of the same Node. */
export function setupsCompared({ setups, entries }: Report): Chart[] {
  const pairs = setups.slice(1).map((setup) => ({ setup, base: normalOf(setup, setups) ?? setups[0] }));
  const charts = pairs.map(({ setup, base }) => ({ setup, base, ticks: ticksOf(setup, base, entries) }));
  const every = charts.flatMap(({ ticks }) => ticks.map(({ times }) => times));
  return charts
    .filter(({ ticks }) => ticks.length > 0)
    .map(({ setup, base, ticks }) => ({
      title: setup.label,
      note: `beside ${base.label}`,
      draw: (width) => strips(ticks, extent([0.9, 1.1, ...every], 1.05), width),
    }));
}

const normalOf = ({ wide, node, kernels }: Setup, setups: readonly Setup[]): Setup | undefined =>
  wide ? setups.find((other) => other.node === node && other.kernels === kernels && !other.wide) : undefined;

function ticksOf(setup: Setup, base: Setup, entries: readonly Entry[]): Tick[] {
  const baseRows = new Map(
    entries.filter((entry) => entry.setup === base.label).map(({ bench, row }) => [`${bench} ${row.name}`, row]),
  );
  return entries
    .filter((entry) => entry.setup === setup.label && entry.contenders[0] === "lanegrad")
    .flatMap(({ bench, group, row }) => {
      const other = baseRows.get(`${bench} ${row.name}`);
      if (other === undefined) return [];
      const [own, theirs] = [row.milliseconds.lanegrad, other.milliseconds.lanegrad];
      const times = theirs / own;
      const noise = row.noisy || other.noisy ? "\nnoisy, not to be quoted" : "";
      const text = `${row.name}\n${timeText(theirs)} → ${timeText(own)}\n${times.toFixed(2)} times as fast${noise}`;
      return [{ group: GROUP_NAMES[group], times, text }];
    });
}

/** A strip for each group of rows: a tick a row, a dot at the median. */
function strips(ticks: readonly Tick[], domain: [number, number], width: number): Element {
  const medians = grouped(ticks, ({ group }) => group).map((own) => ({
    group: own[0].group,
    times: median(own.map(({ times }) => times)),
  }));
  const groups = medians.map(({ group }) => group);
  const marginLeft = marginFor(groups);
  const marks = logTicks(domain, width - marginLeft);
  const place = { x: "times", y: "group" };
  return Plot.plot({
    ...STYLE,
    width,
    height: 60 + LINE * medians.length,
    marginBottom: 44,
    marginLeft,
    marginRight: 16,
    x: { type: "log", domain, label: null },
    y: { domain: groups, label: null, padding: 0.5 },
    marks: [
      Plot.gridX(marks, { strokeOpacity: 0.12 }),
      Plot.axisX(marks, {
        tickSize: 0,
        label: "times as fast (logarithmic)",
        labelArrow: "none",
        text: (value: number) => `${value}×`,
      }),
      Plot.axisY({ tickSize: 0 }),
      Plot.ruleX([1], { stroke: colorOf("twin") }),
      Plot.tickX(ticks, { ...place, stroke: colorOf("lanegrad"), strokeOpacity: () => 0.55, strokeWidth: 1.5 }),
      Plot.dot(medians, { ...place, r: 5, fill: colorOf("lanegrad"), stroke: "var(--card)" }),
      Plot.text(medians, { ...place, text: ({ times }) => `${times.toFixed(2)}×`, dy: -24, fontWeight: 600 }),
      Plot.tip(ticks, Plot.pointer({ ...TIP, ...place, title: "text" })),
    ],
  });
}
