import { NORMAL, SECOND } from "../width.js";

/** Who takes part in the cold start alone. */
const COLD_START = ["bare Node", "one file", "package"];

/** In every chart and table: ours, what others make, pure JavaScript. */
const ORDER = [
  "bare Node",
  NORMAL,
  "one file",
  "package",
  SECOND,
  "jax-js wasm",
  "TF.js wasm",
  "ORT web",
  "ORT node",
  "blocked JS",
  "twin",
];

/** As a list to read: what takes part everywhere comes first. */
export const toRead = <Item>(items: readonly Item[], nameOf: (item: Item) => string): Item[] =>
  inOrder(items, nameOf).toSorted(
    (a, b) => Number(COLD_START.includes(nameOf(a))) - Number(COLD_START.includes(nameOf(b))),
  );

/** Ours, what runs the same networks, or what shows how far JavaScript gets. */
export function kindOf(name: string): "ours" | "library" | "JavaScript" {
  if (name === "twin" || name === "blocked JS") return "JavaScript";
  return name.startsWith(NORMAL) || [SECOND, ...COLD_START].includes(name) ? "ours" : "library";
}

/** What a reader has to know of a contender beside what a run says of it. */
const EXPLANATIONS: Record<string, string> = {
  twin: "They are written as well as JavaScript allows and do the same arithmetic: how many times as long the twin takes is what WebAssembly SIMD gains.",
  "blocked JS": "It multiplies in blocks that fit into registers: how fast a trainer without WebAssembly can be.",
  normal: "They stand beside lanegrad where it was asked for wide kernels.",
  "bare Node": "What every process takes, in the cold start.",
  "one file": "lanegrad in the cold start.",
  package: "lanegrad in the cold start.",
};

/** Those that are not known come last, as they were. */
export function inOrder<Item>(items: readonly Item[], nameOf: (item: Item) => string): Item[] {
  const place = (item: Item) => (ORDER.indexOf(nameOf(item)) + ORDER.length + 1) % (ORDER.length + 1);
  return items.toSorted((a, b) => place(a) - place(b));
}

/** What a run says of a contender, and what it is compared for. */
export const explained = (name: string, about: string): string =>
  name in EXPLANATIONS ? `${about}. ${EXPLANATIONS[name]}` : about;
