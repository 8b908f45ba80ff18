// Declarations as a user reads them: without the members that only our own subclasses need. The compiler strips only what is itself marked
// @internal; it leaves overrides of that, and protected members.
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
const baseTypeOf = (declaration) =>
  declaration.heritageClauses?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)?.types[0];
const baseOf = (declaration) => baseTypeOf(declaration)?.expression.getText();

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
  const files = await parseAll(declarations, ".d.ts");
  const plain = classesWithoutParameters(files.flatMap(classesOf), isStripped);
  for (const file of files) {
    const ranges = classesOf(file).flatMap((declaration) => [
      ...(plain.has(declaration.name.text) ? [rangeInBrackets(declaration.typeParameters)] : []),
      ...(plain.has(baseOf(declaration)) ? [rangeInBrackets(baseTypeOf(declaration).typeArguments)] : []),
      ...[...declaration.members].filter(isStripped).map((member) => [member.getFullStart(), member.getEnd()]),
    ]);
    const text = ranges.toReversed().reduce((rest, [from, to]) => rest.slice(0, from) + rest.slice(to), file.text);
    if (ranges.length > 0) await writeFile(file.fileName, text);
  }
}

/** Generic classes whose parameters only stripped members use, by name. */
function classesWithoutParameters(classes, isStripped) {
  const plain = new Set();
  const left = new Set(classes.filter(({ typeParameters }) => typeParameters !== undefined));
  const isPlain = ({ typeParameters, members, heritageClauses }) =>
    [...members.filter((member) => !isStripped(member)), ...(heritageClauses ?? [])].every(
      (node) => plain.has(node.types?.[0].expression.getText()) || !mentions(node, typeParameters),
    );
  for (let before = -1; before !== plain.size; ) {
    before = plain.size;
    for (const declaration of left) if (isPlain(declaration)) plain.add(declaration.name.text);
  }
  return plain;
}

const mentions = (node, typeParameters) =>
  typeParameters.some(({ name }) => new RegExp(`\\b${name.text}\\b`).test(node.getText()));

/** The range of a list in its < and >. */
const rangeInBrackets = (list) => [list.pos - 1, list.end + 1];
