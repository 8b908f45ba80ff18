import { timesText, timeText } from "../figures.js";
import { NORMAL } from "../width.js";
import { inOrder, kindOf } from "./contenders.js";
import type { Entry, Report, Setup } from "./model.js";

/** The row that stands for all: a usual dense network at a usual batch. */
const ROW = "step sgd batch 128";
/** Ours once more, where it was widened. */
export const WIDE_BAR = `${NORMAL}, wide`;

export interface Headline {
  setup: Setup;
  /** Ours first. */
  bars: HeadlineBar[];
  noisy: boolean;
}

export interface HeadlineBar {
  name: string;
  milliseconds: number;
  /** How many times as long as lanegrad with its normal kernels, in the same process. */
  times: number;
}

/** The result in a few bars, from the setup without wide kernels in which most took part; of several from the latest. Undefined without such a row. */
export function headlineOf({ setups, entries }: Report): Headline | undefined {
  const candidates = setups
    .filter(({ wide }) => !wide)
    .map((setup) => ({ setup, own: entriesOn(setup, entries) }))
    .filter(({ own }) => own.length > 0)
    .map((candidate) => ({ ...candidate, others: othersOf(candidate.own) }));
  const [first] = candidates.toReversed().toSorted((a, b) => b.others.length - a.others.length);
  if (first === undefined) return undefined;
  const { setup, own, others } = first;
  const ours = { name: NORMAL, milliseconds: own[0].row.milliseconds[NORMAL], times: 1 };
  const wide = setups.find((other) => other.wide && other.node === setup.node && other.kernels === setup.kernels);
  const [wideEntry] = wide === undefined ? [] : entriesOn(wide, entries);
  return {
    setup,
    bars: [ours, ...(wideEntry === undefined ? [] : [wideBar(wideEntry)]), ...others],
    noisy: own.some(({ row }) => row.noisy),
  };
}

const entriesOn = (setup: Setup, entries: readonly Entry[]): Entry[] =>
  entries.filter((entry) => entry.setup === setup.label && entry.row.name === ROW);

function othersOf(entries: readonly Entry[]): HeadlineBar[] {
  const bars = entries.flatMap(({ row, figures }) =>
    Object.entries(figures.times).map(([name, times]) => ({ name, milliseconds: row.milliseconds[name], times })),
  );
  return inOrder(bars, ({ name }) => name);
}

function wideBar({ row, figures }: Entry): HeadlineBar {
  const [times] = Object.values(figures.times);
  return { name: WIDE_BAR, milliseconds: row.milliseconds[NORMAL], times: 1 / times };
}

/** What the chart says, in a sentence. */
export function headlineText({ setup, bars: [ours, ...others] }: Headline): string {
  const compared = [
    { than: "other WebAssembly libraries", bars: others.filter(({ name }) => kindOf(name) === "library") },
    { than: "pure JavaScript", bars: others.filter(({ name }) => kindOf(name) === "JavaScript") },
  ];
  const parts = compared
    .filter(({ bars }) => bars.length > 0)
    .map(({ than, bars }) => `${rangeText(bars.map(({ times }) => times))} times as fast as ${than}`);
  const comparison = parts.length === 0 ? "" : `: ${parts.join(" and ")}`;
  return `A training step takes lanegrad ${timeText(ours.milliseconds)} on one thread of Node ${major(setup)}${comparison}.`;
}

const major = ({ node }: Setup): string => node.split(".")[0];

function rangeText(times: readonly number[]): string {
  const [lowest, highest] = [Math.min(...times), Math.max(...times)].map(timesText);
  return lowest === highest ? lowest : `${lowest} to ${highest}`;
}
