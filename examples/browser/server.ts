// Bundles the page and serves it, on this machine only, with the images of data/fashion-mnist-subset. PORT is where it listens.
//   npm run example:browser
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".gz": "application/gzip",
};
const DATA = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];

/** Everything that is served, by its path. */
async function loadFiles(): Promise<Map<string, Uint8Array>> {
  const files = [
    here("index.html"),
    here("style.css"),
    ...DATA.map((name) => here(`../../data/fashion-mnist-subset/${name}-ubyte.gz`)),
  ];
  const { outputFiles } = await build({
    entryPoints: [here("page.ts"), here("trainer.ts")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "/",
    write: false,
    logLevel: "warning",
  });
  const contents = await Promise.all(files.map((file) => readFile(file)));
  return new Map([
    ...files.map((file, i): [string, Uint8Array] => [`/${basename(file)}`, contents[i]]),
    ...outputFiles.map(({ path, contents: bytes }): [string, Uint8Array] => [`/${basename(path)}`, bytes]),
  ]);
}

/** A server of the page, on a free port where `port` is 0. */
export async function servePage(port: number): Promise<Server> {
  const files = await loadFiles();
  const server = createServer((request, response) => {
    const path = request.url!.split("?")[0];
    const name = path === "/" ? "/index.html" : path;
    const content = files.get(name);
    response.writeHead(content === undefined ? 404 : 200, {
      "content-type": (content && TYPES[extname(name)]) ?? "text/plain",
      "cache-control": "no-cache",
    });
    response.end(content ?? "not found");
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await servePage(Number(process.env.PORT ?? 8000));
  console.log(`http://localhost:${(server.address() as AddressInfo).port}`);
}
