import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);

async function output(name: string): Promise<string> {
  const file = fileURLToPath(new URL(`../examples/${name}.mjs`, import.meta.url));
  return (await run(process.execPath, [file])).stdout;
}

test("plain-arrays learns XOR", async () => {
  const lines = (await output("plain-arrays")).trim().split("\n").slice(-4);
  for (const line of lines) {
    const [, got, expected] = line.match(/= (\d) \(expected (\d)\)$/) ?? [];
    expect(got, line).toBe(expected);
  }
  expect(lines).toHaveLength(4);
});

test("residual-block passes its gradient check", async () => {
  expect(await output("residual-block")).toMatch(/^gradCheck: ok, \d+ derivatives/m);
});

test("custom-loss fits through outliers", async () => {
  const lines = (await output("custom-loss")).match(/^f\(.*$/gm) ?? [];
  for (const line of lines) {
    const [, got, expected] = line.match(/= (-?[\d.]+), \|x\| = ([\d.]+)$/) ?? [];
    expect(Math.abs(Number(got) - Number(expected)), line).toBeLessThan(0.15);
  }
  expect(lines).toHaveLength(3);
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
