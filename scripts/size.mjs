// npm run size: the sizes of the package and of programs bundled with it, and their limits. Run it after a build.
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { npmInstall, run } from "./install.mjs";
import { printTable } from "./print-table.mjs";
import { withoutSections } from "./sections.mjs";

/** Bytes. */
const LIMITS = { tarball: 385_000, installed: 1_115_000, command: 84_000 };

/** [what, how many bytes its gzip may have, the program]. */
const PROGRAMS = [
  [
    "one layer",
    51_000,
    `import { Linear } from "lanegrad";
    export const run = (x) => new Linear(784, 256).forward(x);`,
  ],
  [
    "a training step",
    59_000,
    `import { crossEntropy, Linear, PReLU, Sequential, SGD } from "lanegrad";
    const net = new Sequential(new Linear(784, 256), new PReLU(), new Linear(256, 10));
    const optimizer = new SGD(net.parameters(), { lr: 0.1 });
    export function step(x, labels) {
      net.zeroGrad();
      const { loss, grad } = crossEntropy(net.forward(x), labels);
      net.backwardParams(grad);
      optimizer.step();
      return loss;
    }`,
  ],
  [
    "one layer for images",
    66_500,
    `import { Conv2d } from "lanegrad";
    export const run = (x) => new Conv2d(1, 16, 3).forward(x);`,
  ],
  ["everything", 111_000, 'export * from "lanegrad";'],
];

const root = fileURLToPath(new URL("..", import.meta.url));

async function bundledSize(contents) {
  const options = { stdin: { contents, resolveDir: root }, bundle: true, minify: true, format: "esm", write: false };
  const [{ contents: bytes }] = (await build({ ...options, platform: "node" })).outputFiles;
  return gzipSync(bytes, { level: 9 }).length;
}

async function folderSize(folder) {
  let size = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) size += (await stat(join(entry.parentPath ?? entry.path, entry.name))).size;
  }
  return size;
}

/** Modules of kernels that programs compile: the core, and those of the groups that their layers need. */
const modules = async () => (await readdir(join(root, "build"))).filter((name) => /simd-\w+\.wasm$/.test(name));

/** [what, bytes, at most]; kernels have no limit of their own, since programs have one. */
async function measure(folder) {
  const rows = [];
  for (const file of await modules()) {
    const bytes = withoutSections(await readFile(join(root, "build", file)));
    rows.push([`kernels of ${file.replace(".wasm", "")}`, bytes.length]);
  }
  for (const [name, limit, program] of PROGRAMS) {
    rows.push([`bundle of ${name}, gzip`, await bundledSize(program), limit]);
  }
  rows.push(["the command, without the library", (await stat(join(root, "dist/cli.js"))).size, LIMITS.command]);
  const [packed] = JSON.parse(run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder, root]));
  const tarball = join(folder, packed.filename);
  rows.push(["tarball", (await stat(tarball)).size, LIMITS.tarball]);
  npmInstall(folder, [tarball]);
  rows.push(["installed", await folderSize(join(folder, "node_modules/lanegrad")), LIMITS.installed]);
  return rows;
}

const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

const folder = await mkdtemp(join(tmpdir(), "lanegrad-size-"));
try {
  const rows = await measure(folder);
  const isOver = ([, bytes, limit]) => bytes >= limit;
  printTable([
    ["", "size", "less than", ""],
    ...rows.map((row) => [
      row[0],
      kilobytes(row[1]),
      row[2] === undefined ? "" : kilobytes(row[2]),
      isOver(row) ? "TOO LARGE" : "",
    ]),
  ]);
  if (rows.some(isOver)) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true });
}
