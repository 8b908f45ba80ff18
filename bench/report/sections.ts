import type { Group } from "./groups.js";
import { grouped, type Report } from "./model.js";
import { type Sheet, sheetOf } from "./sheets.js";

/** A part of the page, and of RESULTS.md, where {{id}} stands. */
export interface Section {
  id: string;
  title: string;
  about: string;
  sheets: Sheet[];
}

interface Outline extends Omit<Section, "sheets"> {
  groups: readonly Group[];
}

const OUTLINES: Outline[] = [
  {
    id: "steps",
    title: "A whole training step",
    about:
      "Forward pass, loss, all gradients and update: how many times as long as lanegrad the others take, in the same process, taking turns; shorter bars are faster. 784-256-256-10 with PReLU, and a convolutional network for 3x32x32 images.",
    groups: ["step"],
  },
  {
    id: "forward",
    title: "A forward pass",
    about:
      "The same networks without training, beside libraries that only run models too. A bar to the left of the line is faster than lanegrad.",
    groups: ["forward"],
  },
  {
    id: "products",
    title: "Matrix products",
    about:
      "The three messages of each dense layer, and square products: the share of the limit, which the colour shows too, and the time. Steps are counted by their products alone. Where lanegrad is wide, × says how many times as long the normal kernels take.",
    groups: ["product"],
  },
  {
    id: "convolutions",
    title: "Convolutions",
    about:
      "Batch 16, by message: the share of the limit and the time. The products are counted as the direct way has them, so that Winograd's way, which needs fewer, can pass 100 %.",
    groups: ["convolution"],
  },
  {
    id: "passes",
    title: "All other passes",
    about:
      "Nanoseconds an element, one mark for each shape: lanegrad filled, the pure-JavaScript twin hollow; where lanegrad is wide, the normal kernels hollow in its colour.",
    groups: ["pass"],
  },
  {
    id: "coldstart",
    title: "Cold start",
    about:
      "From the start of a fresh process to its end, with one forward pass of 784-256 in it: the faint part is what a process takes that does nothing.",
    groups: ["coldstart"],
  },
  { id: "other", title: "Other rows", about: "", groups: ["other"] },
];

/** A sheet for each bench that has rows there: the contenders are others. */
export function sectionsOf({ entries }: Report): Section[] {
  return OUTLINES.map(({ groups, ...outline }) => {
    const own = entries.filter(({ group }) => groups.includes(group));
    return { ...outline, sheets: grouped(own, ({ bench }) => bench).map(sheetOf) };
  });
}
