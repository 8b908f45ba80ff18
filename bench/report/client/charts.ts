import { headlineOf } from "../headline.js";
import type { Entry, Report } from "../model.js";
import { coldStart } from "./cold-start.js";
import { headlineBars } from "./headline.js";
import { convolutionHeat, productHeat, squareHeat } from "./heat.js";
import { passDots } from "./passes.js";
import { setupsCompared } from "./setups.js";
import { timesBars } from "./times.js";

export interface Chart {
  title?: string;
  /** Beside the title. */
  note?: string;
  draw(width: number): Element;
}

/** Draws one setup's entries. The axis covers those of all setups, so that charts side by side have one scale. */
type Draw = (own: readonly Entry[], all: readonly Entry[], width: number) => Element;

/** By section. */
const DRAWINGS: Record<string, { note?: string; draw: Draw; of(entry: Entry): boolean }[]> = {
  steps: [{ draw: timesBars, of: ({ group }) => group === "step" }],
  forward: [{ draw: timesBars, of: ({ group }) => group === "forward" }],
  products: [
    {
      note: "by batch",
      draw: productHeat,
      of: ({ bench, group }) => bench === "kernels" && (group === "product" || group === "step"),
    },
    { note: "n × n by n × n", draw: squareHeat, of: ({ row }) => row.name.startsWith("product square ") },
  ],
  convolutions: [{ draw: convolutionHeat, of: ({ group }) => group === "convolution" }],
  passes: [{ draw: passDots, of: ({ group }) => group === "pass" }],
  coldstart: [{ draw: coldStart, of: ({ group }) => group === "coldstart" }],
};

/** A section's charts: for each setup that has rows there. */
export function chartsOf(section: string, report: Report): Chart[] {
  if (section === "headline") return [{ draw: (width) => headlineBars(headlineOf(report)!, width) }];
  if (section === "setups") return setupsCompared(report);
  return (DRAWINGS[section] ?? []).flatMap(({ note, draw, of }) => {
    const all = report.entries.filter(of);
    return report.setups.flatMap(({ label }) => {
      const own = all.filter(({ setup }) => setup === label);
      return own.length === 0 ? [] : [{ title: label, note, draw: (width) => draw(own, all, width) }];
    });
  });
}
