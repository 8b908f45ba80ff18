import { defineConfig } from "vitest/config";
import base from "./vitest.config.js";

/** `npm run test:examples`: examples on the platforms they are for, which are installed into a temporary folder (scripts/runtimes.mjs). */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/examples/*.test.mjs"], testTimeout: 120_000, hookTimeout: 300_000 },
});
