import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
let folder: string;

// one forward pass, as a function would do it; prints the kernels and the sum of the outputs
const PROGRAM = `
  import * as lg from "lanegrad";
  const layer = new lg.Linear(784, 256);
  const y = layer.forward(new Float32Array(784).fill(0.5));
  console.log(lg.defaultEngine().kernels, y.shape.join("x"), y.data.reduce((sum, value) => sum + value, 0));
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lanegrad-package-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function bundleProgram(format: "esm" | "cjs"): Promise<string> {
  const outfile = join(folder, format === "esm" ? "program.mjs" : "program.cjs");
  await build({
    stdin: { contents: PROGRAM, resolveDir: root },
    bundle: true,
    platform: "node",
    format,
    outfile,
    logLevel: "error",
  });
  return outfile;
}

test("the package imports under its own name, from the built files", async () => {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", PROGRAM], { cwd: root });
  expect(stdout).toMatch(/^(relaxed-)?simd 1x256 -?\d/);
});

test.each(["esm", "cjs"] as const)(
  "esbuild puts a program into one %s file that runs from an empty folder",
  async (format) => {
    const outfile = await bundleProgram(format);
    const bundled = await run(process.execPath, [outfile], { cwd: folder });
    const direct = await run(process.execPath, ["--input-type=module", "-e", PROGRAM], { cwd: root });
    expect(bundled.stdout).toBe(direct.stdout);
  },
);

test("importing has no side effect: a program that uses nothing bundles to next to nothing", async () => {
  const outfile = join(folder, "unused.mjs");
  await build({
    stdin: { contents: 'import { readIdx } from "lanegrad";', resolveDir: root },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    logLevel: "error",
  });
  expect((await readFile(outfile, "utf8")).length).toBeLessThan(100);
});

test("the types describe the public surface alone", async () => {
  const file = join(folder, "use.ts");
  await writeFile(
    file,
    `import * as lg from "lanegrad";
     const layer = new lg.LinearPReLU(3, 2, { numParameters: 1 });
     const y: lg.Tensor = layer.forward([[1, 2, 3]]);
     // @ts-expect-error internals stay inside
     y.storage;
     // @ts-expect-error unknown options are refused
     new lg.Linear(3, 2, { biass: true });
    `,
  );
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      paths: { lanegrad: [join(root, "dist/index.d.ts")] },
      types: [],
      module: "ESNext",
      moduleResolution: "bundler",
    },
    include: [file],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  await expect(run(process.execPath, [tsc, "-p", folder])).resolves.toMatchObject({ stdout: "" });
});
