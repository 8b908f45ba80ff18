// Where tiles, points and panels lie in the scratch.

import { piece, SLACK, wholePanels } from "../geometry";

export const POINTS: usize = 16;

/** Tiles of 2x2 that cover a plane: rows, and columns padded to vectors. */
@inline
export function tileRows(height: i32): i32 {
  return (height + 1) >> 1;
}


@inline
export function rowTiles(width: i32): i32 {
  return (((width + 1) >> 1) + 3) & ~3;
}

/** Bytes of all points: [rows, columns] each, off a power of two. In 64 bits, since it may exceed the memory. */
@inline
export function pointsBytes(rows: i32, columns: i32): u64 {
  return POINTS * (((<u64>rows * columns) << 2) + SLACK);
}


@inline
export function pointBytes(rows: i32, columns: i32): usize {
  return <usize>(pointsBytes(rows, columns) / POINTS);
}


@inline
export function gradientPoint(outChannels: i32, channels: i32): usize {
  return pointBytes(wholePanels(outChannels), channels);
}

/** Tiles of a plane with the padding of its rows. */
@inline
export function tileCount(height: i32, width: i32): i32 {
  return tileRows(height) * rowTiles(width);
}

/** The same in whole panels. */
@inline
export function panelTiles(height: i32, width: i32): i32 {
  return wholePanels(tileCount(height, width));
}

/** Channels that are transformed together: enough to write whole cache lines, few enough to stay in L1. */
export const CHANNELS: i32 = 8;

// An image's planes are copied into a frame of zeros: an even number of rows, and columns for whole vectors of tiles.

@inline
export function frameRows(height: i32): i32 {
  return 2 * tileRows(height) + 2;
}


@inline
export function frameColumns(width: i32): i32 {
  return 2 * rowTiles(width) + 4;
}


@inline
export function frameBytes(height: i32, width: i32): u64 {
  return piece(<u64>CHANNELS * frameRows(height) * frameColumns(width));
}

/** Bytes of one column of patches, for all rows of one parity of a plane. */
@inline
export function columnsPartBytes(height: i32, width: i32): usize {
  return (<usize>((tileRows(height) + 1) * rowTiles(width))) << 2;
}

/** Scratch of the input transform: frames, and for each of their channels the four columns' rows of either parity. */
export function inputBytes(height: i32, width: i32): u64 {
  return frameBytes(height, width) + piece(<u64>CHANNELS * 8 * (tileRows(height) + 1) * rowTiles(width));
}

/** Scratch of dy's transform: four numbers for each tile of a plane. */
export function gradientRowBytes(height: i32, width: i32): u64 {
  return piece(<u64>4 * tileCount(height, width));
}
