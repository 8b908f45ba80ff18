import { closestMatch } from "leven";

/** How many letters a misspelt name may differ in. */
const MOST_TYPOS = 3;

/** "; did you mean X?", or nothing. Capital letters do not count. */
export function suggestion(name: string, known: readonly string[]): string {
  const small = known.map((other) => other.toLowerCase());
  const maxDistance = Math.min(MOST_TYPOS, name.length - 1);
  const nearest = closestMatch(name.toLowerCase(), small, { maxDistance });
  return nearest === undefined ? "" : `; did you mean ${known[small.indexOf(nearest)]}?`;
}
