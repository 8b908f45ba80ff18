import { defineConfig } from "vitest/config";
import config from "./vitest.config.js";

/** `npm run test:long`: the tests that take too long for every change. */
export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ["test/long/*.long.ts"],
    testTimeout: 0,
    // progress as it happens
    disableConsoleIntercept: true,
  },
});
