import * as Plot from "@observablehq/plot";
import { SECOND } from "../../width.js";
import { passOf } from "../groups.js";
import type { Entry } from "../model.js";
import { extent, logTicks, marginFor, STYLE, TIP } from "./axis.js";
import { colorOf, tipOf } from "./words.js";

const LINE = 24;

interface Mark {
  pass: string;
  nanoseconds: number;
  entry: Entry;
}

/** A line for each pass; on it a mark for each shape, ours and the twin's; on a setup of wide kernels the normal ones' too. */
export function passDots(own: readonly Entry[], all: readonly Entry[], width: number): Element {
  const marksOf = (entries: readonly Entry[], contender: string) =>
    entries.filter(({ row }) => contender in row.milliseconds).map((entry) => markOf(entry, contender));
  const ours = marksOf(own, "lanegrad");
  const hollow = [SECOND, "twin"].map((contender) => ({ contender, marks: marksOf(own, contender) }));
  const everyone = ["lanegrad", "twin"].flatMap((contender) => marksOf(all, contender));
  const passes = [...new Set(own.map((entry) => passOf(entry.row.name)!.pass))];
  const domain = extent(
    everyone.map(({ nanoseconds }) => nanoseconds),
    1.15,
  );
  const marginLeft = marginFor(passes);
  const ticks = logTicks(domain, width - marginLeft);
  const place = { x: "nanoseconds", y: "pass" };
  return Plot.plot({
    ...STYLE,
    width,
    height: 62 + LINE * passes.length,
    marginBottom: 44,
    marginLeft,
    marginRight: 12,
    x: { type: "log", domain, label: null },
    y: { domain: passes, type: "point", label: null, padding: 0.6 },
    marks: [
      Plot.gridX(ticks, { strokeOpacity: 0.12 }),
      Plot.ruleY(passes, { strokeOpacity: 0.08 }),
      Plot.axisX(ticks, {
        tickSize: 0,
        text: String,
        label: "nanoseconds an element (logarithmic)",
        labelArrow: "none",
      }),
      Plot.axisY({ tickSize: 0 }),
      ...hollow.map(({ contender, marks }) =>
        Plot.dot(marks, { ...place, r: 3.5, stroke: colorOf(contender), strokeWidth: 1.5 }),
      ),
      Plot.dot(ours, {
        ...place,
        r: 4.5,
        fill: colorOf("lanegrad"),
        fillOpacity: ({ entry }: Mark) => (entry.row.noisy ? 0.4 : 0.85),
      }),
      Plot.tip(
        [...ours, ...hollow.flatMap(({ marks }) => marks)],
        Plot.pointer({ ...TIP, ...place, title: ({ entry }: Mark) => tipOf(entry) }),
      ),
    ],
  });
}

function markOf(entry: Entry, contender: string): Mark {
  const { row, figures } = entry;
  const nanoseconds = (figures.nanosecondsPerElement! * row.milliseconds[contender]) / row.milliseconds.lanegrad;
  return { pass: passOf(row.name)!.pass, nanoseconds, entry };
}
