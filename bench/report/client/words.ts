import { perElementText, roundsText, shareText, timesText, timeText } from "../../figures.js";
import type { Entry } from "../model.js";

const COLORS: Record<string, string> = {
  lanegrad: "var(--ours)",
  normal: "var(--ours)",
  "lanegrad, wide": "var(--ours)",
  "one file": "var(--ours)",
  package: "var(--ours)",
  twin: "var(--twin)",
  "blocked JS": "var(--blocked)",
  "TF.js wasm": "var(--orange)",
  "jax-js wasm": "var(--violet)",
  "ORT web": "var(--blue)",
  "ORT node": "var(--sky)",
};

export const colorOf = (contender: string): string => COLORS[contender] ?? "var(--muted)";

/** "SGD, batch 32" for "step sgd batch 32" */
export function titleOf(name: string): string {
  const words = name.replace(/^(step|forward) /, "").replace(/\b(sgd|cnn)\b/g, (word) => word.toUpperCase());
  return words
    .replace(/\badam\b/, "Adam")
    .replace(/ ?batch/, ", batch")
    .replace(/^, b/, "B");
}

/** What a tooltip says of a row. */
export function tipOf({ row, figures, contenders }: Entry): string {
  const { gflops, shareOfLimit, nanosecondsPerElement, times } = figures;
  const timeLines = contenders.map((name) => {
    const time = row.milliseconds[name];
    if (time === undefined) return row.without?.[name] ? `${name}: ${row.without[name]}` : "";
    return `${name}: ${timeText(time)}${name in times ? `, ${timesText(times[name])} ×` : ""}`;
  });
  const lines = [
    row.name,
    ...timeLines,
    gflops === undefined ? "" : `${gflops.toFixed(1)} GFLOP/s`,
    shareOfLimit === undefined ? "" : `${shareText(shareOfLimit)} of the limit`,
    nanosecondsPerElement === undefined ? "" : `${perElementText(nanosecondsPerElement)} ns an element`,
    `${roundsText(row).replace("!", "")} rounds count${row.noisy ? ": noisy, not to be quoted" : ""}`,
  ];
  return lines.filter((line) => line !== "").join("\n");
}
