import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as lg from "lanegrad";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildNetwork } from "../../examples/fashion-mnist/network.js";
import { createProgress } from "../../examples/fashion-mnist/progress.js";
import { stateBits } from "../support/state.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SUBSET = join(ROOT, "data/fashion-mnist-subset");

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function start(args: string[]): ChildProcess {
  // tsx inside the process, not its command line: signals reach the main job itself.
  return spawn(process.execPath, ["--import", "tsx", "examples/fashion-mnist/main.ts", ...args], { cwd: ROOT });
}

function finish(job: ChildProcess): Promise<Outcome> {
  const outcome: Outcome = { status: null, stdout: "", stderr: "" };
  job.stdout!.on("data", (chunk) => {
    outcome.stdout += chunk;
  });
  job.stderr!.on("data", (chunk) => {
    outcome.stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    job.on("error", reject);
    job.on("close", (status) => resolve({ ...outcome, status }));
  });
}

const run = (...args: string[]): Promise<Outcome> => finish(start(args));

const temporaryFolders: string[] = [];
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lanegrad-main-job-"));
  temporaryFolders.push(folder);
  return folder;
}
afterAll(() => {
  for (const folder of temporaryFolders.splice(0)) rmSync(folder, { recursive: true });
});

/** The bytes of an IDX file of unsigned bytes. */
function idx(shape: number[], data: number[]): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 0x08, shape.length]);
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, Buffer.from(data)]);
}

/** A folder of small random images in three classes, as the plain files that Fashion-MNIST unpacks to. */
function smallDataSet({ height = 4, width = 5, train = 60, test = 30 } = {}): string {
  const folder = temporaryFolder();
  for (const [split, count] of Object.entries({ train, t10k: test })) {
    const labels = Array.from({ length: count }, (_, i) => i % 3);
    const pixels = Array.from({ length: count * height * width }, (_, i) => (i * 7919) % 256);
    writeFileSync(join(folder, `${split}-images-idx3-ubyte`), idx([count, height, width], pixels));
    writeFileSync(join(folder, `${split}-labels-idx1-ubyte`), idx([count], labels));
  }
  return folder;
}

/** What is trained on it, as it is at the start. */
const smallNetwork = () =>
  buildNetwork({ model: "mlp", height: 4, width: 5, classes: 3, activation: "prelu" }, lg.createEngine());

const linesOf = (text: string): string[] => text.trimEnd().split("\n");
const numberIn = (text: string): number => Number(text.replaceAll(",", ""));

function expectRefusal({ status, stdout, stderr }: Outcome, message: RegExp): void {
  expect(stderr).toMatch(message);
  expect(linesOf(stderr)).toHaveLength(1);
  expect(stdout).toBe("");
  expect(status).toBe(2);
}

describe("the report of the main job", { timeout: 30_000 }, () => {
  it("goes from the headline to the test accuracy, in plain lines where stdout is no terminal", async () => {
    const { status, stdout, stderr } = await run("--epochs", "2", "--seed", "3");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).not.toContain("\u001b");
    const lines = linesOf(stdout);
    expect(lines[0]).toMatch(
      /^lanegrad · Node [\d.]+ · \S+ kernels · 1 thread · fashion-mnist-subset 6,000 \+ 1,000 images 28x28 · mlp · prelu · batch 128 · seed 3$/,
    );
    const epochs = lines.filter((line) => line.startsWith("epoch"));
    expect(epochs).toHaveLength(2);
    for (const [i, line] of epochs.entries()) {
      expect(line).toMatch(
        new RegExp(`^epoch ${i + 1}/2 · loss \\d\\.\\d{4} · test accuracy \\d\\d\\.\\d\\d % · [\\d,]+ samples/s$`),
      );
    }
    expect(
      lines.filter((line) => /^activation[12] +256( +-?\d\.\d{4}){3} +│.{20}│ +\d\.\d{4}$/.test(line)),
    ).toHaveLength(2);
    expect(lines.at(-1)).toMatch(/^test accuracy \d\d\.\d\d %$/);
    expect(epochs[1]).toContain(lines.at(-1));
    expect(Number.parseFloat(lines.at(-1)!.slice("test accuracy ".length))).toBeGreaterThan(60);

    const order = [
      "lanegrad ·",
      "layer ",
      "epoch 1/2",
      "learned slopes",
      "one training step",
      "js (pure-JS twin)",
      "test accuracy",
    ];
    const places = order.map((beginning) => lines.findIndex((line) => line.startsWith(beginning)));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
  });

  describe("of a small data set", () => {
    const data = smallDataSet();
    const runWithSeed = (seed: string) =>
      run("--epochs", "2", "--kernels", "simd", "--batch", "16", "--data", data, "--seed", seed);
    let stdout = "";
    beforeAll(async () => {
      stdout = (await runWithSeed("1")).stdout;
    });

    it("counts the parameters of each layer and the share of the slopes", () => {
      const cells = linesOf(stdout).map((line) => line.split(/ {2,}/));
      const layers = cells.filter(([, type]) => type === "Linear" || type === "PReLU");
      expect(layers.map(([name, , parameters]) => [name, numberIn(parameters)])).toEqual([
        ["hidden1", 20 * 256 + 256],
        ["activation1", 256],
        ["hidden2", 256 * 256 + 256],
        ["activation2", 256],
        ["output", 256 * 3 + 3],
      ]);
      const parameters = layers.reduce((sum, [, , count]) => sum + numberIn(count), 0);
      const slopes = layers.reduce((sum, [, , , count = "0"]) => sum + numberIn(count), 0);
      const total = cells.find(([name]) => name === "total")!;
      expect(numberIn(total[1])).toBe(parameters);
      expect(numberIn(total[2])).toBe(slopes);
      const [, share] = /^slopes are ([\d.]+) % of them$/.exec(total[3])!;
      expect(Number(share)).toBeCloseTo((100 * slopes) / parameters, 2);
    });

    it("times the same step on the running kernels and on the twin", () => {
      expect(stdout).toContain("one training step of 16 samples");
      const [simd, js] = linesOf(stdout)
        .filter((line) => /^(simd|js) .*\dx$/.test(line))
        .map((line) => line.match(/[\d,.]+/g)!.map(numberIn));
      expect(js[2]).toBe(1);
      expect(Math.abs(simd[2] - js[0] / simd[0])).toBeLessThan(0.1 + 0.01 * simd[2]);
      for (const [milliseconds, samples] of [simd, js]) expect((samples * milliseconds) / 16_000).toBeCloseTo(1, 1);
    });

    it("is the same for the same seed and another for another seed", async () => {
      const losses = (report: string) => report.match(/loss [\d.]+/g);
      const [again, other] = await Promise.all([runWithSeed("1"), runWithSeed("2")]);
      expect(losses(again.stdout)).toEqual(losses(stdout));
      expect(losses(other.stdout)).not.toEqual(losses(stdout));
    });
  });

  it.concurrent.each<[string, string[], RegExp]>([
    ["--kernels js", ["--kernels", "js"], / · js kernels · .*│/s],
    ["one slope for all units", ["--activation", "prelu-shared"], /^activation1 +1 +-?\d\.\d{4} {4,}-?\d\.\d{4}/m],
    ["ReLU, which learns no slopes", ["--activation", "relu"], /slopes are 0 % of them.*learned slopes: none/s],
    ["a convolutional network", ["--model", "cnn"], / · cnn · .*^convolution2 +Conv2d +18,496.*^activation3 +128 /ms],
    ["a convolutional network of ELUs", ["--model", "cnn", "--activation", "elu"], /learned slopes: none/],
    ["a batch larger than the training set", ["--batch", "1000"], /one training step of 60 samples/],
  ])("works with %s", async (_, args, expected) => {
    const { status, stdout } = await run("--epochs", "1", "--data", smallDataSet(), ...args);
    expect(status).toBe(0);
    expect(stdout).toMatch(expected);
    expect(linesOf(stdout).at(-1)).toMatch(/^test accuracy \d+\.\d\d %$/);
  });
});

describe("what the main job refuses with one line and status 2", { timeout: 30_000 }, () => {
  it.each<[string, string[], RegExp]>([
    ["an unknown option", ["--bogus"], /Unknown option '--bogus'/],
    ["a stray argument", ["bogus"], /Unexpected argument 'bogus'/],
    ["a missing value", ["--epochs"], /--epochs.*argument missing/],
    ["epochs that are no number", ["--epochs", "many"], /--epochs takes a whole number of at least 1, got "many"/],
    ["no epochs", ["--epochs", "0"], /--epochs takes/],
    ["a fraction of a sample", ["--batch", "1.5"], /--batch takes/],
    ["a negative seed", ["--seed=-1"], /--seed takes a whole number from 0/],
    ["unknown kernels", ["--kernels", "avx"], /--kernels takes one of auto, .*got "avx"/],
    ["an unknown model", ["--model", "rnn"], /--model takes one of mlp, cnn, got "rnn"/],
    ["an unknown activation", ["--activation", "tanh"], /--activation takes one of prelu, /],
    ["a missing folder", ["--data", "no/such/folder"], /no\/such\/folder\/train-images-idx3-ubyte: no such file/],
  ])("%s", async (_, args, message) => {
    expectRefusal(await run(...args), message);
  });

  it("images too small to be pooled twice", async () => {
    expectRefusal(
      await run("--model", "cnn", "--data", smallDataSet({ height: 3 })),
      /--model cnn: images are 3x5, it takes 4x4 and more/,
    );
  });

  it("a truncated file, gzip or not", async () => {
    const zipped = temporaryFolder();
    cpSync(SUBSET, zipped, { recursive: true });
    const images = join(zipped, "train-images-idx3-ubyte.gz");
    writeFileSync(images, readFileSync(images).subarray(0, 100_000));
    expectRefusal(await run("--data", zipped), /train-images-idx3-ubyte\.gz: /);

    const plain = smallDataSet();
    const labels = join(plain, "t10k-labels-idx1-ubyte");
    writeFileSync(labels, readFileSync(labels).subarray(0, -1));
    expectRefusal(await run("--data", plain), /t10k-labels-idx1-ubyte: /);
  });

  it.each<[string, string, Uint8Array, RegExp]>([
    ["other bytes than IDX", "train-images-idx3-ubyte", Buffer.from("not an IDX file"), /train-images-idx3-ubyte: /],
    ["fewer labels than images", "train-labels-idx1-ubyte", idx([2], [0, 1]), /expected 60 labels, got \[2\]/],
    ["labels where images belong", "t10k-images-idx3-ubyte", idx([2], [0, 1]), /expected images .* got \[2\]/],
    [
      "test images of another size",
      "t10k-images-idx3-ubyte",
      idx([30, 1, 1], Array(30).fill(0)),
      /4x5, test images 1x1/,
    ],
    ["a test label without training", "t10k-labels-idx1-ubyte", idx([30], Array(30).fill(9)), /test label 9/],
  ])("%s", async (_, file, bytes, message) => {
    const folder = smallDataSet();
    writeFileSync(join(folder, file), bytes);
    expectRefusal(await run("--data", folder), message);
  });
});

describe("the main job in a shell", { timeout: 30_000 }, () => {
  it("explains itself", async () => {
    const { status, stdout, stderr } = await run("--help");
    expect(status).toBe(0);
    expect(stderr).toBe("");
    for (const option of ["data", "model", "epochs", "batch", "kernels", "activation", "seed", "help"]) {
      expect(stdout).toContain(`--${option} `);
    }
  });

  it("draws a progress bar where stdout is a terminal, and takes it away", () => {
    const terminal = Object.assign(new PassThrough({ encoding: "utf8" }), { isTTY: true, columns: 80 });
    const progress = createProgress(terminal as unknown as NodeJS.WriteStream, 7);
    progress.onBatch({ epoch: 3, batch: 1, batches: 2, size: 8, loss: 0.5 });
    expect(terminal.read()).toMatch(/epoch 3\/7 █+░+ batch 1\/2 · loss 0\.5000/);
    progress.stop();
    const clearLine = "\u001b[2K";
    expect(terminal.read().endsWith(clearLine)).toBe(true);
  });

  it("stops at Ctrl-C with status 130", async () => {
    const job = start(["--epochs", "100000", "--data", smallDataSet()]);
    job.stdout!.once("data", () => job.kill("SIGINT"));
    const { status, stdout, stderr } = await finish(job);
    expect(status).toBe(130);
    expect(linesOf(stderr)).toEqual(["stopped by Ctrl-C"]);
    expect(stdout).not.toMatch(/^test accuracy/m);
  });

  it("saves at Ctrl-C what it has learned", async () => {
    const data = smallDataSet();
    const file = join(temporaryFolder(), "weights.safetensors");
    writeFileSync(file, "from before");
    const job = start(["--epochs", "100000", "--data", data, "--save", file]);
    job.stdout!.on("data", (text) => /^epoch /m.test(text) && job.kill("SIGINT"));
    const { status, stderr } = await finish(job);
    expect(status).toBe(130);
    expect(linesOf(stderr)).toEqual([`the weights as they are now: ${file}`, "stopped by Ctrl-C"]);
    expect(readdirSync(dirname(file))).toEqual(["weights.safetensors"]);
    const net = smallNetwork();
    const before = stateBits(net);
    lg.load(net, readFileSync(file));
    expect(stateBits(net)).not.toEqual(before);
  });

  it("writes nothing at a Ctrl-C before the first step", async () => {
    const data = smallDataSet();
    const folder = temporaryFolder();
    const [pipe, file] = ["pipe", "weights"].map((name) => join(folder, name));
    writeFileSync(file, "from before");
    execFileSync("mkfifo", [pipe]);
    const job = start(["--data", data, "--load", pipe, "--save", file]);
    const ended = finish(job);
    // it is there once it reads
    const writing = await open(pipe, "w");
    job.kill("SIGINT");
    await delay(100);
    await writing.writeFile(lg.save(smallNetwork()));
    await writing.close();
    const { status, stderr } = await ended;
    expect(status).toBe(130);
    expect(linesOf(stderr)).toEqual(["stopped by Ctrl-C"]);
    expect(readFileSync(file, "utf8")).toBe("from before");
  });

  it("ends at once at a second Ctrl-C", async () => {
    const file = join(temporaryFolder(), "weights.safetensors");
    const job = start(["--epochs", "100000", "--data", smallDataSet(), "--save", file]);
    await once(job.stdout!, "data");
    // a pipe that nobody reads: saving takes for ever
    execFileSync("mkfifo", [`${file}.${job.pid}.unfinished`]);
    const ended = finish(job);
    job.kill("SIGINT");
    await delay(500);
    expect(job.exitCode).toBe(null);
    job.kill("SIGINT");
    await ended;
    expect(job.signalCode).toBe("SIGINT");
    expect(existsSync(file)).toBe(false);
  });

  it("takes the two signals of one Ctrl-C under npm for one", async () => {
    const file = join(temporaryFolder(), "weights.safetensors");
    const job = start(["--epochs", "100000", "--data", smallDataSet(), "--save", file]);
    let isSent = false;
    job.stdout!.on("data", (text) => {
      // one Ctrl-C: another epoch may end before the job sees it
      if (isSent || !/^epoch /m.test(text)) return;
      isSent = true;
      job.kill("SIGINT");
      setTimeout(() => job.kill("SIGINT"), 5);
    });
    expect((await finish(job)).status).toBe(130);
    expect(existsSync(file)).toBe(true);
  });

  it("ends quietly when its reader has seen enough", async () => {
    const job = start(["--epochs", "100000", "--data", smallDataSet()]);
    job.stdout!.once("data", () => job.stdout!.destroy());
    const { status, stderr } = await finish(job);
    expect(status).toBe(0);
    expect(stderr).toBe("");
  });
});
