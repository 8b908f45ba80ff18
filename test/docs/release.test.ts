import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { notesOf } = await import(join(root, "scripts/release.mjs"));
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const { version, scripts } = JSON.parse(read("package.json"));

describe("a release", () => {
  const release = (tag: string) =>
    spawnSync(process.execPath, [join(root, "scripts/release.mjs"), tag], { encoding: "utf8" });

  it("is that of package.json and CHANGELOG.md, whose notes it has", () => {
    const { status, stdout } = release(`v${version}`);
    expect(status).toBe(0);
    expect(read("CHANGELOG.md")).toContain(stdout.trim());
    expect(stdout).toMatch(/^### /m);
    expect(stdout).not.toMatch(/^## /m);
  });

  it("is refused where they differ", () => {
    const { status, stdout, stderr } = release("v99.0.0");
    expect([status, stdout, stderr]).toEqual([1, "", `release: the tag is v99.0.0, package.json says v${version}\n`]);
  });

  it.each([
    ["another tag", "v1.2.4", "## [1.2.3] - 2026-01-31\n\n- text", "the tag is v1.2.4"],
    ["a tag without v", "1.2.3", "## [1.2.3] - 2026-01-31\n\n- text", "the tag is 1.2.3"],
    ["no tag", undefined, "## [1.2.3] - 2026-01-31\n\n- text", "the tag is missing"],
    ["an entry of another version", "v1.2.3", "## [1.2.2] - 2026-01-31\n\n- text", 'begins with "[1.2.2]'],
    ["an entry without a date", "v1.2.3", "## [1.2.3]\n\n- text", 'begins with "[1.2.3]"'],
    ["an entry on no day", "v1.2.3", "## [1.2.3] - 2026-13-31\n\n- text", "begins with"],
    ["an entry that says nothing", "v1.2.3", "## [1.2.3] - 2026-01-31\n\n## [1.2.2] - 2026-01-30\n\n- text", "nothing"],
    ["nothing but what is not released", "v1.2.3", "## [Unreleased]\n\n- text", "begins with"],
  ])("is refused with %s", (_, tag, entries, message) => {
    expect(() => notesOf(tag, "1.2.3", `# Changelog\n\n${entries}\n`)).toThrow(message);
  });

  it("has the notes of its entry alone", () => {
    const entries =
      "## [Unreleased]\n\n- new\n\n## [1.2.3] - 2026-01-31\n\n### Added\n\n- text\n\n## [1.2.2] - 2026-01-30\n\n- old\n";
    expect(notesOf("v1.2.3", "1.2.3", `# Changelog\n\n${entries}`)).toBe("### Added\n\n- text");
  });
});

describe("the workflow of a release", () => {
  const workflow = parse(read(".github/workflows/release.yml"));
  const { steps } = workflow.jobs.release;
  const commands: string[] = steps.map(({ run }: { run?: string }) => run ?? "");
  const place = (part: string): number => commands.findIndex((command) => command.includes(part));

  it("begins at a tag of a version", () => {
    expect(workflow.on).toEqual({ push: { tags: ["v*"] } });
  });

  it("publishes, with provenance, what was checked and has passed", () => {
    const places = ["node scripts/release.mjs", ".ci/run", "npm publish --provenance", "gh release create"].map(place);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(workflow.permissions).toEqual({ contents: "write", "id-token": "write" });
  });

  it("passes what CI passes, whose commands exist", () => {
    const named = [...read(".ci/run").matchAll(/^npm (?:run )?([\w:]+)/gm)].map(([, name]) => name);
    expect(named.filter((name) => name !== "ci" && !(name in scripts))).toEqual([]);
  });
});
