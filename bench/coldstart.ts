/**
 * `npm run bench:coldstart`: a fresh process that imports the built package and does one forward pass of 784 -> 256, above a process
 * that does nothing; also as one bundled file that runs from an empty folder. Medians of interleaved runs.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { median } from "./numbers.js";

const ROUNDS = 15;
const ROOT = fileURLToPath(new URL("..", import.meta.url));

const program = (from: string): string =>
  `import { LinearPReLU } from ${JSON.stringify(from)};
   const y = new LinearPReLU(784, 256).forward(new Float32Array(784));
   if (y.size !== 256) process.exit(1);`;

const folder = mkdtempSync(join(tmpdir(), "lanegrad-coldstart-"));
try {
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

  const times: Record<string, number[]> = { bare: [], import: [], bundle: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, file] of Object.entries(files)) times[name].push(run(file));
  }
  const typical = (name: string): number => median(times[name]);
  const above = (name: string): string => `${(typical(name) - typical("bare")).toFixed(1)} ms above`;
  console.log(`Node ${process.versions.node}, medians of ${ROUNDS} runs`);
  console.log(`bare Node        ${typical("bare").toFixed(1)} ms`);
  console.log(`package          ${above("import")}`);
  console.log(`one bundled file ${above("bundle")} (${(statSync(files.bundle).size / 1000).toFixed(0)} kB)`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Milliseconds from the start of a process to its end. */
function run(file: string): number {
  const begin = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [file]);
  if (status !== 0) throw new Error(`${file}: ${stderr}`);
  return performance.now() - begin;
}
