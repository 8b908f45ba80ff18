import { z } from "zod";

/** The work of a call: its arithmetic if that bounds it, otherwise the numbers that it passes over. */
const work = z.union([z.strictObject({ flop: z.number() }), z.strictObject({ elements: z.number() })]);

const row = z.strictObject({
  name: z.string().min(1),
  work: work.optional(),
  /** By contender: the time of one call, the median over the rounds that count. */
  milliseconds: z.record(z.string(), z.number().positive()),
  /** By contender: why it has no time. */
  without: z.record(z.string(), z.string()).optional(),
  /** The time of reading or writing once what a call has to, in the same rounds. */
  memory: z.number().positive().optional(),
  /** GHz, during the measurement. */
  clock: z.number().positive().optional(),
  rounds: z.int(),
  countedRounds: z.int(),
  /** Too few rounds were quiet; then all of them count. */
  noisy: z.boolean(),
});

const contender = z.strictObject({
  name: z.string().min(1),
  about: z.string().optional(),
  /** Why it is not there. */
  missing: z.string().optional(),
});

const SCHEMA = "lanegrad bench 1";

/** What one run of a bench measured, as --json writes it and `npm run bench:report` reads it. */
const run = z.strictObject({
  schema: z.literal(SCHEMA),
  bench: z.enum(["kernels", "peers", "coldstart", "threads"]),
  /** When it ended. */
  date: z.iso.datetime(),
  /** A tenth of the usual time, to see that all works: no figures to quote. */
  quick: z.boolean(),
  node: z.string(),
  v8: z.string(),
  kernels: z.string(),
  machine: z.strictObject({ cpu: z.string(), cores: z.int(), memory: z.number(), system: z.string() }),
  /** 100 % of all shares: what a core can do with 128-bit lanes. */
  limit: z.strictObject({ flopPerCycle: z.number(), explanation: z.string(), loopFlopPerCycle: z.number() }).optional(),
  /** Flop a cycle that the probe reached on a quiet machine. */
  bestProbe: z.number().optional(),
  /** Who took turns. The times of the others are shown as multiples of the first one's. */
  contenders: z.array(contender).min(1),
  rows: z.array(row),
});

export type Run = z.infer<typeof run>;
export type RunRow = z.infer<typeof row>;
export type Work = z.infer<typeof work>;
/** What a bench has measured; the rest of a run is the same for all. */
export type Measured = Pick<Run, "bench" | "limit" | "bestProbe" | "contenders" | "rows">;

/** A file that is no run of a bench; the message says which, where and why. */
export class RunFileError extends Error {}

export function parseRun(text: string, file: string): Run {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new RunFileError(`${file} is not JSON: ${(error as Error).message}`);
  }
  const schema = (json as { schema?: unknown } | null)?.schema;
  if (schema !== SCHEMA) {
    throw new RunFileError(`${file}: got schema ${JSON.stringify(schema)}, expected ${JSON.stringify(SCHEMA)}`);
  }
  const { success, data, error } = run.safeParse(json);
  if (!success) throw new RunFileError(`${file}:\n${z.prettifyError(error)}`);
  return data;
}

const DIGITS = 4;

/** A line for each row, so that two runs can be compared by a diff. Four digits are more than a time is exact to. */
export function formatRun({ rows, ...head }: Omit<Run, "schema">): string {
  const rounded = (_key: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  const opening = JSON.stringify({ schema: SCHEMA, ...head }, rounded, 2).replace(/\n\}$/, "");
  const lines = rows.map((each) => `    ${JSON.stringify(each, rounded)}`);
  return `${opening},\n  "rows": [\n${lines.join(",\n")}\n  ]\n}\n`;
}
