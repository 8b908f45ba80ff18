// scripts/tiles.mjs -> assembly/gemm/tiles.ts; assembly/ -> build/*.wasm -> src/kernels/*.wasm.ts (base64), then src/ -> dist/ (one file, for a fast start) and its types.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { writeTiles } from "./tiles.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const KERNEL_SETS = ["simd", "relaxed-simd"];

async function compileKernels(set) {
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", set]);
  if (error) throw new Error(`asc: ${stderr}`);
  const warnings = stderr.toString();
  if (warnings) throw new Error(`asc: ${warnings}`);
  const base64 = (await readFile(`build/${set}.wasm`)).toString("base64");
  const widening = widenable(await readFile(`build/${set}.wat`, "utf8"));
  const text = `// Written by scripts/build.mjs from build/${set}.wasm.
export const base64 = "${base64}";
export const widening = [${widening.join(", ")}];
`;
  const target = `src/kernels/${set}.wasm.ts`;
  const before = await readFile(target, "utf8").catch(() => "");
  if (before !== text) await writeFile(target, text);
}

/**
 * The functions that may be widened to 256 bits (src/kernels/wide), by their indices: those with two stores that might lie beside each
 * other, and without a shuffle, beside which V8 13.6 gets them wrong, or an integer extension, at which it may abort.
 */
function widenable(wat) {
  const functions = wat.split(/^ \(func /m).slice(1);
  const isWidenable = (code) =>
    (code.match(/v128\.store\b/g)?.length ?? 0) >= 2 &&
    !/i8x16\.(shuffle|swizzle|relaxed_swizzle)|\.ext(end|mul|add)_/.test(code);
  return functions.flatMap((code, index) => (isWidenable(code) ? [index] : []));
}

async function bundle() {
  await build({
    entryPoints: ["src/index.ts"],
    outfile: "dist/index.js",
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    // half the time to parse; names stay, for stack traces
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    logLevel: "warning",
  });
}

/** The bundle carries code of the loader, whose licence goes with it. */
async function copyNotice() {
  const license = await readFile("node_modules/assemblyscript/LICENSE", "utf8");
  const text = `dist/index.js contains code of @assemblyscript/loader, under this licence:\n\n${license}`;
  await writeFile("dist/THIRD-PARTY-NOTICES.txt", text);
}

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await writeTiles();
await Promise.all(KERNEL_SETS.map(compileKernels));
await Promise.all([bundle(), copyNotice()]);
