import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../../examples/", import.meta.url));

async function output(name: string): Promise<string> {
  return (await run(process.execPath, [`${folder}${name}.mjs`])).stdout;
}

/** How many bytes of linear memory an example says are in use, now and then. */
const bytesInUse = (text: string): string[] => Array.from(text.matchAll(/(\d+) bytes in use/g), ([, bytes]) => bytes);

test("every example has a test here", () => {
  const names = readdirSync(folder).flatMap((file) => /^(.*)\.mjs$/.exec(file)?.[1] ?? []);
  const tests = readFileSync(fileURLToPath(import.meta.url), "utf8");
  expect(names.filter((name) => !tests.includes(`await output("${name}")`))).toEqual([]);
});

test("plain-arrays learns XOR", async () => {
  const lines = (await output("plain-arrays")).trim().split("\n").slice(-4);
  for (const line of lines) {
    const [, got, expected] = line.match(/= (\d) \(expected (\d)\)$/) ?? [];
    expect(got, line).toBe(expected);
  }
  expect(lines).toHaveLength(4);
});

test("residual-block passes its gradient check and trains without allocating", async () => {
  const text = await output("residual-block");
  expect(text).toMatch(/^gradCheck: ok, \d+ derivatives/m);
  const [first, ...others] = bytesInUse(text);
  expect(others).toEqual([first, first]);
});

test("residual-block leaves alone what the layer inside it keeps", async () => {
  const source = readFileSync(`${folder}residual-block.mjs`, "utf8");
  const inner = /new lg\.(LinearELU|Sequential)\(.*width.*\)(?=\);)/;
  expect(source).toMatch(inner);
  // its derivative is its output
  const exponential = `class Exponential extends lg.Layer {
    forward(x) {
      this.y = x.clone();
      this.y.data.forEach((value, i, data) => (data[i] = Math.exp(value / 4)));
      return this.y;
    }
    backwardInput(dy) {
      const dx = dy.clone();
      this.y.data.forEach((value, i) => (dx.data[i] *= value / 4));
      return dx;
    }
  }`;
  const program = source.replace(inner, "new Exponential()").replace("const width", `${exponential}\nconst width`);
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: folder });
  expect(stdout).toMatch(/^gradCheck: ok, \d+ derivatives/m);
});

test("regression predicts better than the mean does, in euros", async () => {
  const [, off, offByMean] = /off by ([\d,]+) € on average; the mean price is off by ([\d,]+) €/.exec(
    await output("regression"),
  )!;
  const euros = (text: string): number => Number(text.replaceAll(",", ""));
  expect(euros(off)).toBeLessThan(euros(offByMean) / 10);
});

test("custom-loss fits through outliers", async () => {
  const text = await output("custom-loss");
  const lines = text.match(/^f\(.*$/gm) ?? [];
  for (const line of lines) {
    const [, got, expected] = line.match(/= (-?[\d.]+), \|x\| = ([\d.]+)$/) ?? [];
    expect(Math.abs(Number(got) - Number(expected)), line).toBeLessThan(0.15);
  }
  expect(lines).toHaveLength(3);
  const [first, ...others] = bytesInUse(text);
  expect(others).toEqual([first, first]);
});

test("messages prints what the formulas give, eight times", async () => {
  const lines = (await output("messages")).match(/^.* by hand .*$/gm) ?? [];
  for (const line of lines) {
    const [, got, expected] = line.match(/(\[\S+) +by hand (\S+)$/) ?? [];
    expect(got, line).toBe(expected);
  }
  expect(lines).toHaveLength(8);
});

test("image-network finds its parameters and learns stripes", async () => {
  const text = await output("image-network");
  expect(text).toContain("4276682 parameters, 704 of them slopes");
  const [, right] = text.match(/^(\d+) of 16 new images recognised$/m) ?? [];
  expect(Number(right), text).toBeGreaterThanOrEqual(12);
}, 60_000);
