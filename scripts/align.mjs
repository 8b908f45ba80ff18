// Where one build of the kernels has a function or a global variable that the other has not, everything behind it has another number
// there, and code that is the same reads differently. Behind all others they disturb nobody.
import binaryen from "binaryen";

const KINDS = ["func", "global"];

/** Functions and globals of a module's text, in its order: [kind, name, text]; and what is around them. */
function definitionsIn(text) {
  const forms = text.split(/^(?= \()/m);
  return forms.map((form) => [...(/^ \((func|global) (\S+)/.exec(form)?.slice(1) ?? [undefined, undefined]), form]);
}

/** Names of a module's functions, from its text: the binary has none. */
export const functionNames = (text) => definitionsIn(text).flatMap(([kind, name]) => (kind === "func" ? [name] : []));

/** Of two builds ({ bytes, text }) the second one with what it has alone at the end, and the names of its functions. */
export function alignWith(first, second) {
  const there = new Set(definitionsIn(first.text).map(([kind, name]) => `${kind} ${name}`));
  const isAlone = ([kind, name]) => KINDS.includes(kind) && !there.has(`${kind} ${name}`);
  const definitions = definitionsIn(second.text);
  const [functionsAlone, globalsAlone] = KINDS.map((wanted) =>
    definitions.filter(([kind]) => kind === wanted).map((definition) => isAlone(definition)),
  );
  const text = moveToEnd(definitions, isAlone);
  const bytes = moveInBinary(second.bytes, functionsAlone, globalsAlone);
  return { bytes, text, names: functionNames(text) };
}

/** The text closes behind its last form. */
function moveToEnd(definitions, isAlone) {
  const staying = definitions.filter((definition) => !isAlone(definition)).map(([, , form]) => form);
  const moved = definitions.filter(isAlone).map(([, , form]) => form);
  const last = staying.pop();
  const end = last.lastIndexOf(")");
  return [...staying, last.slice(0, end), ...moved, last.slice(end)].join("");
}

function moveInBinary(bytes, functionsAlone, globalsAlone) {
  const module = binaryen.readBinary(bytes);
  module.setFeatures(binaryen.Features.All);
  // all are asked for before one moves and takes the numbers with it
  const functions = functionsAlone.map((_, i) => binaryen.getFunctionInfo(module.getFunctionByIndex(i)));
  functions.forEach(({ name, params, results, vars, body }, i) => {
    if (!functionsAlone[i]) return;
    module.removeFunction(name);
    module.addFunction(name, params, results, vars, body);
  });
  const globals = globalsAlone.map((_, i) => binaryen.getGlobalInfo(module.getGlobalByIndex(i)));
  globals.forEach(({ name, type, mutable, init }, i) => {
    if (!globalsAlone[i]) return;
    module.removeGlobal(name);
    module.addGlobal(name, type, mutable, init);
  });
  if (!module.validate()) throw new Error("a module is not valid after its functions were moved");
  binaryen.setOptimizeStackIR(true);
  const moved = Buffer.from(module.emitBinary());
  module.dispose();
  return moved;
}
