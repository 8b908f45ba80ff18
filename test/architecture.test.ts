import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "@typescript/typescript6";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

/** A row of a table: what is on a floor, and from where it may import. */
interface Floor {
  readonly name: string;
  readonly files: readonly string[];
  readonly mayImport: readonly string[];
}

interface Import {
  /** In the folder. */
  readonly from: string;
  /** In the folder, or a package. */
  readonly to: string;
  readonly isType: boolean;
}

/** The table under the heading for a folder. */
function floorsOf(folder: string): Floor[] {
  const [, section] = page.split(`\n### \`${folder}/\`\n`);
  return section
    .split(/\n#/)[0]
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(2)
    .map((line) => {
      const [, name, files, mayImport] = line.split("|").map((cell) => cell.trim());
      return {
        name,
        files: [...files.matchAll(/`([^`]+)`/g)].map(([, file]) => file),
        mayImport: mayImport.split(", ").filter((floor) => floor !== ""),
      };
    });
}

/** What stands for a file in a table: itself, or the nearest of the folders that it is in. */
function floorOf(file: string, floors: readonly Floor[]): Floor | undefined {
  const length = ({ files }: Floor) =>
    Math.max(
      0,
      ...files
        .filter((name) => name === file || (name.endsWith("/") && file.startsWith(name)))
        .map((name) => name.length),
    );
  const [nearest] = floors.toSorted((a, b) => length(b) - length(a));
  return length(nearest) > 0 ? nearest : undefined;
}

const filesOf = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

/** Every module that a file names: in imports, exports and types. */
function importsOf(folder: string, file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, folder, file), "utf8"), ts.ScriptTarget.Latest);
  const found: Import[] = [];
  const add = (name: ts.Node | undefined, isType: boolean): void => {
    // without one, or with one that is only known when it runs
    if (name === undefined || !ts.isStringLiteral(name)) return;
    const text = name.text;
    const path = normalize(join(dirname(file), text)).replace(/(\.js)?$/, ".ts");
    found.push({ from: file, to: text.startsWith(".") ? path : text, isType });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isOfTypes(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node)) add((node.argument as ts.LiteralTypeNode).literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `import type { A }` or `import { type A }`. */
function isOfTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined || clause.isTypeOnly) return clause !== undefined;
  const { name, namedBindings } = clause;
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly);
}

describe.each(["src", "assembly"])(
  "imports between the floors of %s are as docs/architecture.md has them",
  (folder) => {
    const floors = floorsOf(folder);
    const files = filesOf(folder);
    const between = files.flatMap((file) =>
      importsOf(folder, file).flatMap((found) => {
        const [from, to] = [floorOf(found.from, floors)?.name, floorOf(found.to, floors)?.name ?? `\`${found.to}\``];
        return from === to ? [] : [{ ...found, floor: from, wanted: [to, ...(found.isType ? [`${to} (types)`] : [])] }];
      }),
    );

    it("every file is on a floor, and every floor has what it names", () => {
      expect(files.filter((file) => floorOf(file, floors) === undefined)).toEqual([]);
      const named = floors.flatMap((floor) => floor.files);
      expect(named.filter((name) => !files.some((file) => file === name || file.startsWith(name)))).toEqual([]);
    });

    it("nothing is imported that the page does not allow", () => {
      const allowed = new Map(floors.map(({ name, mayImport }) => [name, mayImport]));
      const others = between.filter(({ floor, wanted }) => !wanted.some((to) => allowed.get(floor!)?.includes(to)));
      expect(others.map(({ from, to, isType }) => `${from} imports ${isType ? "types of " : ""}${to}`)).toEqual([]);
    });

    it("nothing is allowed that is not needed", () => {
      const unused = floors.flatMap(({ name, mayImport }) => {
        const own = between.filter(({ floor }) => floor === name);
        // where only types are imported the page says so
        return mayImport
          .filter((to) => !own.some(({ isType, wanted }) => (isType ? wanted[1] : wanted[0]) === to))
          .map((to) => `${name}: ${to}`);
      });
      expect(unused).toEqual([]);
    });

    it("values come from rows above", () => {
      const names = floors.map(({ name }) => name);
      const upwards = between.filter(
        ({ floor, wanted, isType }) => !isType && names.indexOf(wanted[0]) > names.indexOf(floor!),
      );
      expect(upwards.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
    });
  },
);
