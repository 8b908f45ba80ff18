import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** With exact versions, so that figures can be reproduced. */
export type Packages = Readonly<Record<string, string>>;

export const TENSORFLOW: Packages = { "@tensorflow/tfjs-core": "4.22.0", "@tensorflow/tfjs-backend-wasm": "4.22.0" };
export const JAX: Packages = { "@jax-js/jax": "0.1.25" };
export const ONNXRUNTIME_WEB: Packages = { "onnxruntime-web": "1.30.0" };
export const ONNXRUNTIME_NODE: Packages = { "onnxruntime-node": "1.30.0" };

/** Not in our dependencies, since some of these packages take 65 to 290 MB. They stay there for the next run. */
const CACHE = join(tmpdir(), "lanegrad-peers");
const INSTALL_MS = 300_000;

export const specsOf = (packages: Packages): string[] =>
  Object.entries(packages).map(([name, version]) => `${name}@${version}`);

/**
 * Installs the packages unless they are there, and returns their folder. It is for these alone, so that a package that fails does not take
 * others with it.
 */
export async function install(packages: Packages): Promise<string> {
  const specs = specsOf(packages);
  const home = join(CACHE, specs.join("+").replaceAll("/", "-"));
  if (!existsSync(home)) {
    await mkdir(CACHE, { recursive: true });
    // in another folder until it is complete: a run that is cut short leaves nothing that looks installed
    const partial = await mkdtemp(`${home}-`);
    try {
      await npmInstall(partial, specs);
      await rename(partial, home);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }
  return home;
}

/** A function that loads modules installed in a folder. */
export const requireFrom = (folder: string): NodeJS.Require => createRequire(join(folder, "package.json"));

/**
 * Without install scripts: that of onnxruntime-node would fetch the libraries of CUDA. Its binary for the CPU is in the package.
 */
async function npmInstall(folder: string, specs: string[]): Promise<void> {
  const flags = ["--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--fetch-retries=1"];
  try {
    await promisify(execFile)("npm", ["install", "--prefix", folder, ...flags, ...specs], { timeout: INSTALL_MS });
  } catch (error) {
    const { stderr, killed, message } = error as Error & { stderr?: string; killed?: boolean };
    if (killed) throw new Error(`npm took more than ${INSTALL_MS / 1000} s`);
    const [, code] = /^npm (?:error|ERR!) code (\S+)/m.exec(stderr ?? "") ?? [];
    throw new Error(`npm says ${code ?? message.split("\n")[0]}`);
  }
}
