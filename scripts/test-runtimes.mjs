// npm run test:runtimes [-- NAME ...]: installs the package's tarball, without install scripts, into an empty project, and trains a
// small network there on every runtime, or on those whose names begin with one of the given names. All must have the bits of the first
// Node. The programs are in test/runtimes.
//
// runtimes.mjs installs the runtimes. One that cannot be installed is a failure, unless --allow-missing is given.
import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { exists, Missing, npmInstall, run } from "./install.mjs";
import { NODE_VERSIONS, nodeBinary } from "./nodes.mjs";
import { printTable } from "./print-table.mjs";
import { installed, installedMiniflare, launchChromium } from "./runtimes.mjs";

const BUN = "1.4.5";
const DENO = "2.9.6";
/** workerd before and after it had FinalizationRegistry. */
const COMPATIBILITY_DATES = ["2024-09-01", "2026-01-01"];
const JEST = "30.5.2";
/** The last ones of which vitest and jsdom run on Node 20. */
const VITEST = "4.1.12";
const JSDOM = "27.0.1";
const PAGE_MS = 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));
// the settings of this process must not change the results
const { NODE_OPTIONS: _, LANEGRAD_WIDE: __, ...env } = process.env;

/** An empty project with the packed package and the programs. */
async function createProject() {
  const project = await mkdtemp(join(tmpdir(), "lanegrad-project-"));
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project, root]);
  await writeFile(join(project, "package.json"), '{ "private": true }\n');
  npmInstall(project, [join(project, JSON.parse(packed)[0].filename)]);
  await cp(join(root, "test/runtimes"), project, { recursive: true });
  return project;
}

/** A runtime that runs a file. */
const command = (binary, args) => async (project) => JSON.parse(run(binary, args, env, project));

async function openNode(version, file) {
  const binary = await nodeBinary(version);
  return { version: run(binary, ["--version"]).trim(), train: command(binary, [file]) };
}

async function openBun() {
  const binary = join(await installed("@oven/bun-linux-x64", [`@oven/bun-linux-x64@${BUN}`]), "bin/bun");
  return { version: run(binary, ["--version"]).trim(), train: command(binary, ["run.mjs"]) };
}

async function openDeno() {
  const binary = join(await installed("@deno/linux-x64-glibc", [`@deno/linux-x64-glibc@${DENO}`]), "deno");
  // a worker's modules are files that are read
  const args = ["run", "--no-remote", "--allow-read", "--node-modules-dir=manual", "run.mjs"];
  return { version: run(binary, ["--version"]).split(" ")[1], train: command(binary, args) };
}

/** Workers get one bundle, as their own tools make it; modules are files beside it. */
async function openWorkerd(compatibilityDate) {
  const home = await installedMiniflare();
  const require = createRequire(join(home, "package.json"));
  const { Miniflare } = require(home);
  const train = async (project) => {
    const outdir = join(project, "worker");
    const { metafile } = await build({
      entryPoints: [join(project, "worker.mjs")],
      bundle: true,
      format: "esm",
      conditions: ["workerd", "worker"],
      loader: { ".wasm": "copy" },
      outdir,
      metafile: true,
      logLevel: "warning",
    });
    const files = Object.keys(metafile.outputs).map((file) => join(process.cwd(), file));
    const modules = files
      .sort((a, b) => extname(a).localeCompare(extname(b)))
      .map((path) => ({ type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path }));
    const worker = new Miniflare({ modules, modulesRoot: outdir, compatibilityDate });
    try {
      const response = await worker.dispatchFetch("http://localhost/");
      if (!response.ok) throw new Error(await response.text());
      return await response.json();
    } finally {
      await worker.dispose();
    }
  };
  return { version: require("workerd/package.json").version, train };
}

/** A test runner that runs the program of test/runtimes/runner.mjs, bundled but for the package; `args` are for a project and that file. */
function runner(version, cli, format, args) {
  const train = async (project) => {
    const name = `runner.test.${format === "cjs" ? "cjs" : "mjs"}`;
    const outfile = join(project, name);
    const options = { bundle: true, platform: "node", format, external: ["lanegrad"], logLevel: "warning" };
    await build({ ...options, entryPoints: [join(project, "runner.mjs")], outfile });
    const paths = {
      LANEGRAD_RESULT: join(project, "result.json"),
      LANEGRAD_MODULE: join(project, "node_modules/lanegrad/dist/kernels/simd.wasm"),
    };
    try {
      run(process.execPath, [cli, ...args(project, name)], { ...env, ...paths }, project);
      return JSON.parse(await readFile(paths.LANEGRAD_RESULT, "utf8"));
    } finally {
      await Promise.all([outfile, paths.LANEGRAD_RESULT].map((path) => rm(path, { force: true })));
    }
  };
  return { version, train };
}

async function openJest(environment) {
  const home = await installed("jest", [`jest@${JEST}`, `jest-environment-jsdom@${JEST}`]);
  const config = {
    testEnvironment: join(home, "..", `jest-environment-${environment}`),
    testMatch: ["<rootDir>/*.test.cjs"],
    transform: {},
  };
  const args = (project) => ["--rootDir", project, "--config", JSON.stringify(config)];
  return runner(JEST, join(home, "bin/jest.js"), "cjs", args);
}

async function openVitest(environment, pool) {
  const home = await installed("vitest", [`vitest@${VITEST}`, `jsdom@${JSDOM}`]);
  const flags = ["--globals", "--environment", environment, "--pool", pool];
  const args = (project, file) => ["run", "--root", project, ...flags, file];
  return runner(VITEST, join(home, "vitest.mjs"), "esm", args);
}

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Serves a folder on a free port of this machine. */
async function serve(folder, isIsolated) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const content = await readFile(join(folder, path)).catch(() => undefined);
    response.writeHead(content === undefined ? 404 : 200, {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      ...(isIsolated && {
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
      }),
    });
    response.end(content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function openChromium(isIsolated) {
  const browser = await launchChromium();
  const train = async (project) => {
    const server = await serve(project, isIsolated);
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(PAGE_MS);
      await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
      if ((await page.evaluate("crossOriginIsolated")) !== isIsolated) throw new Error("not isolated as it should be");
      return await page.evaluate("window.result");
    } finally {
      await browser.close();
      server.close();
    }
  };
  return { version: browser.version(), train };
}

/** [name, how it is opened, whether its memory is shared]; the first one is the reference. */
const RUNTIMES = [
  ...NODE_VERSIONS.flatMap((version) => [
    [`node ${version}`, () => openNode(version, "run.mjs"), true],
    [`node ${version}, require`, () => openNode(version, "run.cjs"), true],
  ]),
  ["bun", openBun, true],
  ["deno", openDeno, true],
  ...COMPATIBILITY_DATES.map((date) => [`workerd, ${date}`, () => openWorkerd(date), false]),
  ...["node", "jsdom"].map((environment) => [`jest, ${environment}`, () => openJest(environment), true]),
  ["vitest, vmThreads", () => openVitest("node", "vmThreads"), true],
  ...["threads", "vmThreads"].map((pool) => [`vitest, jsdom, ${pool}`, () => openVitest("jsdom", pool), true]),
  ["chromium", () => openChromium(false), false],
  ["chromium, isolated", () => openChromium(true), true],
];

const flags = process.argv.slice(2).filter((argument) => argument.startsWith("-"));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const allowMissing = flags.includes("--allow-missing");

async function attempt(open, project) {
  try {
    const { version, train } = await open();
    return { version, ...(await train(project)) };
  } catch (error) {
    return { error };
  }
}

/** What is wrong with a result; undefined if nothing is. */
function complaint({ error, kernels, threads, isShared, learns, bits }, wantsShared, reference) {
  if (error instanceof Missing) return allowMissing ? undefined : `missing: ${error.message}`;
  if (error !== undefined) return error.stack;
  if (kernels !== "simd") return `ran the "${kernels}" kernels`;
  if (isShared !== wantsShared) return `its memory is ${isShared ? "" : "not "}shared`;
  const wanted = wantsShared ? 3 : 1;
  if (threads !== wanted) return `it ran ${threads} threads, not ${wanted}`;
  if (!learns) return "the loss does not fall";
  if (bits !== reference) return "its bits are not those of the first";
}

function rowOf(name, { error, version, kernels, auto, threads, isShared, bits }, wrong) {
  if (error !== undefined)
    return [name, version ?? "", "", "", "", "", "", error instanceof Missing ? "missing" : "FAILED"];
  const hash = createHash("sha256").update(bits).digest("hex").slice(0, 12);
  const memory = isShared ? "shared" : "its own";
  return [name, version, kernels, auto, String(threads), memory, hash, wrong === undefined ? "OK" : "WRONG"];
}

async function main() {
  if (flags.some((flag) => flag !== "--allow-missing")) throw new Error(`unknown option among ${flags.join(" ")}`);
  if (!(await exists(join(root, "dist/index.js")))) throw new Error("dist/index.js is missing: npm run build");
  const chosen = RUNTIMES.filter(([name]) => names.length === 0 || names.some((prefix) => name.startsWith(prefix)));
  if (chosen.length === 0) throw new Error(`no runtime's name begins with ${names.join(" or ")}`);
  if (chosen[0] !== RUNTIMES[0]) chosen.unshift(RUNTIMES[0]);
  const project = await createProject();
  const rows = [["runtime", "version", "kernels", "auto", "threads", "memory", "bits", ""]];
  const problems = [];
  let skipped = 0;
  try {
    let reference;
    for (const [name, open, wantsShared] of chosen) {
      const result = await attempt(open, project);
      reference ??= result.bits;
      const wrong = complaint(result, wantsShared, reference);
      rows.push(rowOf(name, result, wrong));
      if (wrong !== undefined) problems.push(`${name}: ${wrong}`);
      else if (result.error !== undefined) skipped++;
    }
  } finally {
    await rm(project, { recursive: true });
  }
  printTable(rows);
  for (const problem of problems) console.error(`test-runtimes: ${problem}`);
  const passed = rows.length - 1 - problems.length - skipped;
  console.log(`\n${passed} passed, ${problems.length} failed, ${skipped} skipped`);
  if (problems.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(`test-runtimes: ${error.message}`);
  process.exitCode = 1;
}
