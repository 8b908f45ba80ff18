import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as lg from "lanegrad";
import { beforeAll, describe, expect, it } from "vitest";
import { type Outcome, run, temporaryFolder } from "./command.js";
import { houseCsv, makeHouses, rmse, rmseByHand } from "./houses.js";

const folder = temporaryFolder();
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const houses = makeHouses(2000, 1);
const others = makeHouses(1000, 2);

let trained: Outcome;
beforeAll(async () => {
  write("houses.csv", `\ufeff${houseCsv(houses, ["area", "rooms", "age", "city", "heating", "price"], "\r\n")}`);
  trained = await run(folder, ["train", "houses.csv", "--target", "price", "--output", "m.safetensors", "--json"]);
});

describe("a table", () => {
  it("is learned as well as by a program for it, and raw rows are predicted in another process", async () => {
    expect(trained).toMatchObject({ status: 0, stderr: expect.stringContaining("regression of price") });
    const result = JSON.parse(trained.stdout);
    expect(result).toMatchObject({ model: "m.safetensors", task: "regression", rows: { train: 1600, test: 400 } });
    expect(result.test.rmse).toBeLessThan(result.test.baseline / 4);

    write("rows.csv", houseCsv(others, ["note", "heating", "age", "city", "area", "rooms"]));
    const predicted = await run(folder, ["predict", "m.safetensors", "rows.csv"]);
    expect(predicted).toMatchObject({ status: 0, stderr: 'ignored, as the model does not use them: "note"\n' });
    const [header, ...lines] = predicted.stdout.trimEnd().split("\n");
    expect([header, lines.length]).toEqual(["prediction", others.length]);
    expect(rmse(others, lines.map(Number))).toBeLessThan(1.05 * (await rmseByHand(houses, others)));
  });

  it("has its score told where the target is there, and JSON and a file where they are asked for", async () => {
    write("labelled.csv", houseCsv(others, ["price", "rooms", "area", "age", "heating", "city"]));
    const scored = await run(folder, ["predict", "m.safetensors", "labelled.csv", "--json", "--output", "p.json"]);
    expect(scored).toMatchObject({ status: 0, stdout: "" });
    const predictions: { prediction: number }[] = JSON.parse(readFileSync(join(folder, "p.json"), "utf8"));
    const told = Number(/^rows with the target: RMSE (\S+) of 1,000 rows/.exec(scored.stderr)![1]);
    const values = predictions.map(({ prediction }) => prediction);
    expect(told / rmse(others, values)).toBeCloseTo(1, 3);
  });

  it("is described by info", async () => {
    const { stdout } = await run(folder, ["info", "m.safetensors", "--json"]);
    const { tensors, model, values } = JSON.parse(stdout);
    expect(tensors[0]).toEqual({ name: "hidden1.weight", dtype: "F32", shape: [128, 14] });
    expect(values).toBe(JSON.parse(trained.stdout).parameters);
    expect(model.input.columns.map(({ name }: { name: string }) => name)).toEqual([
      "area",
      "rooms",
      "age",
      "city",
      "heating",
    ]);
    const { metadata } = lg.load(new lg.Flatten(), readFileSync(join(folder, "m.safetensors")), { strict: false });
    expect(JSON.parse(metadata.lanegrad)).toEqual(model);
  });

  it("of classes gives their names, and how likely they are", async () => {
    const kinds = ["setosa", "versi, color", "virginica"];
    const rows = makeHouses(300, 3).map(({ rooms, price }, i) => [rooms + 10 * (i % 3), price, `"${kinds[i % 3]}"`]);
    write("iris.csv", ["a;b;kind", ...rows.map((row) => row.join(";"))].join("\n"));
    const { status, stdout } = await run(folder, ["train", "iris.csv", "--target", "kind", "--epochs", "20"]);
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/^test accuracy 100.00 % of 60 rows; .* · model.safetensors$/m),
    ]);
    const input = "b,a\n0,11\n0,\n0,27\n";
    const predicted = await run(folder, ["predict", "model.safetensors", "-", "--probabilities"], input);
    const [header, ...lines] = predicted.stdout.trimEnd().split("\n");
    expect(header).toBe('prediction,probability of setosa,"probability of versi, color",probability of virginica');
    expect(lines[0]).toMatch(/^"versi, color",/);
    expect(lines[2]).toMatch(/^virginica,/);
    const shares = lines[1].split(",").slice(-3).map(Number);
    expect(shares[0] + shares[1] + shares[2]).toBeCloseTo(1, 5);
  });
});
