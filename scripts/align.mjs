// Where one build of the kernels has a function or a global variable that the other has not, everything behind it has another number
// there, and code that is the same reads differently. Behind all others they disturb nobody.
import { definedFunctions, definedGlobals, emitModule, readModule } from "./binaryen.mjs";

/** Of two builds the second one, with what it has alone at the end. */
export function alignWith(first, second) {
  const reference = readModule(first);
  const module = readModule(second);
  for (const { name, params, results, vars, body } of aloneIn(module, reference, definedFunctions)) {
    module.removeFunction(name);
    module.addFunction(name, params, results, vars, body);
  }
  for (const { name, type, mutable, init } of aloneIn(module, reference, definedGlobals)) {
    module.removeGlobal(name);
    module.addGlobal(name, type, mutable, init);
  }
  reference.dispose();
  return emitModule(module);
}

function aloneIn(module, reference, definitions) {
  const there = new Set(definitions(reference).map(({ name }) => name));
  return definitions(module).filter(({ name }) => !there.has(name));
}
