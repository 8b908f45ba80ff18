// Modules taken apart and put together by binaryen. package.json asks for the very nightly build that AssemblyScript depends on: one copy
// reads what it wrote itself.
import binaryen from "binaryen";

/** A module's functions and globals in its order, each as binaryen describes it. */
const listOf = (count, get, describe) => Array.from({ length: count }, (_, i) => describe(get(i)));
const functionsOf = (module) =>
  listOf(module.getNumFunctions(), (i) => module.getFunctionByIndex(i), binaryen.getFunctionInfo);
const globalsOf = (module) => listOf(module.getNumGlobals(), (i) => module.getGlobalByIndex(i), binaryen.getGlobalInfo);
export const exportsOf = (module) =>
  listOf(module.getNumExports(), (i) => module.getExportByIndex(i), binaryen.getExportInfo);

const isDefined = ({ module }) => module === "";

export const definedFunctions = (module) => functionsOf(module).filter(isDefined);
export const importedFunctions = (module) => functionsOf(module).filter((info) => !isDefined(info));
export const definedGlobals = (module) => globalsOf(module).filter(isDefined);
export const importedGlobals = (module) => globalsOf(module).filter((info) => !isDefined(info));

export function readModule(bytes) {
  const module = binaryen.readBinary(bytes);
  module.setFeatures(binaryen.Features.All);
  return module;
}

/** Its bytes, with the names of its functions. */
export function emitModule(module) {
  if (!module.validate()) throw new Error("a module is not valid after its parts were moved");
  binaryen.setOptimizeStackIR(true);
  binaryen.setDebugInfo(true);
  const bytes = Buffer.from(module.emitBinary());
  module.dispose();
  return bytes;
}

/** The names of the functions that a module defines, from its section of names. */
export function functionNames(bytes) {
  const module = readModule(bytes);
  const names = definedFunctions(module).map(({ name }) => name);
  module.dispose();
  return names;
}
