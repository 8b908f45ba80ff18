import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Block, blocksOf, programOf } from "./blocks.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const guides = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", ...guides.map((name) => `docs/${name}`)];
const read = (page: string): string => readFileSync(join(root, page), "utf8");

/** In the package, so that programs find it by its name. */
let programs: string;
/** Where programs run, and may write. */
let folder: string;
beforeAll(() => {
  programs = mkdtempSync(join(root, "build/pages-"));
  folder = mkdtempSync(join(tmpdir(), "lanegrad-pages-"));
});
afterAll(() => {
  for (const made of [programs, folder]) rmSync(made, { recursive: true });
});

/** What a program prints. It must end well and without a warning. */
async function run(name: string, program: string): Promise<string> {
  const file = join(programs, name);
  writeFileSync(file, program);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
  expect(stderr).toBe("");
  return stdout;
}

const isOfTheCommand = ({ language, text }: Block): boolean => language === "sh" && text.startsWith("npx lanegrad");

/** Runs the command as it is built, on files that the page's program has made. */
async function runCommands(commands: readonly string[]): Promise<void> {
  writeFileSync(join(folder, "npx"), `#!/bin/sh\nshift\nexec "${process.execPath}" "${root}dist/cli.js" "$@"\n`, {
    mode: 0o755,
  });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  await promisify(execFile)("sh", ["-ec", commands.join("\n")], { cwd: folder, env });
}

describe.each(PAGES)("%s", (page) => {
  const blocks = blocksOf(read(page));

  const program = programOf(blocks);
  const commands = blocks.filter(isOfTheCommand).map(({ text }) => text);
  if (program !== "") {
    test.concurrent("its code runs", async () => {
      await run(`${page.replaceAll("/", "-")}.mjs`, program);
      await runCommands(commands);
    });
  }

  const others = blocks.filter(({ language, isRun }) => language === "js" && !isRun);
  if (others.length > 0) {
    test("code that is not run is JavaScript", async () => {
      for (const { text } of others) await transform(text, { loader: "js", format: "esm" });
    });
  }

  const LINK = /\]\(([^)#\s]+)(#[^)\s]*)?\)/g;
  const links = [...read(page).matchAll(LINK)].map(([, target]) => target).filter((target) => !/^\w+:/.test(target));
  test("its links lead to files", () => {
    expect(links.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([]);
  });
});

test("the README lists every guide", () => {
  const readme = read("README.md");
  expect(guides.filter((name) => !readme.includes(`docs/${name}`))).toEqual([]);
});

describe("blocks", () => {
  const page = 'text\n\n```js\nimport a from "node:os";\nconst x = 1;\n```\n<!-- given\nconst y = x + 1;\n-->\n';

  test("see what those before them declared, and may declare it anew", async () => {
    const program = programOf(blocksOf(`${page}\`\`\`js\nconst x = 5;\nconsole.log(x + y, typeof a);\n\`\`\`\n`));
    expect(await run("scopes.mjs", program)).toBe("7 object\n");
  });

  test("that fail are not passed over", async () => {
    const program = programOf(blocksOf(`${page}\`\`\`js\nnothing();\n\`\`\`\n`));
    await expect(run("fails.mjs", program)).rejects.toThrow("nothing is not defined");
  });

  test("not meant to run are left out", () => {
    expect(programOf(blocksOf("```js not-run\nnothing();\n```\n\n```sh\nls\n```\n"))).toBe("");
  });

  test.each([
    ["```\nls\n```", "without a language"],
    ["```js sometimes\n```", 'marked "sometimes"'],
    ["```js\nls", "does not end"],
  ])("%j is refused", (text, message) => expect(() => blocksOf(text)).toThrow(message));
});
