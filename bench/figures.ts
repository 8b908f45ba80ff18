import type { Run, RunRow } from "./run.js";

/** What follows from a row's times. */
export interface Figures {
  gflops?: number;
  shareOfLimit?: number;
  /** Milliseconds: the larger of the time of reading or writing once what a call has to and that of its arithmetic at the limit. */
  bound?: number;
  shareOfBound?: number;
  nanosecondsPerElement?: number;
  /** For each contender but the first: how many times as long as the first it takes. */
  times: Record<string, number>;
}

export function figuresOf(
  { work, milliseconds, memory, clock }: RunRow,
  { contenders, limit }: Pick<Run, "contenders" | "limit">,
): Figures {
  const [first, ...others] = contenders.map(({ name }) => name);
  const ours = milliseconds[first];
  const gflops = work !== undefined && "flop" in work ? work.flop / ours / 1e6 : undefined;
  const shareOfLimit = gflops && limit && clock ? gflops / (limit.flopPerCycle * clock) : undefined;
  const bound = shareOfLimit && memory && Math.max(memory, shareOfLimit * ours);
  return {
    gflops,
    shareOfLimit,
    bound,
    shareOfBound: bound && bound / ours,
    nanosecondsPerElement: work !== undefined && "elements" in work ? (1e6 * ours) / work.elements : undefined,
    times: Object.fromEntries(
      others.filter((name) => name in milliseconds).map((name) => [name, milliseconds[name] / ours]),
    ),
  };
}

const UNITS = [
  { name: "s", milliseconds: 1000 },
  { name: "ms", milliseconds: 1 },
  { name: "µs", milliseconds: 1e-3 },
  { name: "ns", milliseconds: 1e-6 },
];

/** "1.23 ms", "12.3 µs", "123 ns" */
export function timeText(milliseconds: number): string {
  const unit = UNITS.find((candidate) => milliseconds >= candidate.milliseconds) ?? UNITS[UNITS.length - 1];
  return `${threeDigits(milliseconds / unit.milliseconds)} ${unit.name}`;
}

/** "0.44", "1.87", "8.7", "47.8", "123" */
export const timesText = (times: number): string => times.toFixed(times < 3 ? 2 : times < 100 ? 1 : 0);

export const shareText = (share: number): string => `${(100 * share).toFixed(0)} %`;

export const perElementText = (nanoseconds: number): string => nanoseconds.toFixed(3);

/** At least three digits: "1.23", "12.3", "123", "1234". */
const threeDigits = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

export const roundsText = ({ countedRounds, rounds, noisy }: RunRow): string =>
  `${countedRounds}/${rounds}${noisy ? "!" : ""}`;
