// The parts of src/ that scripts need, bundled and imported, since scripts run without a build.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const kernels = fileURLToPath(new URL("../src/kernels/", import.meta.url));
const contents = `
  export { askForMemory, encode } from "./module-text.js";
  export { readNumber, readSections, writeSections } from "./wide/module-bytes.js";`;
const options = { stdin: { contents, resolveDir: kernels }, bundle: true, format: "esm", write: false };
const [{ text }] = (await build(options)).outputFiles;

export const { askForMemory, encode, readNumber, readSections, writeSections } = await import(
  `data:text/javascript,${encodeURIComponent(text)}`
);
