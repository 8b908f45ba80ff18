// npm run test:wide: long tests of kernels of 256 bits, on each version of Node whose V8 can widen them: random calls of every kernel,
// widened and not (test/long/wide/calls.ts), and V8's pass on random functions like our kernels (fuzz.ts).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeBinary, WIDE_VERSIONS } from "./nodes.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

for (const version of WIDE_VERSIONS) {
  const binary = await nodeBinary(version);
  for (const program of ["calls", "fuzz"]) {
    const args = ["--import", "tsx", `test/long/wide/${program}.ts`];
    const { status, signal } = spawnSync(binary, args, { cwd: root, stdio: "inherit" });
    // V8 may abort at a function that it cannot widen: a failure like any other
    if (status !== 0) {
      console.error(`test-wide: ${program} on Node ${version} ended with ${status ?? signal}`);
      process.exitCode = 1;
    }
  }
}
