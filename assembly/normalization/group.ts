// Channels are processed in groups: 64 planes, or 4 columns. Here are the sizes of a call and what the passes over a group share.

import { own } from "../thread";

/** Planes of a group: more are no faster, and fewer leave gaps between what is read. */
const GROUP_PLANES: usize = 64;

const GROUP_COLUMNS: usize = 4;

/** The rows of x, and the bytes of one and of a channel's part in it. */
export let rows: usize = 0;
export let rowBytes: usize = 0;
export let planeBytes: usize = 0;
/** Values of a channel. */
export let count: f64 = 0;
/** Whether a channel is a column. */
export let isColumns: bool = false;
/** The channels of this group. */
export let groupSize: usize = 0;

export function setSizes(rowCount: i32, channels: usize, inner: i32): void {
  rows = rowCount;
  planeBytes = (<usize>inner) << 2;
  rowBytes = channels * planeBytes;
  count = <f64>rowCount * <f64>inner;
  isColumns = inner == 1;
}

/** Starts the next group, with `left` channels still to do. */
export function startGroup(left: usize): void {
  groupSize = min(left, isColumns ? GROUP_COLUMNS : GROUP_PLANES);
}

// What the passes read: a float for each channel.
export const MEAN: usize = memory.data(64 * 4, 16);
export const SCALE: usize = memory.data(64 * 4, 16);
export const SHIFT: usize = memory.data(64 * 4, 16);
export const SLOPE: usize = memory.data(64 * 4, 16);

/** Two sums for each channel, in double, and the mean before it is refined. */
export const SUMS: usize = memory.data(3 * 64 * 8, 16);
export const SECOND: usize = 64 * 8;
export const UNREFINED: usize = 2 * SECOND;

// The values g that the two sums, Σ g and Σ g · (x - MEAN), add up.

/** g = x - MEAN, forward. */
export class Deviations {}

/** g = dy, backward. */
export class Gradients {}

/** From Σ x the rounded means that deviations are taken from. */
export function roundMeans(): void {
  for (let c: usize = 0; c < groupSize; c++) {
    const mean = load<f64>(own(SUMS) + (c << 3)) / count;
    store<f64>(own(SUMS) + (c << 3), mean, UNREFINED);
    store<f32>(own(MEAN) + (c << 2), <f32>mean);
  }
}

/** From the sums of deviations and of their squares the mean and the squares around it. */
export function refineMeans(): void {
  for (let c: usize = 0; c < groupSize; c++) {
    const sums = own(SUMS) + (c << 3);
    const rounded = load<f32>(own(MEAN) + (c << 2));
    const lost = isFinite(rounded) ? load<f64>(sums) / count : 0;
    store<f64>(sums, <f64>rounded + lost);
    store<f64>(sums, load<f64>(sums, SECOND) - count * lost * lost, SECOND);
  }
}
