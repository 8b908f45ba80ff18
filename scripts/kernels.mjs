// src/kernels/table/ -> src/kernels/generated/: the kernels' types, the twin's adapters, and what self-test and warm-up call them by.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { build, transform } from "esbuild";

const FOLDER = "src/kernels/generated";
const HEAD = "// Written by scripts/kernels.mjs from src/kernels/table/.\n";

/** What window arguments lead to, as ../src/kernels/description.ts has it. */
const WINDOW_LETTERS = { inputs: "I", outputs: "O", weights: "W", outChannels: "C", plane: "P" };

const SIMPLE_LETTERS = { size: "s", flag: "f", window: "w", work: "k" };

const capitalized = (name) => name[0].toUpperCase() + name.slice(1);
const isOperand = ({ role }) => ["input", "output", "updated"].includes(role);
const isAddress = (argument) => isOperand(argument) || argument.role === "window" || argument.role === "work";
const fail = (kernel, what) => {
  throw new Error(`table: ${kernel}: ${what}`);
};

/** The groups of kernels: { core: { gemm: { gemm: description }, ... }, ... }. */
export async function readTable() {
  const options = { entryPoints: ["src/kernels/table/groups.ts"], bundle: true, format: "esm", write: false };
  const [{ text }] = (await build(options)).outputFiles;
  return (await import(`data:text/javascript,${encodeURIComponent(text)}`)).GROUPS;
}

export async function writeKernels() {
  const table = await readTable();
  const groups = Object.entries(table).map(([name, files]) => ({ name, files, type: `${capitalized(name)}Kernels` }));
  const names = groups.flatMap(({ files }) => kernelsIn(files).map(([name]) => name));
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) fail(twice, "described twice");
  const texts = [
    ["kernels.ts", typesOf(groups)],
    ["descriptions.ts", descriptionsOf(groups)],
    ...groups.map((group) => [`${group.name}-twin.ts`, twinOf(group)]),
    ["worker-text.ts", await workerText()],
  ];
  await mkdir(FOLDER, { recursive: true });
  await Promise.all(texts.map(([file, text]) => writeChanged(`${FOLDER}/${file}`, `${HEAD}${text}`)));
}

/** The program of a thread as a text, so that it starts without a file of its own. */
async function workerText() {
  const program = await readFile("src/kernels/threads/worker.ts", "utf8");
  const { code } = await transform(program, { loader: "ts", minify: true, target: "es2022" });
  return `/** src/kernels/threads/worker.ts. */\nexport const WORKER: string = ${JSON.stringify(code.trim())};\n`;
}

async function writeChanged(path, text) {
  const before = await readFile(path, "utf8").catch(() => "");
  if (before !== text) await writeFile(path, text);
}

const kernelsIn = (files) => Object.values(files).flatMap((kernels) => Object.entries(kernels));

// ---- types

function typesOf(groups) {
  const interfaces = groups.map(
    ({ type, files }) => `export interface ${type} {\n${kernelsIn(files).map(methodOf).join("\n")}}\n`,
  );
  const all = groups.map(({ type }) => type).join(", ");
  return `\n${interfaces.join("\n")}\nexport interface AllKernels extends ${all} {}\n`;
}

function methodOf([name, { formula, returns, ...kernel }]) {
  const parameters = Object.entries(kernel.arguments).map(
    ([argument, { role }]) => `${argument}: ${role === "flag" ? "boolean" : "number"}`,
  );
  const lines = [...formula.trim().split("\n"), ...remarksOn(kernel.arguments)];
  const comment =
    lines.length === 1 ? `  /** ${lines[0]} */\n` : `  /**\n${lines.map((line) => `   * ${line}\n`).join("")}   */\n`;
  return `${comment}  ${name}(${parameters.join(", ")}): ${returns ?? "void"};\n`;
}

/** What the arguments' roles say, in words. */
function remarksOn(parameters) {
  const remarks = Object.entries(parameters).flatMap(([name, { mayBe, optional, with: companion }]) => [
    ...(mayBe === undefined ? [] : [`\`${name}\` may be \`${mayBe}\`.`]),
    ...(optional ? [`\`${name}\` is optional.`] : []),
    ...(companion === undefined ? [] : [`\`${name}\` is given or not with \`${companion}\`.`]),
  ]);
  return remarks.length === 0 ? [] : [remarks.join(" ")];
}

// ---- the twin's adapters

function twinOf({ name, files, type }) {
  const imports = Object.entries(files).map(
    ([file, kernels]) => `import { ${Object.keys(kernels).sort().join(", ")} } from "../js/${file}.js";\n`,
  );
  const adapters = kernelsIn(files).map(
    ([kernel, description]) =>
      `    ${kernel}(${Object.keys(description.arguments).join(", ")}) {\n      ${callOf(kernel, description)};\n    },\n`,
  );
  return `import type { Heap } from "../../memory.js";
${imports.join("")}import type { ${type} } from "./kernels.js";

/**
 * The twin's kernels over the same memory as the modules'. Byte offsets become indices of elements, with an unsigned shift because
 * offsets go up to 4 GB (an optional 0 stays 0), and the views are read anew in each call because growing the memory replaces them.
 */
export function create${capitalized(name)}Twin(heap: Heap): ${type} {
  return {
${adapters.join("\n")}  };
}
`;
}

function callOf(kernel, description) {
  const entries = Object.entries(description.arguments);
  const roles = entries.map(([, argument]) => argument);
  const hasFloats = roles.some((argument) => isOperand(argument) && argument.below === undefined);
  const hasIntegers = roles.some(({ role, below }) => role === "window" || (role !== "integer" && below !== undefined));
  const passed = [
    ...(hasFloats ? ["heap.f32"] : []),
    ...(hasIntegers || description.bits ? ["heap.i32"] : []),
    ...entries.map(([name, argument]) => (isAddress(argument) ? `${name} >>> 2` : name)),
  ];
  return `${description.returns === undefined ? "" : "return "}${kernel}(${passed.join(", ")})`;
}

// ---- the descriptions

function descriptionsOf(groups) {
  const objects = groups.map(({ name, files, type }) => {
    const entries = kernelsIn(files).map(
      ([kernel, description]) => `  ${kernel}: ${JSON.stringify(encode(kernel, description))},\n`,
    );
    return `export const ${name}: Readonly<Record<keyof ${type}, string>> = {\n${entries.join("")}};\n`;
  });
  const types = groups.map(({ type }) => type).join(", ");
  return `import type { ${types} } from "./kernels.js";\n\n${objects.join("\n")}`;
}

/** A description in the form that ../src/kernels/description.ts explains. */
function encode(kernel, { layout, split = [], shares, ...description }) {
  const names = Object.keys(description.arguments);
  const positionOf = (name) => {
    const position = names.indexOf(name);
    if (position < 0) fail(kernel, `no argument "${name}"`);
    return position.toString(36);
  };
  const earlier = (name, at) => {
    const position = positionOf(name);
    if (Number.parseInt(position, 36) >= at) fail(kernel, `"${name}" does not come before "${names[at]}"`);
    return position;
  };
  const factor = (value) => {
    if (typeof value === "number") {
      if (!/^\d$/.test(value)) fail(kernel, `a factor of ${value}, which is not one digit`);
      return `*${value}`;
    }
    if (typeof value === "string") return WINDOW_LETTERS[value] ?? positionOf(value);
    return `!${[value.flag, value.then, value.otherwise].map(positionOf).join("")}`;
  };
  const operand = ({ role, shape, below, optional, with: companion, mayBe }, at) =>
    [
      `x${shape.map(factor).join("")}`,
      optional ? "?" : "",
      companion === undefined ? "" : `&${earlier(companion, at)}`,
      mayBe === undefined ? "" : `=${earlier(mayBe, at)}`,
      role === "input" && below !== undefined ? `<${factor(below)}` : "",
    ].join("");
  const sizeFlags = flagsInShapes(Object.values(description.arguments));
  const tokens = Object.entries(description.arguments).map(([name, argument], at) => {
    if (isOperand(argument)) return operand(argument, at);
    if (argument.role === "scalar") return `v${(argument.among ?? []).join()}`;
    if (argument.role === "integer") return `i${argument.below}`;
    return sizeFlags.has(name) ? SIMPLE_LETTERS.size : SIMPLE_LETTERS[argument.role];
  });
  const cut = shares ? "/-" : split.length > 0 ? `/${split.map(positionOf).join("")}` : "";
  return [layout + cut, ...tokens].join(" ");
}

/** A flag that decides on a shape is chosen with the sizes. */
const flagsInShapes = (parameters) =>
  new Set(
    parameters
      .filter(isOperand)
      .flatMap(({ shape }) => shape.flatMap(({ flag }) => (flag === undefined ? [] : [flag]))),
  );
