// npm run test:nodes: the same bits on several versions of Node. Runs test/node-versions/program.mjs over dist/ on each of them, with each
// kernel set and with widened kernels, and compares hashes of the results. Then runs all tests on versions with other kernels than this
// Node's. A version that cannot be installed is a failure, unless --allow-missing is given.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkWidening } from "./check-widening.mjs";
import { exists, Missing, run } from "./install.mjs";
import { NODE_VERSIONS, nodeBinary, WIDE_VERSIONS } from "./nodes.mjs";
import { printTable } from "./print-table.mjs";

const KERNEL_SETS = ["simd", "js", "relaxed-simd"];
/** Earlier ones refuse relaxed SIMD. */
const FIRST_RELAXED = 22;

const root = fileURLToPath(new URL("..", import.meta.url));
const program = join(root, "test/node-versions/program.mjs");

/** The environment of a run, without the settings of this process. */
function environment(wide) {
  const { NODE_OPTIONS: _, LANEGRAD_WIDE: __, ...env } = process.env;
  return wide ? { ...env, LANEGRAD_WIDE: "1" } : env;
}

/** The results of the program there, as { node, v8, kernels, wide, hashes }. */
function results(binary, version, kernels, wide) {
  const result = JSON.parse(run(binary, [program, kernels], environment(wide)));
  if (!result.node.startsWith(`v${version}.`)) throw new Error(`${binary} is Node ${result.node}, expected ${version}`);
  if (result.kernels !== kernels || result.wide !== wide)
    throw new Error(`asked for ${label(kernels, wide)}, got ${label(result.kernels, result.wide)}`);
  return result;
}

const label = (kernels, wide) => (wide ? `${kernels}, wide` : kernels);

/** The sections whose hash is not the reference's. */
const differences = ({ hashes }, reference) =>
  Object.keys(reference.hashes).filter((section) => hashes[section] !== reference.hashes[section]);

/** Prints the runs of one kernel set; whether all have the bits of the first. */
function report(kernels, runs) {
  const [reference] = runs;
  const sections = Object.keys(reference.hashes);
  const rows = runs.map((result) => [
    result.node,
    result.v8,
    label(result.kernels, result.wide),
    ...sections.map((section) => result.hashes[section].slice(0, 12)),
    differences(result, reference).length === 0 ? "OK" : "DIFFERS",
  ]);
  printTable([["Node", "V8", "kernels", ...sections, ""], ...rows]);
  console.log(`\nSHA-256 of each section on ${reference.node}, ${kernels}:`);
  printTable(sections.map((section) => ["", section, reference.hashes[section]]));
  console.log();
  const problems = runs.flatMap((result) =>
    differences(result, reference).map(
      (section) =>
        `${label(kernels, result.wide)}: ${section} differs: ${reference.hashes[section]} on ${reference.node}, ${result.hashes[section]} on ${result.node}`,
    ),
  );
  for (const problem of problems) console.error(problem);
  return problems.length === 0;
}

/** The whole test suite on a version of Node: throws where a test fails, else prints the last lines. */
function runTests(version, binary, wide) {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const output = run(binary, [vitest, "run", "--root", root], { ...environment(wide), NO_COLOR: "1" });
  const summary = output.slice(output.lastIndexOf("Test Files")).trim();
  console.log(
    `Tests on Node ${version}, with the ${wide ? "widened" : "relaxed-simd"} kernels as well:\n ${summary}\n`,
  );
}

async function main() {
  if (!(await exists(join(root, "dist/index.js")))) throw new Error("dist/index.js is missing: npm run build");

  const binaries = new Map();
  for (const version of NODE_VERSIONS) {
    try {
      binaries.set(version, await nodeBinary(version));
    } catch (error) {
      if (!(error instanceof Missing && allowMissing)) throw error;
      console.warn(`left out: ${error.message}`);
    }
  }
  if (binaries.size < 2)
    throw new Missing(`there is nothing to compare with ${binaries.size} of ${NODE_VERSIONS.length} versions`);

  checkWidening(binaries);

  const isRelaxed = (version) => Number(version) >= FIRST_RELAXED;
  const isWide = (version) => WIDE_VERSIONS.includes(version);
  let same = true;
  for (const kernels of KERNEL_SETS) {
    const able = [...binaries].filter(([version]) => kernels !== "relaxed-simd" || isRelaxed(version));
    const runs = able.flatMap(([version, binary]) => {
      const widths = kernels !== "js" && isWide(version) ? [false, true] : [false];
      return widths.map((wide) => results(binary, version, kernels, wide));
    });
    same = report(kernels, runs) && same;
  }
  if (!same) throw new Error("the bits are not the same on every version of Node");
  console.log(`The same bits on Node ${[...binaries.keys()].join(", ")}.\n`);
  for (const [version, binary] of binaries) {
    // it has a kernel set that Node 20, on which `npm test` runs, lacks
    if (isRelaxed(version)) runTests(version, binary, false);
    if (isWide(version)) runTests(version, binary, true);
  }
}

const allowMissing = process.argv.includes("--allow-missing");
try {
  await main();
} catch (error) {
  const isAllowed = error instanceof Missing && allowMissing;
  console.error(`test-nodes: ${error.message}${isAllowed ? " (allowed: nothing was compared)" : ""}`);
  if (!isAllowed) process.exitCode = 1;
}
