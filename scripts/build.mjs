// tiles.mjs -> assembly/gemm/tiles.ts; assembly/ -> build/*.wasm -> dist/kernels/*.wasm and src/kernels/pieces.ts; src/ ->
// dist/index.js and index.cjs (one file with the kernels inside), dist/edge.js (which imports them), and the declarations.
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
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
import { askForUnsharedMemory, encode } from "./sources.mjs";
import { splitModule } from "./split.mjs";
import { writeTiles } from "./tiles.mjs";
import { widenable } from "./widenable.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** In the order of modules.ts. */
const KERNEL_SETS = ["simd", "relaxed-simd"];
const PIECES = "src/kernels/pieces.ts";

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
  const text = `// Written by scripts/build.mjs from build/*.wasm.\nimport type { ModulePieces } from "./modules.js";\n\n${texts.join("\n")}`;
  const before = await readFile(PIECES, "utf8").catch(() => "");
  if (before !== text) await writeFile(PIECES, text);
}

function piecesText(group, modules) {
  const widening = Object.fromEntries(modules.map((bytes, i) => [KERNEL_SETS[i], widenable(bytes)]));
  const pieces = mergeModules(...modules).map((piece) => JSON.stringify(encode(piece)));
  return `export const ${group}: ModulePieces = {
widening: ${JSON.stringify(widening)},
pieces: [
${pieces.join(",\n")},
],
};
`;
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

/** dist/kernels: each set with every kernel in one module, for a shared memory, and for one that is not. */
async function writeModules(builds) {
  await mkdir("dist/kernels", { recursive: true });
  for (const [i, set] of KERNEL_SETS.entries()) {
    const bytes = withoutSections(builds[i]);
    await writeFile(`dist/kernels/${set}.wasm`, bytes);
    askForUnsharedMemory(bytes);
    await writeFile(`dist/kernels/${set}-unshared.wasm`, bytes);
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
    })
  ).outputFiles;
  const { code } = await minify(text, {
    module: format === "esm",
    ecma: 2022,
    compress: { passes: 2, keep_fnames: true, keep_classnames: true },
    mangle: mangle || NAMES_OF_TRACES,
    format: { comments: false, preserve_annotations: true, max_line_len: MAX_LINE },
  });
  await writeFile(file, code);
}

/**
 * modules.edge.ts and wide.edge.ts in place of modules.ts and wide.ts, no pieces but for their names. What modules.edge.ts imports stays an
 * import.
 */
const edgeModules = {
  name: "edge-modules",
  setup(context) {
    for (const name of ["modules", "wide/wide"]) {
      context.onResolve({ filter: new RegExp(`/${name}\\.js$`) }, () => ({
        path: fileURLToPath(new URL(`../src/kernels/${name}.edge.ts`, import.meta.url)),
      }));
    }
    context.onLoad({ filter: /\/pieces\.ts$/ }, () => ({
      contents: Object.keys(groups)
        .map((group) => `export const ${group} = undefined;`)
        .join("\n"),
    }));
    context.onResolve({ filter: /^#/ }, ({ path }) => ({ path, external: true }));
  },
};

/** How an edge runtime wants its modules imported. */
async function writeEdgeImports() {
  const line = (suffix) => `export { default } from "./simd-unshared.wasm${suffix}";\n`;
  await writeFile("dist/kernels/workerd.js", line(""));
  await writeFile("dist/kernels/edge-light.js", line("?module"));
}

/** dist/index.d.cts: what the public surface needs, in one file; index.d.ts has it from there, since a module may import CommonJS. */
async function writeDeclarations() {
  await promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]);
  await stripInternals("src", "build/types");
  const bundle = await rollup({ input: "build/types/index.d.ts", plugins: [dts()] });
  const [{ code }] = (await bundle.generate({})).output;
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
await Promise.all([writeTiles(), writeKernels(), writeOnnx()]);
const { core, ...groups } = await kernelsOfTable();
const builds = await compileModules();
assertExported([...core, ...Object.values(groups).flat()], builds[0]);
await Promise.all([writeGroups(builds, groups), writeModules(builds)]);
await Promise.all([
  bundle("dist/index.js"),
  // names matter less where a bundler or a test runner asks for CommonJS, and nothing at all on the edge
  bundle("dist/index.cjs", { format: "cjs", mangle: { toplevel: true } }),
  bundle("dist/edge.js", { plugins: [edgeModules], mangle: true }),
  writeEdgeImports(),
  writeLicences(),
]);
await writeDeclarations();
