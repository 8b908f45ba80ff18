import type { RandomGenerator } from "../random.js";
import { VALUES_A_SLICE } from "./rows.js";
import type { Steps } from "./turns.js";

/** 0, 1, 2, ...; yields now and then. */
export function* putInOrder(order: Uint32Array): Steps {
  for (let start = 0; start < order.length; start += VALUES_A_SLICE) {
    const end = Math.min(start + VALUES_A_SLICE, order.length);
    for (let i = start; i < end; i++) order[i] = i;
    yield;
  }
}

/** How many places are shuffled between two turns of the event loop. */
const PLACES_A_SLICE = 1 << 13;

/** Shuffles a list; yields now and then. */
export function* shuffle(order: Uint32Array, generator: RandomGenerator): Steps {
  for (let from = order.length - 1; from > 0; from -= PLACES_A_SLICE) {
    generator.shuffle(order, from, Math.max(from - PLACES_A_SLICE, 0));
    yield;
  }
}
