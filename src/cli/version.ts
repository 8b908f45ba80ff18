import { createRequire } from "node:module";

/** The package's. */
export const version: string = createRequire(import.meta.url)("lanegrad/package.json").version;
