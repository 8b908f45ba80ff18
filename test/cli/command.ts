// The built command in processes of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const COMMAND = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export const start = (cwd: string, args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [COMMAND, ...args], { cwd });

export function finish(job: ChildProcess): Promise<Outcome> {
  const outcome: Outcome = { status: null, stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    job[stream]!.setEncoding("utf8").on("data", (chunk) => {
      outcome[stream] += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    job.on("error", reject);
    job.on("close", (status) => resolve({ ...outcome, status }));
  });
}

/** Runs the command in a folder, with a text on its standard input. */
export function run(cwd: string, args: readonly string[], input = ""): Promise<Outcome> {
  const job = start(cwd, args);
  // a command that does not read it may be gone before it is written
  job.stdin!.on("error", () => {});
  job.stdin!.end(input);
  return finish(job);
}

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lanegrad-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
