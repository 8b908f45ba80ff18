// Declarations as a user reads them: without the members that only subclasses of ours have to do with. The compiler strips what says
// @internal where it says so; what overrides that, or is protected, it leaves.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "@typescript/typescript6";

async function parseAll(folder, extension) {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(extension));
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return ts.createSourceFile(path, await readFile(path, "utf8"), ts.ScriptTarget.Latest, true);
    }),
  );
}

const classesOf = (file) => file.statements.filter(ts.isClassDeclaration);
const nameOf = (member) => member.name?.getText();
const hasModifier = (node, kind) => node.modifiers?.some((modifier) => modifier.kind === kind) ?? false;
const isInternal = (member) => ts.getJSDocTags(member).some(({ tagName }) => tagName.text === "internal");
const baseOf = (declaration) =>
  declaration.heritageClauses
    ?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)
    ?.types[0].expression.getText();

/** What each class of the sources keeps to itself, by name: the names of its own members and of those that it inherits. */
function internalNames(files) {
  const classes = new Map(files.flatMap(classesOf).map((declaration) => [declaration.name.text, declaration]));
  const namesOf = (declaration) =>
    declaration === undefined
      ? []
      : [...declaration.members.filter(isInternal).map(nameOf), ...namesOf(classes.get(baseOf(declaration)))];
  return new Map([...classes].map(([name, declaration]) => [name, new Set(namesOf(declaration))]));
}

/** Rewrites every declaration file under `declarations`, which the compiler made from `sources`. */
export async function stripInternals(sources, declarations) {
  const internal = internalNames(await parseAll(sources, ".ts"));
  for (const file of await parseAll(declarations, ".d.ts")) {
    const isStripped = (member) => {
      const { parent } = member;
      // of a class between Layer and the layers, which a user does not construct
      const isBetween = hasModifier(parent, ts.SyntaxKind.AbstractKeyword) && baseOf(parent) !== undefined;
      return (
        hasModifier(member, ts.SyntaxKind.ProtectedKeyword) ||
        internal.get(parent.name.text)?.has(nameOf(member)) ||
        (isBetween && ts.isConstructorDeclaration(member))
      );
    };
    const members = classesOf(file).flatMap((declaration) => [...declaration.members].filter(isStripped));
    const text = members.toReversed().reduce((rest, member) => {
      return rest.slice(0, member.getFullStart()) + rest.slice(member.getEnd());
    }, file.text);
    if (members.length > 0) await writeFile(file.fileName, text);
  }
}
