import * as lg from "lanegrad";
import { encodeRows } from "./columns.js";
import { csvLine, readTable } from "./csv.js";
import { InputError, UsageError } from "./failures.js";
import { checkWritable, readBytes, writeWhole } from "./files.js";
import { readImages } from "./images.js";
import { type Model, readModel } from "./model.js";
import type { Command } from "./options.js";
import { scoreOf, scoreText } from "./score.js";
import { type ClassTarget, encodeTarget, labelledRows, type Target } from "./target.js";
import { shorten } from "./text.js";

const OPTIONS = {
  probabilities: { help: "a column more for each class: how likely it is" },
  output: { value: "FILE", help: "write there (default: standard output)" },
  json: { help: "print an array of objects instead of CSV" },
} as const;
type Name = keyof typeof OPTIONS;

/** A line of the result. */
interface Prediction {
  readonly prediction: string | number;
  /** By class. */
  readonly probabilities?: Readonly<Record<string, number>>;
}

export const predict: Command<Name> = {
  summary: "Predicts with a model that train wrote; prints a line for each row.",
  usage: ["predict MODEL ROWS.csv [options]", "predict MODEL IMAGES [options]"],
  arguments: [2, 2],
  options: OPTIONS,
  notes: [
    "",
    "ROWS.csv is as train had it (- is standard input): columns in any order, with or",
    "without the target, others are ignored. With the target the score is on stderr.",
  ],
  async run({ files, values, flags }) {
    const [modelPath, path] = files;
    if (values.output !== undefined) await checkWritable(values.output);
    if (modelPath === "-" && path === "-") throw new UsageError("only one of the two can be standard input");
    const engine = lg.createEngine();
    const model = await readModel(modelPath, engine);
    const { target } = model.description;
    if (flags.has("probabilities") && target.task === "regression") {
      throw new InputError(
        `${modelPath}: predicts ${target.name}, a number: there are no classes with --probabilities`,
      );
    }
    const outputs = await outputsFor(model, path);
    const predictions = decode(target, outputs, flags.has("probabilities"));
    const text = flags.has("json") ? JSON.stringify(predictions) : csvOf(predictions, target);
    if (values.output === undefined) process.stdout.write(`${text}\n`);
    else await writeWhole(values.output, `${text}\n`);
    engine.dispose();
    return 0;
  },
};

/** The net's outputs for all rows of a file. */
async function outputsFor({ net, description }: Model, path: string): Promise<Float32Array> {
  const { input, target } = description;
  if (input.kind === "images") {
    const { x, shape } = await readImages(path);
    if (shape.join() === input.shape.join()) return lg.predict(net, x);
    throw new InputError(`${path}: images of ${shape.join("x")}, the model takes ${input.shape.join("x")}`);
  }
  const table = readTable(await readBytes(path), path);
  const rows = [...table.rows.keys()];
  const { x, notes } = encodeRows(input.columns, table, rows);
  for (const note of notes) tell(note);
  const known = new Set([target.name, ...input.columns.map(({ name }) => name)]);
  const ignored = table.names.filter((name) => !known.has(name));
  if (ignored.length > 0) tell(`ignored, as the model does not use them: ${ignored.map(shorten).join(", ")}`);
  const place = table.names.indexOf(target.name);
  const labelled = place < 0 ? [] : labelledRows(table, place);
  if (labelled.length > 0) {
    const samples = {
      x: encodeRows(input.columns, table, labelled).x,
      y: encodeTarget(target, table, place, labelled),
    };
    tell(scoreText("rows with the target:", scoreOf(net, target, samples)));
  }
  return lg.predict(net, x);
}

function decode(target: Target, outputs: Float32Array, withProbabilities: boolean): Prediction[] {
  if (target.task === "regression") {
    const { mean, deviation } = target;
    return Array.from(outputs, (output) => ({ prediction: shortest(output * deviation + mean) }));
  }
  const { classes } = target;
  const rows = Array.from({ length: outputs.length / classes.length }, (_, row) =>
    outputs.subarray(row * classes.length, (row + 1) * classes.length),
  );
  return rows.map((logits) => {
    const prediction = classes[lg.argmax(logits)];
    return withProbabilities ? { prediction, probabilities: probabilitiesOf(logits, target) } : { prediction };
  });
}

function probabilitiesOf(logits: Float32Array, { classes }: ClassTarget): Record<string, number> {
  const shares = lg.softmax(logits);
  return Object.fromEntries(classes.map((name, i) => [name, shortest(shares[i])]));
}

/** As many digits as a float32 has. */
const shortest = (value: number): number => Number(value.toPrecision(7));

function csvOf(predictions: readonly Prediction[], target: Target): string {
  const classes = target.task === "classification" && predictions[0].probabilities !== undefined ? target.classes : [];
  const header = ["prediction", ...classes.map((name) => `probability of ${name}`)];
  const lines = predictions.map(({ prediction, probabilities }) =>
    csvLine([prediction, ...classes.map((name) => probabilities![name])]),
  );
  return [csvLine(header), ...lines].join("\n");
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
