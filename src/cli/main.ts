// The command `lanegrad`: an entry of its own over the public surface.

import { FAILED, reasonOf } from "./failures.js";
import { runCommand } from "./run.js";

// A reader that has seen enough (`| head`) closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`lanegrad: standard output: ${reasonOf(error)}\n`);
  process.exit(FAILED);
});
process.exitCode = await runCommand(process.argv.slice(2));
