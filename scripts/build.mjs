// tiles.mjs -> assembly/gemm/tiles.ts; assembly/ -> build/*.wasm -> dist/kernels/*.wasm and src/kernels/pieces.ts; src/ ->
// dist/index.js (one file with the kernels inside), index.cjs (which reads them), edge.js (which imports them), cli.js (the command, which
// imports index.js), and the declarations.
// src/training/worker/program.ts -> text.ts beside it.
import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import { minify } from "terser";
import { alignWith } from "./align.mjs";
import { readTable, writeKernels } from "./kernels.mjs";
import { writeOnnx } from "./onnx.mjs";
import { mergeModules } from "./pieces.mjs";
import { stripInternals } from "./public-members.mjs";
import { withoutSections } from "./sections.mjs";
import { askForMemory, encode } from "./sources.mjs";
import { splitModule } from "./split.mjs";
import { writeTiles } from "./tiles.mjs";
import { widenable } from "./widenable.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** In the order of modules.ts. */
const KERNEL_SETS = ["simd", "relaxed-simd"];
const PIECES = "src/kernels/pieces.ts";
/** As in src/training/worker/library.ts. */
const END_OF_LIBRARY = "// the whole of lanegrad";

async function compileKernels(set) {
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", set]);
  if (error) throw new Error(`asc: ${stderr}`);
  const warnings = stderr.toString();
  if (warnings) throw new Error(`asc: ${warnings}`);
  return readFile(`build/${set}.wasm`);
}

/** The builds of KERNEL_SETS with every kernel, as like each other as they can be; they have the names of their functions. */
async function compileModules() {
  const [first, second] = await Promise.all(KERNEL_SETS.map(compileKernels));
  const aligned = alignWith(first, second);
  await writeFile(`build/${KERNEL_SETS[1]}.wasm`, aligned);
  return [first, aligned];
}

/** Writes build/SET-GROUP.wasm, and src/kernels/pieces.ts, from which modules.ts puts them together. */
async function writeGroups(builds, groups) {
  const modules = builds.map((bytes) => splitModule(bytes, groups));
  const texts = [];
  for (const group of Object.keys(modules[0])) {
    const ofSets = modules.map((split) => split[group]);
    await Promise.all(ofSets.map((bytes, i) => writeFile(`build/${KERNEL_SETS[i]}-${group}.wasm`, bytes)));
    texts.push(
      piecesText(
        group,
        ofSets.map((bytes) => withoutSections(bytes)),
      ),
    );
  }
  const text = `// Written by scripts/build.mjs from build/*.wasm.
import type { ModulePieces } from "./codes.js";

${texts.join("\n")}
/** Functions that can be widened, of the modules with every kernel. */
export const whole: ModulePieces["widening"] = ${JSON.stringify(wideningOf(builds.map((bytes) => withoutSections(bytes))))};
`;
  await writeIfChanged(PIECES, text);
}

const wideningOf = (modules) => Object.fromEntries(modules.map((bytes, i) => [KERNEL_SETS[i], widenable(bytes)]));

function piecesText(group, modules) {
  const pieces = mergeModules(...modules).map((piece) => JSON.stringify(encode(piece)));
  return `export const ${group}: ModulePieces = {
widening: ${JSON.stringify(wideningOf(modules))},
pieces: [
${pieces.join(",\n")},
],
};
`;
}

/** The program of fitInWorker's worker as a text, in lines: see MAX_LINE. */
async function writeWorkerProgram() {
  const folder = "src/training/worker";
  const [{ text }] = (
    await build({
      entryPoints: [`${folder}/program.ts`],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2022",
      supported: { "template-literal": false },
      minify: true,
      lineLimit: MAX_LINE,
      logLevel: "warning",
    })
  ).outputFiles;
  // both stand in strings alone
  const raw = text.trim().replaceAll("`", "\\x60").replaceAll("${", "$\\x7b");
  await writeIfChanged(
    `${folder}/text.ts`,
    `// Written by scripts/build.mjs from program.ts.\n/** Raw, so that it keeps its lines. */\nexport const programText = (): string => String.raw\`${raw}\`;\n`,
  );
}

async function writeIfChanged(path, text) {
  const before = await readFile(path, "utf8").catch(() => "");
  if (before !== text) await writeFile(path, text);
}

/** The kernels of each group of the table, by its name. */
async function kernelsOfTable() {
  const table = Object.entries(await readTable());
  return Object.fromEntries(table.map(([group, files]) => [group, Object.values(files).flatMap(Object.keys)]));
}

function assertExported(kernels, bytes) {
  const exported = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name);
  const missing = kernels.filter((name) => !exported.includes(name));
  if (missing.length > 0)
    throw new Error(`assembly/index.ts does not export ${missing.join(", ")}, which the table has`);
}

/** dist/kernels: each set with every kernel in one module, for a memory that every runtime has: one that is not shared. */
async function writeModules(builds) {
  await mkdir("dist/kernels", { recursive: true });
  for (const [i, set] of KERNEL_SETS.entries()) {
    await writeFile(`dist/kernels/${set}.wasm`, askForMemory(withoutSections(builds[i]), false));
  }
}

/** The kernels come first, so that gzip, which looks back 32 kB, finds the rest in one piece. */
const piecesFirst = {
  name: "pieces-first",
  setup(context) {
    const entry = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const pieces = fileURLToPath(new URL("../src/kernels/pieces.ts", import.meta.url));
    context.onLoad({ filter: /\/src\/index\.ts$/ }, async () => ({
      contents: `import "./kernels/pieces.js";\n${await readFile(entry, "utf8")}`,
      loader: "ts",
    }));
    // elsewhere an import for its effects alone would be dropped
    context.onResolve({ filter: /\/pieces\.js$/ }, () => ({ path: pieces, sideEffects: true }));
  },
};

/**
 * What packages do when they are imported, and what they do instead. AssemblyScript's loader asks for a decoder of strings, which no kernel
 * passes and not every host has, and writes to Object, which may be frozen. pbf asks for one that only its reader uses.
 */
const AT_IMPORT = {
  "@assemblyscript/loader": [
    [
      'const utf16 = new TextDecoder("utf-16le", { fatal: true });',
      'const utf16 = { decode: (text) => new TextDecoder("utf-16le", { fatal: true }).decode(text) };',
    ],
    [/^Object\.hasOwn = [^;]*;\n\};?$/m, ""],
  ],
  pbf: [[/^const utf8TextDecoder = .*$/m, "const utf8TextDecoder = null;"]],
};
const quietPackages = {
  name: "quiet-packages",
  setup(context) {
    context.onLoad({ filter: /node_modules\/(@assemblyscript\/loader|pbf)\/index\.js$/ }, async ({ path }) => {
      const [, name] = /node_modules\/(.*)\/index\.js$/.exec(path);
      let contents = await readFile(path, "utf8");
      for (const [loud, quiet] of AT_IMPORT[name]) {
        const before = contents;
        contents = before.replace(loud, quiet);
        if (contents === before) throw new Error(`${path} has no ${loud}`);
      }
      return { contents };
    });
  },
};

/** Variables and private members get short names; functions and classes keep theirs. */
const NAMES_OF_TRACES = { toplevel: true, keep_fnames: true, keep_classnames: true };

/** Of an uncaught error Node prints the line that threw it: the file in one line would bury the message, and a pipe would lose it. */
const MAX_LINE = 200;

/**
 * One file of everything. Without spaces it parses in half the time; names stay where stack traces show them, unless `mangle` is set.
 * Annotations of what is pure stay for the next bundler: esbuild by itself would drop them with the spaces.
 */
async function bundle(file, { plugins = [piecesFirst], format = "esm", mangle = false } = {}) {
  const [{ text }] = (
    await build({
      entryPoints: ["src/index.ts"],
      bundle: true,
      write: false,
      format,
      platform: "neutral",
      target: "es2022",
      minifySyntax: true,
      legalComments: "none",
      logLevel: "warning",
      plugins: [...plugins, quietPackages],
      define: format === "cjs" ? { "import.meta.url": "__filename" } : {},
    })
  ).outputFiles;
  const { code } = await minify(withPlainNamespaces(text), {
    module: format === "esm",
    ecma: 2022,
    compress: { passes: 2, keep_fnames: true, keep_classnames: true },
    mangle: mangle || NAMES_OF_TRACES,
    format: { comments: false, preserve_annotations: true, max_line_len: MAX_LINE },
  });
  await writeFile(file, `${code}\n${END_OF_LIBRARY}\n`);
}

/**
 * `export * as init` as an object that is made without effects, so that programs that do not use it do not carry it. esbuild fills it by a
 * call, which every later bundler has to keep. The entry's own exports stay.
 */
function withPlainNamespaces(text) {
  return text.replace(/^var (\w+)_exports = \{\};\n__export\(\1_exports, (\{[^}]*\})\);$/gm, (whole, name, members) =>
    name === "index"
      ? whole
      : `var ${name}_exports = /* @__PURE__ */ Object.freeze(${members.replaceAll(/: \(\) => /g, ": ")});`,
  );
}

/** Puts files of src/kernels in place of others, [name, stand-in], and pieces.ts without pieces. */
function standIns(name, pairs) {
  const kernels = (file) => fileURLToPath(new URL(`../src/kernels/${file}.ts`, import.meta.url));
  return {
    name,
    setup(context) {
      for (const [file, standIn] of pairs) {
        context.onResolve({ filter: new RegExp(`/${file}\\.js$`) }, () => ({ path: kernels(standIn) }));
      }
      context.onLoad({ filter: /\/pieces\.ts$/ }, async ({ path }) => ({
        contents: (await readFile(path, "utf8")).replace(/: ModulePieces = \{$[\s\S]*?^\};$/gm, " = undefined;"),
        loader: "ts",
      }));
      context.onResolve({ filter: /^(#|node:)/ }, ({ path }) => ({ path, external: true }));
    },
  };
}
const edgeModules = standIns("edge-modules", [
  ["modules", "modules.edge"],
  ["wide/wide", "wide/wide.edge"],
]);
const moduleFiles = standIns("module-files", [["codes", "codes.files"]]);

/** dist/cli.js: the command with its parsers and its bar in one file. The library is the package's own. */
async function bundleCommand() {
  const { outputFiles, metafile } = await build({
    entryPoints: ["src/cli/main.ts"],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "node20.16",
    minify: true,
    keepNames: false,
    legalComments: "none",
    logLevel: "warning",
    lineLimit: MAX_LINE,
    plugins: [ownLibrary, plainWidth],
    // cli-progress is CommonJS
    banner: {
      js: '#!/usr/bin/env node\nimport { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);',
    },
  });
  const packages = Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/([^/]+)\//.exec(path)?.[1] ?? []);
  await writeFile("dist/LICENSE-cli", await licencesOf([...new Set(packages)].sort()));
  await writeFile("dist/cli.js", outputFiles[0].text, { mode: 0o755 });
}

/** What the licences of what is inside the command ask for, MIT all of them: who wrote it, and the terms. */
async function licencesOf(packages) {
  const authors = await Promise.all(
    packages.map(async (name) => {
      const folder = `node_modules/${name}`;
      const { license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
      if (license !== "MIT") throw new Error(`dist/cli.js has ${name} inside, whose licence is ${license}`);
      const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
      const [line] = /^(The MIT .*)?Copyright .*$/m.exec(await readFile(`${folder}/${file}`, "utf8")) ?? [];
      if (line === undefined) throw new Error(`${folder}/${file} names nobody`);
      return `${name}: ${line.trim()}`;
    }),
  );
  const text = await readFile("LICENSE", "utf8");
  const terms = text.slice(text.indexOf("Permission is hereby granted"));
  return `Minified parts of these packages are in cli.js, under the MIT licence:\n\n${authors.join("\n")}\n\n${terms}`;
}

/** The bar asks how wide its texts are. They have no wide characters, and the tables that know those are a tenth of the file. */
const plainWidth = {
  name: "plain-width",
  setup(context) {
    context.onLoad({ filter: /\/string-width\/index\.js$/ }, () => ({
      contents: "module.exports = (text) => text.length;",
    }));
  },
};

const ownLibrary = {
  name: "own-library",
  setup(context) {
    context.onResolve({ filter: /^lanegrad$/ }, () => ({ path: "./index.js", external: true }));
  },
};

/** How an edge runtime wants its modules imported. */
async function writeEdgeImports() {
  const line = (suffix) => `export { default } from "./simd.wasm${suffix}";\n`;
  await writeFile("dist/kernels/workerd.js", line(""));
  await writeFile("dist/kernels/edge-light.js", line("?module"));
}

/** The declarations, where they name themselves. */
const ITSELF = "lanegrad";

/** dist/index.d.cts: what the public surface needs, in one file; index.d.ts has it from there, since a module may import CommonJS. */
async function writeDeclarations() {
  await promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]);
  await stripInternals("src", "build/types");
  // a namespace of everything, which has another in it, is more than the bundler can write
  const itself = {
    name: "itself",
    resolveId: (id) => (id === "../../index.js" ? { id: ITSELF, external: true } : null),
  };
  const bundle = await rollup({ input: "build/types/index.d.ts", plugins: [itself, dts()] });
  const code = (await bundle.generate({})).output[0].code.replace(`'${ITSELF}'`, '"./index.cjs"');
  const text = (await withTypesAlone(code)).replace(/^(?: {4})+/gm, (indent) => "\t".repeat(indent.length / 4));
  const declarations = `/// <reference lib="esnext.disposable" />\n${text}`;
  await writeFile("dist/index.d.cts", declarations);
  await writeFile("dist/index.d.ts", 'export * from "./index.cjs";\n');
  const module =
    'import type { EngineOptions } from "../index.js";\n' +
    'declare const module: NonNullable<EngineOptions["module"]>;\nexport default module;\n';
  await writeFile("dist/kernels/module.d.ts", module);
}

/** The bundler exports every class as a value, Engine too, which programs cannot construct. */
async function withTypesAlone(code) {
  const values = Object.keys(await import("../dist/index.js"));
  const [, exported] = /^export \{ (.*) \};$/m.exec(code);
  const types = exported.split(", ").filter((name) => !values.includes(name.split(" as ").at(-1)));
  const rest = exported.split(", ").filter((name) => !types.includes(name));
  return code.replace(/^export \{ .*$/m, `export { ${rest.join(", ")} };\nexport type { ${types.join(", ")} };`);
}

/** What the licences of AssemblyScript's loader and of pbf, which are inside the bundles, ask for. */
async function writeLicences() {
  const about =
    "@assemblyscript/loader, by the AssemblyScript authors, is part of index.js, index.cjs and edge.js: without its work at import,\n" +
    "minified, and without the functions that are not used. It is licensed as follows.\n\n";
  const licence = await readFile("node_modules/assemblyscript/LICENSE", "utf8");
  const terms = licence.slice(0, licence.indexOf("END OF TERMS AND CONDITIONS"));
  await writeFile("dist/LICENSE-loader", about + terms.replaceAll(/^ +/gm, ""));
  await copyFile("node_modules/pbf/LICENSE", "dist/LICENSE-pbf");
}

await rm("dist", { recursive: true, force: true });
await Promise.all([writeTiles(), writeKernels(), writeOnnx(), writeWorkerProgram()]);
const { core, ...groups } = await kernelsOfTable();
const builds = await compileModules();
assertExported([...core, ...Object.values(groups).flat()], builds[0]);
await Promise.all([writeGroups(builds, groups), writeModules(builds)]);
await Promise.all([
  bundle("dist/index.js"),
  // names matter less where a bundler or a test runner asks for CommonJS, and nothing at all on the edge
  bundle("dist/index.cjs", { format: "cjs", plugins: [moduleFiles], mangle: { toplevel: true } }),
  bundle("dist/edge.js", { plugins: [edgeModules], mangle: true }),
  writeEdgeImports(),
  writeLicences(),
]);
await Promise.all([writeDeclarations(), bundleCommand()]);
