import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as lg from "lanegrad";
import { PbfReader } from "pbf";
import { beforeAll, expect, it } from "vitest";
import { widthOf } from "../../src/cli/columns.js";
import { exportModel, takeRawValues } from "../../src/cli/export.js";
import { type ModelDescription, readModel } from "../../src/cli/model.js";
import { helpOf, readLine } from "../../src/cli/options.js";
import { run, temporaryFolder } from "./command.js";

const folder = temporaryFolder();
const model = join(folder, "model.safetensors");

beforeAll(async () => {
  const rows = Array.from({ length: 60 }, (_, i) => [2000 + (i % 23), i % 7 === 0 ? "" : i, "abc"[i % 3], 500 + 3 * i]);
  writeFileSync(join(folder, "rows.csv"), ["year,b,kind,y", ...rows.map((row) => row.join(","))].join("\n"));
  const { status } = await run(folder, ["train", "rows.csv", "--target", "y", "--epochs", "5"]);
  expect(status).toBe(0);
});

/** A row as the graph takes it: numbers as they are. */
const RAW = { year: 2011, b: 17.5, kind: "b" } as const;

function rawInputs({ input }: ModelDescription): number[] {
  if (input.kind !== "table") throw new Error("expected a table");
  return input.columns.flatMap((column) => {
    const value = RAW[column.name as keyof typeof RAW];
    const inputs = column.kind === "number" ? [value as number] : column.values.map((name) => Number(name === value));
    return [...inputs, ...Array<number>(widthOf(column) - inputs.length).fill(0)];
  });
}

it("a net takes raw numbers, and gives the target in its units, with the standardisation inside", async () => {
  const engine = lg.createEngine();
  const read = await readModel(model, engine);
  takeRawValues(read);
  const [value] = lg.predict(read.net, Float32Array.from(rawInputs(read.description)));
  const { stdout } = await run(folder, ["predict", model, "-"], "kind,b,year\nb,17.5,2011\n");
  const predicted = Number(stdout.split("\n")[1]);
  expect(Math.abs(value - predicted)).toBeLessThan(1e-4 * Math.abs(predicted));
  engine.dispose();
});

it("the file has the description behind the graph", async () => {
  const onnx = join(folder, "model.onnx");
  await exportModel.run(readLine([model, "--onnx", onnx], exportModel)!);
  const fields: Record<number, Uint8Array[]> = {};
  const bytes = readFileSync(onnx);
  new PbfReader(bytes).readFields((field, result, pbf) => {
    if (pbf.type === 2) result[field] = [...(result[field] ?? []), pbf.readBytes()];
  }, fields);
  const [entry] = fields[14];
  const texts = new PbfReader(entry).readFields<string[]>((field, result, pbf) => {
    result[field] = pbf.readString();
  }, []);
  const { description } = await readModel(model, lg.createEngine());
  expect(texts[1]).toBe("lanegrad");
  expect(JSON.parse(texts[2])).toEqual(description);
  expect(fields[7]).toHaveLength(1);
});

it("the help fits a screen, and a missing name is wrong usage", async () => {
  const lines = helpOf(exportModel).split("\n");
  expect([lines.length < 24, lines.filter((line) => line.length > 80)]).toEqual([true, []]);
  await expect(exportModel.run(readLine([model], exportModel)!)).rejects.toThrow("--onnx FILE is missing");
});
