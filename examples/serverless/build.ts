// Bundles the function for each platform, with everything in it, into dist/: server.mjs, lambda.mjs, and worker.mjs, which takes the
// kernels from a file beside it, since Workers compile nothing while they run.
//   npm run build && node --import tsx examples/serverless/build.ts
import { fileURLToPath } from "node:url";
import { type BuildOptions, build } from "esbuild";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Writes the bundles into a folder; they need nothing else. */
export async function buildServerless(outdir = `${folder}dist`): Promise<void> {
  const bundle = (name: string, options: BuildOptions) =>
    build({
      entryPoints: [`${folder}${name}.ts`],
      outdir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      logLevel: "warning",
      ...options,
    });
  await Promise.all([
    bundle("server", { platform: "node" }),
    bundle("lambda", { platform: "node" }),
    bundle("worker", { conditions: ["workerd"], loader: { ".wasm": "copy" }, assetNames: "[name]" }),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildServerless();
