import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";

const SCRIPT = fileURLToPath(new URL("endless.mjs", import.meta.url));
/** What V8's young objects and compilers take or give back, in MiB. */
const NOISE = 48;

/** Runs a scenario of endless.mjs in a process of its own: memory must be below `most` MiB and no more in its last third than before. */
export async function expectFlat(
  scenario: string,
  count: number,
  { most, kernels = "auto", options = [] }: { most: number; kernels?: string; options?: readonly string[] },
): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...options,
    SCRIPT,
    scenario,
    String(count),
    kernels,
  ]);
  const { rss, used } = JSON.parse(stdout) as Record<"rss" | "used", [number, number]>;
  expect(rss[1], stdout).toBeLessThan(most);
  expect(rss[1] - rss[0], stdout).toBeLessThan(NOISE);
  expect(used[1] - used[0], stdout).toBeLessThan(NOISE);
}
