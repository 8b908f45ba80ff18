// node scripts/release.mjs vX.Y.Z: prints what CHANGELOG.md says of a version. Fails unless the tag is the version of package.json and of the
// changelog's newest entry, which has a date and something to say.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const read = (name) => readFile(new URL(`../${name}`, import.meta.url), "utf8");

/** The entries under the headings of second rank, the newest first: `## [1.2.3] - 2026-01-31`. */
function entriesOf(changelog) {
  const [, ...parts] = changelog.split(/^## /m);
  return parts.map((part) => {
    const [heading, ...lines] = part.split("\n");
    return { heading, notes: lines.join("\n").trim() };
  });
}

/** What is to be read at a release. Throws if the three do not name one version. */
export function notesOf(tag, version, changelog) {
  if (tag !== `v${version}`) throw new Error(`the tag is ${tag ?? "missing"}, package.json says v${version}`);
  const [entry] = entriesOf(changelog).filter(({ heading }) => heading !== "[Unreleased]");
  const [, named, date] = /^\[(.*)\] - (\d{4}-\d\d-\d\d)$/.exec(entry?.heading ?? "") ?? [];
  if (named !== version || Number.isNaN(Date.parse(date))) {
    throw new Error(`CHANGELOG.md begins with "${entry?.heading}", expected "[${version}] - YYYY-MM-DD"`);
  }
  if (entry.notes === "") throw new Error(`CHANGELOG.md says nothing about ${version}`);
  return entry.notes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { version } = JSON.parse(await read("package.json"));
    console.log(notesOf(process.argv[2], version, await read("CHANGELOG.md")));
  } catch (error) {
    console.error(`release: ${error.message}`);
    process.exitCode = 1;
  }
}
