// node scripts/check-widening.mjs (and part of npm run test:nodes): which functions of the kernels V8 widens to 256 bits. Compiles
// build/*.wasm with V8's optimizing compiler and its trace, and compares the pairs of stores that it merged with widening.mjs.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { functionNames } from "./binaryen.mjs";
import { run } from "./install.mjs";
import { nodeBinary, WIDE_VERSIONS } from "./nodes.mjs";
import { printTable } from "./print-table.mjs";
import { widenable } from "./widenable.mjs";
import { SETUP, WIDENING } from "./widening.mjs";

const KERNEL_SETS = ["simd", "relaxed-simd"];
const FLAGS = [
  "--experimental-wasm-revectorize",
  "--trace-wasm-revectorize",
  // every function, in the optimizing compiler, one after the other
  "--no-liftoff",
  "--no-wasm-lazy-compilation",
  "--single-threaded",
];
const COMPILE = "new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]))";

const build = fileURLToPath(new URL("../build/", import.meta.url));

/** The modules of a set, as programs have them: build/SET-GROUP.wasm. */
const modulesOf = (set) =>
  readdirSync(build)
    .filter((name) => name.startsWith(`${set}-`) && name.endsWith(".wasm"))
    .map((name) => join(build, name));

/** How many pairs of stores V8 merges in each function of a set; none where it is never asked to. */
const mergedStores = (binary, set) => new Map(modulesOf(set).flatMap((path) => mergedStoresOf(binary, path)));

function mergedStoresOf(binary, path) {
  const bytes = readFileSync(path);
  const names = functionNames(bytes);
  const asked = widenable(bytes).map((place) => names[place]);
  const trace = run(binary, [...FLAGS, "-e", COMPILE, path]);
  const merged = new Map(names.map((name) => [name, 0]));
  for (const part of trace.split("Begin revec function ").slice(1)) {
    const [name] = part.split("\n", 1);
    const [, decision = ""] = part.split(/Decided? to vectorize, [1-9]\d* revectorizable nodes/);
    if (asked.includes(name)) merged.set(name, decision.match(/Print \d+: Store\(/g)?.length ?? 0);
  }
  return [...merged].map(([name, pairs]) => [name.replaceAll("assembly/", ""), pairs]);
}

/** What both sets export; Node 20 does not take the relaxed one. */
function exportedNames() {
  const module = new WebAssembly.Module(readFileSync(join(build, "simd.wasm")));
  return WebAssembly.Module.exports(module).map(({ name }) => name);
}

/** The functions of a kernel that widen in a build. */
const widening = ({ widens, relaxed }, kernels) => ({ ...widens, ...(kernels === "relaxed-simd" ? relaxed : {}) });

/** Where a module is not what the table says. */
function problemsOf(merged, exported, kernels) {
  const unlisted = exported.filter((name) => !(name in WIDENING || SETUP.includes(name)));
  const problems = unlisted.map((name) => `${name} is not in scripts/widening.mjs`);
  for (const [kernel, row] of Object.entries(WIDENING)) {
    if (!exported.includes(kernel)) problems.push(`${kernel} is not exported`);
    for (const [name, pairs] of Object.entries(widening(row, kernels))) {
      const got = merged.get(name);
      if (got === undefined) problems.push(`${kernel}: there is no function ${name}: renamed, or inlined by binaryen`);
      else if (got < pairs) problems.push(`${kernel}: ${name}: ${got} pairs of stores are merged, expected ${pairs}`);
    }
  }
  return problems;
}

/** Throws where a function that should widen does not; `binaries` are those of Node by version. */
export function checkWidening(binaries) {
  const able = [...binaries].filter(([version]) => WIDE_VERSIONS.includes(version));
  const runs = able.flatMap(([version, binary]) =>
    KERNEL_SETS.map((kernels) => ({
      title: `${version} ${kernels}`,
      kernels,
      merged: mergedStores(binary, kernels),
    })),
  );
  const rows = Object.entries(WIDENING).flatMap(([kernel, { not = {}, ...row }]) => [
    ...Object.keys(widening(row, "relaxed-simd")).map((name) => [
      kernel,
      name,
      ...runs.map(({ merged }) => `${merged.get(name) ?? "-"}`),
    ]),
    ...Object.entries(not).map(([name, reason]) => [kernel, `${name}: ${reason}`]),
  ]);
  console.log("Pairs of stores that V8 merges into 256 bits:");
  printTable([["kernel", "function", ...runs.map(({ title }) => title)], ...rows.filter((row) => row.length > 2)]);
  console.log("\nWhat stays at 128 bits:");
  printTable(rows.filter((row) => row.length === 2));
  console.log();
  const exported = exportedNames();
  const problems = runs.flatMap(({ title, kernels, merged }) =>
    problemsOf(merged, exported, kernels).map((problem) => `${title}: ${problem}`),
  );
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) throw new Error("not every kernel widens as scripts/widening.mjs says");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const binaries = new Map();
  for (const version of WIDE_VERSIONS) binaries.set(version, await nodeBinary(version));
  checkWidening(binaries);
}
