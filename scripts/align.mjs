// Where one build of the kernels has a function or a global variable that the other lacks, everything behind it is numbered differently,
// and identical code no longer looks identical. At the end they disturb nothing.
import { definedFunctions, definedGlobals, emitModule, readModule } from "./binaryen.mjs";

/** Of two builds the second one, with what only it has at the end. */
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
