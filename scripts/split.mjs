// A build of all kernels, split: a module of the core, and one for each group of kernels, which imports from the core what it shares with
// it. Static data, the start function and the table stay in the core, which is instantiated first.
import {
  definedFunctions,
  definedGlobals,
  emitModule,
  exportsOf,
  importedFunctions,
  importedGlobals,
  readModule,
} from "./binaryen.mjs";
import { withoutSections } from "./sections.mjs";

const START_SECTION = 8;
const ELEMENT_SECTION = 9;
const DATA_SECTION = 11;
const DATA_COUNT_SECTION = 12;
const CORES = [START_SECTION, ELEMENT_SECTION, DATA_SECTION, DATA_COUNT_SECTION];

/** Drops what neither the exports, nor the start function, nor the table reach. */
const REMOVE_UNREACHED = ["remove-unused-module-elements"];

/** The modules of a build by name, "core" first; `groups` lists the kernels of each group. */
export function splitModule(bytes, groups) {
  const core = readModule(bytes);
  for (const name of Object.values(groups).flat()) core.removeExport(name);
  core.runPasses(REMOVE_UNREACHED);
  const parts = Object.entries(groups).map(([group, kernels]) => [group, splitGroup(bytes, kernels, core)]);
  return Object.fromEntries([["core", emitModule(core)], ...parts]);
}

/** The module of some kernels; the core exports what it imports. */
function splitGroup(bytes, kernels, core) {
  const module = readModule(withoutSections(bytes, CORES));
  for (const { name } of exportsOf(module)) if (!kernels.includes(name)) module.removeExport(name);
  module.runPasses(REMOVE_UNREACHED);
  for (const { name, params, results } of sharedWith(core, module, definedFunctions)) {
    module.removeFunction(name);
    module.addFunctionImport(name, "core", shortName(name), params, results);
  }
  for (const { name, type, mutable } of sharedWith(core, module, definedGlobals)) {
    module.removeGlobal(name);
    module.addGlobalImport(name, "core", shortName(name), type, mutable);
  }
  module.runPasses(REMOVE_UNREACHED);
  if (module.getNumTables() > 0) throw new Error(`${kernels.join(", ")} call through the table, which is the core's`);
  const exported = new Map(exportsOf(core).map(({ name, value }) => [name, value]));
  const share = (name, addExport) => {
    const short = shortName(name);
    if (!exported.has(short)) addExport(name, short);
    else if (exported.get(short) !== name) throw new Error(`the core has another "${short}" than ${name}`);
  };
  for (const { name } of importedFunctions(module)) share(name, core.addFunctionExport);
  for (const { name } of importedGlobals(module)) share(name, core.addGlobalExport);
  return emitModule(module);
}

function sharedWith(core, module, definitions) {
  const there = new Set(definitions(core).map(({ name }) => name));
  return definitions(module).filter(({ name }) => there.has(name));
}

/** AssemblyScript puts the file's path before what it declares. The dollar sign says that it is no kernel (module-bytes.ts). */
const shortName = (name) => `$${name.split("/").at(-1)}`;
