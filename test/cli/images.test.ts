import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { idxBytes } from "../support/idx.js";
import { Random } from "../support/random.js";
import { finish, run, start, temporaryFolder } from "./command.js";

const folder = temporaryFolder();
const random = new Random(1);

/** Small random images in three classes, in MNIST's names: the class shows in the first pixel, more or less. */
for (const [split, count] of Object.entries({ train: 90, t10k: 30 })) {
  const labels = Array.from({ length: count }, (_, i) => i % 3);
  const pixels = labels.flatMap((label) => [60 * label + random.integer(0, 80), ...random.values(19, 0, 255)]);
  writeFileSync(join(folder, `${split}-images-idx3-ubyte`), idxBytes([count, 4, 5], pixels.map(Math.floor)));
  writeFileSync(join(folder, `${split}-labels-idx1-ubyte`), idxBytes([count], labels));
}

const TRAIN = ["train", "--data", ".", "--epochs", "600", "--batch-size", "4", "--hidden", "8", "--kernels", "simd"];

it("a training of images is interrupted, goes on as it was told to, and ends with the same bits", async () => {
  const whole = run(folder, [...TRAIN, "--output", "whole.safetensors", "--json"]);
  const job = start(folder, [...TRAIN, "--output", "cut.safetensors"]);
  job.stderr!.once("data", () => job.stderr!.once("data", () => job.kill("SIGINT")));
  const cut = await finish(job);
  expect(cut).toMatchObject({ status: 130, stdout: "" });
  expect(existsSync(join(folder, "cut.safetensors"))).toBe(false);
  const [, command] = /\ngo on with: npx lanegrad (.*)\n$/.exec(cut.stderr)!;
  const resumed = await run(folder, command.split(" "));
  expect(resumed).toMatchObject({ status: 0, stdout: expect.stringMatching(/^test accuracy .* · cut.safetensors\n$/) });
  const { status, stdout } = await whole;
  expect([status, JSON.parse(stdout).test.accuracy]).toEqual([0, expect.closeTo(0.8, 0)]);
  expect(readFileSync(join(folder, "cut.safetensors"))).toEqual(readFileSync(join(folder, "whole.safetensors")));
  expect(readdirSync(folder).filter((name) => /checkpoint|unfinished|tmp/.test(name))).toEqual([]);

  const images = "t10k-images-idx3-ubyte";
  const predicted = await run(folder, ["predict", "whole.safetensors", images]);
  const labels = readFileSync(join(folder, "t10k-labels-idx1-ubyte")).subarray(8);
  const right = predicted.stdout
    .trimEnd()
    .split("\n")
    .slice(1)
    .filter((label, i) => Number(label) === labels[i]);
  expect(right.length / labels.length).toBeCloseTo(JSON.parse(stdout).test.accuracy, 10);
});
