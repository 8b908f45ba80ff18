// The work area of this instance, which the host allocates once: a tile at an edge, a panel, a block, and a copy of the static data.

import { staticBytes, useCopy } from "../thread";
import { EDGE_BYTES, PANEL_BYTES, WORK_BYTES } from "./sizes";

export let edge: usize = 0;
export let panel: usize = 0;
export let block: usize = 0;

export function workBytes(): usize {
  return WORK_BYTES + staticBytes();
}

export function useWork(address: usize): void {
  edge = address;
  panel = edge + EDGE_BYTES;
  block = panel + PANEL_BYTES;
  useCopy(address + WORK_BYTES);
}
