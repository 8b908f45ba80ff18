// Packages that scripts need beside the project's own dependencies: installed in folders of their own, which stay for the next run.
import { spawnSync } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Something that cannot be installed here. With --allow-missing that is no failure. */
export class Missing extends Error {}

export const exists = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Runs a command and returns its output. Throws if it fails, with its error output. */
export function run(command, args, env = process.env, cwd = process.cwd()) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    env,
    cwd,
    maxBuffer: 2 ** 28,
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${status ?? signal}:\n${stderr || stdout}`);
  return stdout;
}

/** Without install scripts, and without a change of the project that the folder may be in. */
export function npmInstall(folder, specs) {
  const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
  run("npm", ["install", "--prefix", folder, ...flags, ...specs]);
}

/** Installs packages into `home`, unless it is there. Throws Missing if that fails. */
export async function installOnce(home, specs) {
  if (await exists(home)) return;
  await mkdir(dirname(home), { recursive: true });
  // in another folder until it is complete: a run that is cut short leaves nothing that looks installed
  const partial = await mkdtemp(`${home}-`);
  try {
    npmInstall(partial, specs);
    await rename(partial, home);
  } catch (cause) {
    // another run may have been faster
    if (!(await exists(home))) throw new Missing(`${specs.join(" ")}: ${cause.message}`, { cause });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}
