import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { bench } from "../../src/cli/bench.js";
import { info } from "../../src/cli/info.js";
import { type Command, helpOf } from "../../src/cli/options.js";
import { predict } from "../../src/cli/predict.js";
import { runCommand } from "../../src/cli/run.js";
import { train } from "../../src/cli/train.js";
import { type Outcome, run, temporaryFolder } from "./command.js";

const folder = temporaryFolder();
writeFileSync(
  join(folder, "numbers.csv"),
  `a,y\n${Array.from({ length: 40 }, (_, i) => `${i},${i * 1.5}`).join("\n")}`,
);

it.each(Object.entries<Command>({ train, predict, info, bench }))("the help of %s fits a screen", (_, command) => {
  const lines = helpOf(command).split("\n");
  expect(lines.length).toBeLessThan(24);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});

/** Runs a command line in this process. */
async function call(...args: string[]): Promise<Outcome> {
  const outcome = { status: 0, stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      outcome[name] += text;
      return true;
    }),
  );
  try {
    outcome.status = await runCommand(args);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return outcome;
}

describe("what goes wrong is one line on stderr", () => {
  const numbers = join(folder, "numbers.csv");
  const none = join(folder, "none/m");
  it.each([
    [2, ["trian"], "there is no command trian; did you mean train? (npx lanegrad --help)"],
    [2, ["--versoin"], "there is no command --versoin; did you mean --version? (npx lanegrad --help)"],
    [2, ["train"], "expected a CSV file with --target NAME, or --data DIR with IDX files (npx lanegrad train --help)"],
    [2, ["train", numbers], "--target NAME is missing: the column to predict (npx lanegrad train --help)"],
    [
      2,
      ["train", "a", "b", "--target", "y"],
      "--target is for CSV, and these are IDX files (npx lanegrad train --help)",
    ],
    [2, ["train", "a", "b", "c"], "expected a CSV file, two IDX files (images, labels) or four, got three"],
    [2, ["train", numbers, "--data", "."], '--data names a folder; "'],
    [2, ["train", numbers, "--target", "y", "--hidden", "8,,8"], '--hidden takes a whole number of at least 1, got ""'],
    [
      2,
      ["train", numbers, "--target", "y", "--kernels", "sind"],
      "--kernels takes one of auto, relaxed-simd, simd, js",
    ],
    [
      2,
      ["train", numbers, "--target", "y", "--test-fraction", "1"],
      "--test-fraction takes a number from 0 to below 1",
    ],
    [2, ["train", numbers, "--target", "y", "--task", "x"], "--task takes one of classification, regression"],
    [
      1,
      ["train", numbers, "--target", "Y"],
      `${numbers}: there is no column "Y"; did you mean y?; the columns are a, y`,
    ],
    [1, ["train", "--data", folder], `${folder}/train-images-idx3-ubyte: no such file, with or without .gz`],
    [1, ["train", numbers, numbers], `${numbers}: expected images or labels in IDX: readIdx: got `],
    [1, ["train", numbers, "--target", "y", "--output", none], `${none}: no such file or directory`],
    [1, ["train", numbers, "--target", "y", "--output", folder], `${folder}: is a folder`],
    [1, ["train", numbers, "--target", "y", "--lr", "1e30", "--output", `${folder}/m`], "a smaller --lr may help"],
    [1, ["train", numbers, "--target", "y", "--resume", "--output", `${folder}/n`], "n.checkpoint: no such checkpoint"],
    [2, ["train", "--data", ".", "--test-fraction", "0.1"], "--test-fraction is for data without test files"],
    [2, ["train", "a", "--target", "y", "--test-fraction", "0", "--patience", "3"], "--patience takes rows held out"],
    [2, ["train", "a", "--target", "y", "--checkpoint", "model.safetensors"], "--output and --checkpoint are the same"],
    [2, ["train", "a", "--target", "y", "--output", "./a"], "--output is what is trained on"],
    [2, ["predict"], "expected predict MODEL ROWS.csv [options] (npx lanegrad predict --help)"],
    [1, ["predict", numbers, numbers], `${numbers}: expected a model: `],
    [1, ["info", folder], `${folder}: is a folder`],
    [1, ["bench", "nothing"], "no row has nothing; the rows are: product"],
  ] as const)("%i: lanegrad %j", async (status, args, message) => {
    const outcome = await call(...args);
    expect(outcome).toMatchObject({ status, stdout: "" });
    const last = outcome.stderr.trimEnd().split("\n").at(-1);
    expect(last).toMatch(/^lanegrad: /);
    expect(last).toContain(message);
  });

  it("and an exit status, without a stack", async () => {
    const [misused, failed] = await Promise.all([
      run(folder, ["train", "--tagret", "y"]),
      run(folder, ["train", "none.csv", "--target", "y"]),
    ]);
    const hint = "there is no option --tagret; did you mean --target? (npx lanegrad train --help)";
    expect(misused).toEqual({ status: 2, stdout: "", stderr: `lanegrad: ${hint}\n` });
    expect(failed).toEqual({ status: 1, stdout: "", stderr: "lanegrad: none.csv: no such file or directory\n" });
  });
});

it("help and version are results", async () => {
  for (const args of [["--help"], ["help"], ["-h"]]) {
    expect(await call(...args)).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringContaining("  predict  "),
    });
  }
  for (const args of [
    ["help", "train"],
    ["train", "--help"],
    ["train", "--zzz", "-h"],
  ]) {
    expect(await call(...args)).toEqual({ status: 0, stderr: "", stdout: `${helpOf(train)}\n` });
  }
  expect((await call("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await call()).toMatchObject({ status: 2, stdout: "" });
});

describe("a disk", () => {
  const small = join(folder, "small");
  mkdirSync(small);
  let isMounted = true;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small], { stdio: "ignore" });
    afterAll(() => execFileSync("umount", [small]));
  } catch {
    isMounted = false;
  }

  it.skipIf(!isMounted)("that is full gets no part of a file", async () => {
    const outcome = await run(folder, [
      "train",
      "numbers.csv",
      "--target",
      "y",
      "--output",
      "small/m",
      "--epochs",
      "1",
    ]);
    expect(outcome).toMatchObject({ status: 1, stdout: "" });
    expect(outcome.stderr).toMatch(/\nlanegrad: .*small\/m.* no space left on device.*\n$/);
    expect(readdirSync(small)).toEqual([]);
  });

  it.skipIf(process.getuid?.() === 0)("that must not be written to is known before the training", async () => {
    const closed = join(folder, "closed");
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    const { status, stderr } = await run(folder, ["train", "numbers.csv", "--target", "y", "--output", "closed/m"]);
    expect([status, stderr]).toEqual([1, "lanegrad: closed/m: permission denied\n"]);
  });
});

it("bench measures what the filter takes, on both kernel sets", async () => {
  const { status, stdout } = await call("bench", "predict", "--json");
  const { rows } = JSON.parse(stdout);
  expect([status, rows.length]).toEqual([0, 1]);
  expect(rows[0].times).toBeCloseTo(rows[0].javascript / rows[0].milliseconds, 5);
  expect(rows[0].milliseconds).toBeGreaterThan(0);
});

it("info says what runs here", async () => {
  const { status, stdout } = await call("info", "--json");
  expect(status).toBe(0);
  const { version, runtime, kernels, memory, wide } = JSON.parse(stdout);
  expect([version, runtime]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/), `Node ${process.versions.node}`]);
  expect(["simd", "relaxed-simd"]).toContain(kernels);
  expect(memory.maximum).toBeGreaterThan(0);
  expect(wide.available).toBe(wide.reason === "");
});
