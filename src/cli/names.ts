import { closestMatch } from "leven";

/** How many letters a misspelt name may differ in, and which part of them. */
const MOST_TYPOS = 3;
const MOST_OF_NAME = 1 / 2;

/** "; did you mean X?", or nothing. Capital letters do not count. */
export function suggestion(name: string, known: readonly string[]): string {
  const small = known.map((other) => other.toLowerCase());
  const maxDistance = Math.min(MOST_TYPOS, Math.floor(name.length * MOST_OF_NAME));
  const nearest = closestMatch(name.toLowerCase(), small, { maxDistance });
  return nearest === undefined ? "" : `; did you mean ${known[small.indexOf(nearest)]}?`;
}
