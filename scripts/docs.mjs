// npm run docs, after a build: the reference of every public name as HTML in build/docs, from the docstrings. Warnings are errors: a public
// name without a docstring, a link to nothing, a type that the reference lacks.
import { writeFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";

/** Types whose parts say all: what stands behind them is seen where they are used. */
const UNNAMED = [
  "AnyOptimizer",
  "Bytes",
  "ClonedTensor",
  "Group",
  "KernelSet",
  "LearningRate",
  "NamedLayer",
  "SavedState",
];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// typedoc calls the compiler, which TypeScript 7 does not let programs do: it gets TypeScript 6
const hook = `
  const typescript = { url: ${JSON.stringify(import.meta.resolve("@typescript/typescript6"))}, format: "commonjs", shortCircuit: true };
  export const resolve = (specifier, context, next) =>
    specifier === "typescript" ? typescript : next(specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const { Application } = await import("typedoc");

// declarations as a user reads them: without the members that only our own subclasses need
const compilerOptions = {
  module: "NodeNext",
  target: "ES2022",
  lib: ["ES2022", "ESNext.Disposable", "DOM"],
  types: [],
};
await writeFile("build/docs.json", JSON.stringify({ compilerOptions, files: ["types/index.d.ts"] }));
const application = await Application.bootstrap({
  entryPoints: ["build/types/index.d.ts"],
  tsconfig: "build/docs.json",
  // what they were taken from is not there, and is checked where it is
  skipErrorChecking: true,
  name: "lanegrad",
  readme: "none",
  disableSources: true,
  excludePrivate: true,
  intentionallyNotExported: UNNAMED,
  sort: ["source-order"],
  validation: { notExported: true, notDocumented: true, invalidLink: true },
  treatWarningsAsErrors: true,
});
const project = await application.convert();
if (project === undefined) process.exitCode = 1;
else {
  application.validate(project);
  await application.generateDocs(project, "build/docs");
  if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exitCode = 1;
}
