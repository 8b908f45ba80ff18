import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { median } from "./numbers.js";
import type { Measured } from "./run.js";

const ROUNDS = 15;
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BARE = "bare Node";

/** A program to start, as a file. */
interface Starter {
  name: string;
  file: string;
  about: string;
}

/**
 * `npm run bench:coldstart`: a fresh process that imports the built package and does one forward pass of 784 -> 256, beside a process
 * that does nothing; also as one bundled file. Medians of interleaved runs.
 */
export async function measureColdStarts(pace: number, print: (text: string) => void): Promise<Measured> {
  const rounds = Math.ceil(pace * ROUNDS);
  const folder = mkdtempSync(join(tmpdir(), "lanegrad-coldstart-"));
  try {
    const starters = await writeStarters(folder);
    const times: Record<string, number[]> = Object.fromEntries(starters.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const { name, file } of starters) times[name].push(run(file));
    }
    const milliseconds = Object.fromEntries(starters.map(({ name }) => [name, median(times[name])]));
    print(`Node ${process.versions.node}, medians of ${rounds} runs`);
    for (const { name, about } of starters) {
      const above = name === BARE ? "" : `, ${(milliseconds[name] - milliseconds[BARE]).toFixed(1)} above ${BARE}`;
      print(`${name.padEnd(16)} ${milliseconds[name].toFixed(1)} ms${above} (${about})`);
    }
    return {
      bench: "coldstart",
      contenders: starters.map(({ name, about }) => ({ name, about })),
      rows: [{ name: "cold start", milliseconds, rounds, countedRounds: rounds, noisy: false }],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function writeStarters(folder: string): Promise<Starter[]> {
  const files = {
    bare: join(folder, "bare.mjs"),
    import: join(folder, "import.mjs"),
    bundle: join(folder, "bundle.mjs"),
  };
  writeFileSync(files.bare, "");
  writeFileSync(files.import, program(join(ROOT, "dist/index.js")));
  await build({
    stdin: { contents: program("lanegrad"), resolveDir: ROOT },
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    outfile: files.bundle,
  });
  return [
    { name: BARE, file: files.bare, about: "a program that does nothing" },
    { name: "package", file: files.import, about: "imports the built package" },
    { name: "one file", file: files.bundle, about: `bundled, ${(statSync(files.bundle).size / 1000).toFixed(0)} kB` },
  ];
}

const program = (from: string): string =>
  `import { LinearPReLU } from ${JSON.stringify(from)};
   const y = new LinearPReLU(784, 256).forward(new Float32Array(784));
   if (y.size !== 256) process.exit(1);`;

/** Milliseconds from the start of a process to its end. */
function run(file: string): number {
  const begin = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [file]);
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
  return performance.now() - begin;
}
