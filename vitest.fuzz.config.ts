import { defineConfig } from "vitest/config";
import config from "./vitest.config.js";

/** `npm run test:fuzz`: random calls and files for LANEGRAD_FUZZ_SECONDS, a minute unless set. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ["test/fuzz/*.fuzz.ts"],
    testTimeout: 0,
    disableConsoleIntercept: true,
  },
});
