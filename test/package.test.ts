import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build } from "esbuild";
import { rollup } from "rollup";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webpack from "webpack";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/** An empty project that the packed package is installed in. */
let project: string;
let tarball: string;

const node = (args: string[], cwd = project) => execute(process.execPath, args, { cwd });
const npm = (args: string[]) => execute("npm", [...args, "--ignore-scripts"], { cwd: project });

async function write(name: string, text: string): Promise<string> {
  const file = join(project, name);
  await writeFile(file, text);
  return file;
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "lanegrad-package-"));
  await write("package.json", '{ "private": true }');
  const { stdout } = await npm(["pack", "--json", "--pack-destination", project, root]);
  tarball = join(project, JSON.parse(stdout)[0].filename);
  await npm(["install", "--no-audit", "--no-fund", tarball]);
});

afterAll(async () => {
  await rm(project, { recursive: true });
});

/** One forward pass, as a function would do it; prints the kernels and the sum of the outputs. */
// a warm-up calls every kernel that the program has
const DENSE = `
  import { defaultEngine, Linear } from "lanegrad";
  const y = new Linear(784, 256).forward(new Float32Array(784).fill(0.5));
  defaultEngine().warmUp();
  console.log(defaultEngine().kernels, y.shape.join("x"), y.data.reduce((sum, value) => sum + value, 0));
`;
/** Images, and a training in a worker, whose module brings the library: a bundle has no file of it. */
const IMAGES = `
  import { BatchNorm2d, Conv2d, defaultEngine, fitInWorker, MaxPool2d, Sequential, tensor } from "lanegrad";
  const net = new Sequential(new Conv2d(1, 16, 3), new BatchNorm2d(16), new MaxPool2d(2), new Conv2d(16, 16, 3));
  const y = net.forward(tensor(new Float32Array(144).map((_, i) => i % 7), [1, 1, 12, 12]));
  net.backward(y);
  defaultEngine().warmUp();
  console.log(defaultEngine().kernels, y.shape.join("x"), y.data.reduce((sum, value) => sum + value, 0));
  const train = \`
    import * as lg from "${new URL("../dist/index.js", import.meta.url)}";
    export { lg };
    export default () => {
      const net = new lg.Linear(1, 2);
      const optimizer = new lg.SGD(net.parameters(), { lr: 1 });
      return { net, fit: { train: { x: [[1]], y: [0] }, epochs: 1, batchSize: 1, optimizer } };
    };\`;
  fitInWorker("data:text/javascript," + encodeURIComponent(train)).then(({ history }) => console.log(history.length));
`;

const asCommonJS = (program: string) => program.replace(/import (.*) from (.*);/, "const $1 = require($2);");
/** As Node 20.16 to 20.18 and 22.0 to 22.11 are. */
const WITHOUT_REQUIRE_ESM = "--no-experimental-require-module";

describe("the tarball", () => {
  test("has what is built, and no tests, sources or data", async () => {
    const files = await readdir(join(project, "node_modules/lanegrad"), { recursive: true });
    expect(files.sort()).toEqual(
      [
        ...["LICENSE", "README.md", "package.json", "dist", "dist/kernels"],
        ...[
          "cli.js",
          "edge.js",
          "index.cjs",
          "index.d.cts",
          "index.d.ts",
          "index.js",
          "LICENSE-cli",
          "LICENSE-pbf",
          "LICENSE-loader",
        ].map((name) => `dist/${name}`),
        ...["edge-light.js", "module.d.ts", "workerd.js"].map((name) => `dist/kernels/${name}`),
        ...["simd", "relaxed-simd"].map((name) => `dist/kernels/${name}.wasm`),
      ].sort(),
    );
  });

  test("has the licence of what is bundled", async () => {
    const text = await readFile(join(project, "node_modules/lanegrad/dist/LICENSE-loader"), "utf8");
    expect(text).toMatch(/^@assemblyscript\/loader/);
    expect(text).toContain("Apache License");
    const ofCommand = await readFile(join(project, "node_modules/lanegrad/dist/LICENSE-cli"), "utf8");
    expect(ofCommand).toMatch(/^csv-parse: .*Copyright .*Adaltas$/m);
    expect(ofCommand).toContain("Permission is hereby granted, free of charge");
  });

  test("asks for no package, and lists no script that an install could run", async () => {
    const text = await readFile(join(project, "node_modules/lanegrad/package.json"), "utf8");
    const { dependencies, optionalDependencies, scripts } = JSON.parse(text);
    expect([dependencies, optionalDependencies]).toEqual([undefined, undefined]);
    // npm runs the first three of a package from the registry, and the others of a folder or a git address
    const onInstall = /^(pre|post)?install$|^prepublish$|^(pre|post)?prepare$/;
    expect(Object.keys(scripts).filter((name) => onInstall.test(name))).toEqual([]);
  });

  test("publint and are-the-types-wrong find nothing", async () => {
    const cli = (name: string) => join(root, "node_modules", name);
    await node([cli("publint/src/cli.js"), "--strict", join(project, "node_modules/lanegrad")]);
    await node([cli("@arethetypeswrong/cli/dist/index.js"), tarball]);
  });
});

/** Of an uncaught error Node prints the line that threw; the long ones hold nothing but texts: the kernels, and the program of a thread. */
test.each(["index.js", "index.cjs", "edge.js"])("%s has no long line with code", async (file) => {
  const lines = (await readFile(join(root, "dist", file), "utf8")).split("\n");
  const code = lines.map((line) => line.replace(/(["'])(?:(?!\1)[^\\]|\\.){500,}?\1/g, ""));
  expect(code.filter((line) => line.length > 1000 && /\b(throw|return|function)\b/.test(line))).toEqual([]);
});

test.each([
  ["browser", "require.resolve", "index.cjs"],
  ["browser", "import.meta.resolve", "index.js"],
  ["module", "require.resolve", "index.js"],
  ["workerd", "import.meta.resolve", "edge.js"],
  ["edge-light", "import.meta.resolve", "edge.js"],
])("for the condition %s %s gives %s", async (condition, resolve, file) => {
  const kind = resolve === "require.resolve" ? "commonjs" : "module";
  const program = `console.log(${resolve}("lanegrad"))`;
  const { stdout } = await node(["-C", condition, `--input-type=${kind}`, "-e", program]);
  expect(stdout.trim().split("/").at(-1)).toBe(file);
});

describe("in Node", () => {
  test.each([DENSE, IMAGES])("import and require run the same program", async (program) => {
    const imported = await node(["--input-type=module", "-e", program]);
    expect(imported.stdout).toMatch(/^(relaxed-)?simd 1x\S+ -?[\d.e-]+\n(1\n)?$/);
    const required = ["-e", asCommonJS(program)];
    expect((await node(required)).stdout).toBe(imported.stdout);
    expect((await node([WITHOUT_REQUIRE_ESM, ...required])).stdout).toBe(imported.stdout);
  });

  test("CommonJS says which file it misses", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lanegrad-alone-"));
    try {
      await copyFile(join(root, "dist/index.cjs"), join(folder, "index.cjs"));
      const program = 'console.log(require("./index.cjs").defaultEngine().kernels);';
      const { stdout, stderr } = await node(["-e", program], folder);
      expect(stdout).toBe("js\n");
      expect(stderr).toMatch(
        /Warning: lanegrad: cannot read .*\/kernels\/(relaxed-)?simd\.wasm: deploy dist\/kernels beside/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.each([
    ["import", 'import * as lg from "lanegrad";'],
    ["require", 'const lg = require("lanegrad");'],
  ])("an uncaught error after %s is readable, through a pipe too", async (_, load) => {
    const calls = ["new lg.Linear(2, 0)", "lg.readIdx(new Uint8Array(3))", "new lg.Linear(3, 2).forward([1])"];
    for (const call of calls) {
      const args = [...(load.startsWith("import") ? ["--input-type=module"] : []), "-e", `${load} ${call};`];
      const { stderr } = await node(args).catch((error) => error);
      expect(stderr.length).toBeLessThan(5000);
      expect(stderr).toMatch(/^\w+Error: .*(expected|IDX)/m);
      expect(stderr).toMatch(/code: 'ERR_LANEGRAD_\w+'/);
    }
  });

  test.each(["--frozen-intrinsics", "--jitless"])("is imported under %s", async (flag) => {
    const program = 'import "lanegrad"; console.log("imported");';
    const { stdout } = await node([flag, "--no-warnings", "--input-type=module", "-e", program]);
    expect(stdout).toBe("imported\n");
  });

  test("import and require give one copy of the library", async () => {
    const program = `
      const { Linear } = require("lanegrad");
      import("lanegrad").then((lanegrad) => console.log(lanegrad.Linear === Linear));`;
    expect((await node(["-e", program])).stdout).toBe("true\n");
  });

  test("kernels that the program compiled itself give the same bits", async () => {
    const program = `
      import { readFileSync } from "node:fs";
      import { Conv2d, createEngine, Linear } from "lanegrad";
      const compile = (name) =>
        new WebAssembly.Module(readFileSync(new URL(import.meta.resolve("lanegrad/kernels/" + name + ".wasm"))));
      for (const options of [{ kernels: "simd" }, { module: compile("simd") }]) {
        const engine = createEngine(options);
        const x = engine.tensor(new Float32Array(784).fill(0.5));
        const y = new Linear(784, 256, { engine }).forward(x);
        const planes = new Conv2d(1, 16, 3, { engine }).forward(x.reshape([1, 1, 28, 28]));
        engine.zeros([1024, 1024]);
        const [sum, sumOfPlanes] = [y, planes].map(({ data }) => data.reduce((sum, value) => sum + value, 0));
        console.log(engine.kernels, y.data.buffer.constructor.name, sum, sumOfPlanes);
      }`;
    const lines = (await node(["--input-type=module", "-e", program])).stdout.trim().split("\n");
    const [kernels, , ...sums] = lines[0].split(" ");
    expect(kernels).toBe("simd");
    expect(lines).toEqual(["SharedArrayBuffer", "ArrayBuffer"].map((memory) => `simd ${memory} ${sums.join(" ")}`));
  });
});

type Bundle = (entry: string, outfile: string, format: "esm" | "cjs") => Promise<unknown>;

const bundlers: Record<string, Bundle> = {
  esbuild: (entry, outfile, format) =>
    build({ entryPoints: [entry], bundle: true, minify: true, platform: "node", format, outfile, logLevel: "error" }),

  rollup: async (entry, outfile, format) => {
    const bundle = await rollup({ input: entry, plugins: [nodeResolve()] });
    await bundle.write({ file: outfile, format });
  },

  webpack: (entry, outfile, format) =>
    new Promise<void>((resolve, reject) => {
      const isModule = format === "esm";
      const compiler = webpack({
        mode: "production",
        target: "node",
        entry,
        experiments: { outputModule: isModule },
        output: { path: join(outfile, ".."), filename: outfile.split("/").at(-1), module: isModule },
        performance: false,
      });
      compiler.run((error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats?.toString()));
        else resolve();
      });
    }),
};

describe.each(Object.entries(bundlers))("%s", (name, bundle) => {
  /** Bundles a program into a folder that is empty but for it; what it prints there, and its text. */
  async function bundled(program: string, format: "esm" | "cjs", extension = "mjs") {
    const entry = await write(`entry-${name}.${extension}`, program);
    const folder = await mkdtemp(join(tmpdir(), "lanegrad-bundle-"));
    try {
      const outfile = join(folder, format === "esm" ? "program.mjs" : "program.cjs");
      await bundle(entry, outfile, format);
      expect(await readdir(folder)).toHaveLength(1);
      const { stdout } = await node([outfile], folder);
      return { stdout, text: await readFile(outfile, "utf8") };
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test.each(["esm", "cjs"] as const)(
    "puts a program into one %s file that runs with nothing beside it",
    async (format) => {
      for (const program of [DENSE, IMAGES]) {
        const direct = await node(["--input-type=module", "-e", program]);
        expect((await bundled(program, format)).stdout).toBe(direct.stdout);
      }
    },
  );

  // Rollup leaves require alone
  test.skipIf(name === "rollup")("takes the same copy of the library for require as for import", async () => {
    const program = `
      const required = require("lanegrad");
      import("lanegrad").then(({ Linear }) => console.log(Linear === required.Linear));
      ${asCommonJS(DENSE)}`;
    const direct = await node(["--input-type=module", "-e", DENSE]);
    expect((await bundled(program, "cjs", "cjs")).stdout).toBe(`${direct.stdout}true\n`);
  });

  test("leaves out what a program does not use, kernels too", async () => {
    const dense = (await bundled(DENSE, "esm")).text;
    // names that minification leaves alone
    const unused = ['"Conv2d"', '"Sequential"', "running_var", "safetensors", "labelSmoothing"];
    expect(unused.filter((name) => dense.includes(name))).toEqual([]);
    const images = (await bundled(IMAGES, "esm")).text;
    expect(images.includes("running_var")).toBe(true);
    expect(images.length - dense.length).toBeGreaterThan(25_000);
  });

  test("leaves nothing of a library that is imported and not used", async () => {
    expect((await bundled('import { readIdx } from "lanegrad";', "esm")).text.length).toBeLessThan(100);
  });
});

test("esbuild has nothing to warn of, whatever the format", async () => {
  const entry = await write("entry-warnings.mjs", 'export * from "lanegrad";');
  const { warnings } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "cjs",
    logLevel: "error",
  });
  expect(warnings).toEqual([]);
});

test.each([
  ["workerd", "./simd.wasm"],
  ["edge-light", "./simd.wasm?module"],
])("for %s a bundle imports its module, and has no other inside", async (condition, specifier) => {
  const entry = await write("entry-edge.mjs", DENSE);
  const external = ["*.wasm", "*.wasm?module"];
  const options = { bundle: true, external, write: false, format: "esm" } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [entry], conditions: [condition] });
  const [{ text }] = outputFiles;
  expect([...text.matchAll(/^import .* from "(.*)"/gm)].map(([, from]) => from)).toEqual([specifier]);
  expect(text.length).toBeLessThan(120_000);
});

describe("types", () => {
  test("hold in every kind of project, with every declaration checked", async () => {
    const { stdout } = await node([join(root, "scripts/test-types.mjs"), "--project", project, "own"]);
    expect(stdout).toMatch(/OK/);
  });

  test("name every value that is there, and no other", async () => {
    const declared = await readFile(join(root, "dist/index.d.cts"), "utf8");
    const [, values] = /^export \{ (.*) \};$/m.exec(declared)!;
    const names = values.split(", ").map((name) => name.split(" as ").at(-1)!);
    const { stdout } = await node(["-p", 'Object.keys(require("lanegrad")).sort().join()']);
    expect(names.sort().join()).toBe(stdout.trim());
  });
});
