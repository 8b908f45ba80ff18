import * as lg from "lanegrad";
import { type Column, widthOf } from "./columns.js";
import { UsageError } from "./failures.js";
import { checkWritable, writeWhole } from "./files.js";
import { METADATA_KEY, type Model, readModel, sampleSize } from "./model.js";
import { withMetadata } from "./onnx-metadata.js";
import type { Command } from "./options.js";
import { counted } from "./text.js";

const OPTIONS = {
  onnx: { value: "FILE", help: "the file to write" },
  json: { help: "print what was written as JSON" },
} as const;

export const exportModel: Command<keyof typeof OPTIONS> = {
  summary: "Writes a model that train wrote as ONNX, for other runtimes.",
  usage: ["export MODEL --onnx FILE"],
  arguments: [1, 1],
  options: OPTIONS,
  notes: [
    "",
    "The graph takes [N, inputs] and standardises itself. Inputs are in the order of",
    "the model's columns: a number as it is, a missing one as the column's mean; a",
    "category as 0 and 1 for each value; then, if the column has that, 1 where the",
    'value is missing. Images are 0..1. The metadata "lanegrad" has all that as JSON.',
    "Outputs are the target in its units, or a logit for each class.",
  ],
  async run({ files, values, flags }) {
    const { onnx } = values;
    if (onnx === undefined) throw new UsageError("--onnx FILE is missing: the file to write");
    await checkWritable(onnx);
    const engine = lg.createEngine();
    const model = await readModel(files[0], engine);
    takeRawValues(model);
    const { input } = model.description;
    const inputs = sampleSize(input);
    const graph = lg.toONNX(model.net, { inputShape: [inputs] });
    const bytes = withMetadata(graph, { [METADATA_KEY]: JSON.stringify(model.description) });
    await writeWhole(onnx, bytes);
    engine.dispose();
    const result = { onnx, inputs, bytes: bytes.length };
    const text = `${onnx}: ${counted(inputs, "input")}, ${counted(bytes.length, "byte")}`;
    process.stdout.write(`${flags.has("json") ? JSON.stringify(result) : text}\n`);
    return 0;
  },
};

/**
 * Puts the standardisation into the first and the last layer: W (x - m) / d + b = (W / d) x + (b - W m / d), and y d + m likewise. The
 * products are computed in double.
 */
export function takeRawValues({ net, description: { input, target } }: Model): void {
  const linear = net.layers.filter((layer) => layer instanceof lg.Linear);
  if (input.kind === "table") standardiseInputs(linear[0], input.columns);
  if (target.task === "classification") return;
  const { weight, bias } = linear[linear.length - 1];
  const [weights, biases] = [weight.value.data, bias!.value.data];
  for (let i = 0; i < weights.length; i++) weights[i] *= target.deviation;
  for (let i = 0; i < biases.length; i++) biases[i] = biases[i] * target.deviation + target.mean;
}

function standardiseInputs({ weight, bias }: lg.Linear, columns: readonly Column[]): void {
  const [weights, biases] = [weight.value.data, bias!.value.data];
  const inputs = weights.length / biases.length;
  for (const [unit, before] of biases.entries()) {
    let shift = 0;
    let at = unit * inputs;
    for (const column of columns) {
      if (column.kind === "number") {
        const slope = weights[at] / column.deviation;
        shift += slope * column.mean;
        weights[at] = slope;
      }
      at += widthOf(column);
    }
    biases[unit] = before - shift;
  }
}
