// npm run test:types [-- VERSION ...]: compiles programs that use the package (test/types) with every version of TypeScript that it
// supports, in every kind of project, with every declaration checked. "own" is the project's own version. --project names a folder in which
// the package is installed; without it the package is packed and installed into a new one.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { npmInstall, run } from "./install.mjs";
import { printTable } from "./print-table.mjs";
import { installed } from "./runtimes.mjs";

const VERSIONS = ["5.2", "5.5", "5.9", "6", "7"];
/** [kind of project, program, its file there, the compiler's options]. */
const PROJECTS = [
  ["bundler", "use.ts", "use.ts", { module: "ESNext", moduleResolution: "bundler" }],
  ["ESM in Node", "use.ts", "use.mts", { module: "NodeNext" }],
  ["CommonJS in Node", "use.ts", "use.cts", { module: "NodeNext" }],
  ["CommonJS without require(esm)", "use.ts", "use.cts", { module: "Node16" }],
  ["the DOM's library", "dom.ts", "dom.mts", { module: "NodeNext", lib: ["ES2022", "DOM"] }],
];
/** Nothing but the language: no DOM, no types of Node. */
const DEFAULTS = { target: "ES2022", lib: ["ES2022"], types: [], strict: true, skipLibCheck: false, noEmit: true };

const root = fileURLToPath(new URL("..", import.meta.url));

async function createProject() {
  const project = await mkdtemp(join(tmpdir(), "lanegrad-types-"));
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project, root]);
  await writeFile(join(project, "package.json"), '{ "private": true }\n');
  npmInstall(project, [join(project, JSON.parse(packed)[0].filename)]);
  return project;
}

const compilerOf = (version) =>
  version === "own" ? join(root, "node_modules/typescript") : installed("typescript", [`typescript@${version}`]);

/** The compiler's output, empty if all is well. */
function compile(compiler, folder) {
  try {
    run(process.execPath, [join(compiler, "bin/tsc"), "-p", folder]);
  } catch (error) {
    return error.message;
  }
}

async function write(folder, [, program, file, options]) {
  const text = await readFile(join(root, "test/types", program), "utf8");
  const isCommonJs = file.endsWith(".cts");
  await mkdir(folder);
  await writeFile(
    join(folder, file),
    isCommonJs ? text.replace('import * as lg from "lanegrad"', 'import lg = require("lanegrad")') : text,
  );
  const config = { compilerOptions: { ...DEFAULTS, ...options }, files: [file] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
}

const given = process.argv.slice(2);
const at = given.indexOf("--project");
const [, home] = at < 0 ? [] : given.splice(at, 2);
const versions = given.length === 0 ? VERSIONS : given;
const project = home ?? (await createProject());
const folders = PROJECTS.map((_, i) => join(project, `types-${i}`));
try {
  await Promise.all(PROJECTS.map((kind, i) => write(folders[i], kind)));
  const rows = [["TypeScript", ...PROJECTS.map(([kind]) => kind)]];
  for (const version of versions) {
    const compiler = await compilerOf(version);
    const problems = folders.map((folder) => compile(compiler, folder));
    const { version: exact } = JSON.parse(await readFile(join(compiler, "package.json"), "utf8"));
    rows.push([exact, ...problems.map((problem) => (problem === undefined ? "OK" : "WRONG"))]);
    for (const problem of problems.filter((problem) => problem !== undefined)) {
      console.error(`test-types: TypeScript ${exact}: ${problem}`);
      process.exitCode = 1;
    }
  }
  printTable(rows);
} finally {
  await Promise.all((home === undefined ? [project] : folders).map((folder) => rm(folder, { recursive: true })));
}
