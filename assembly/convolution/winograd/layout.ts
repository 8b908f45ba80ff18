// Where tiles, points and panels lie in the scratch.

import { piece, SLACK, wholePanels } from "../geometry";
import { column } from "./outputs";

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

/** Where a tile lies in panels of `columns` tiles. */
@inline
export function panelOffset(tile: i32, columns: i32, panelBytes: usize): usize {
  const column = tile % columns;
  return <usize>(tile / columns) * panelBytes + ((<usize>column) << 2);
}

/** Row of a copy's plane: even columns, then odd ones, each with one more than there are tiles. */
@inline
export function copyColumns(width: i32): i32 {
  return rowTiles(width) + 1;
}


@inline
export function copyRows(height: i32): i32 {
  return 2 * tileRows(height) + 2;
}

/** A padded copy of planes, for the tiles of an outHeight x outWidth plane; the first patches begin `padding` outside. */
@inline
export function copyBytesFor(planes: i32, outHeight: i32, outWidth: i32): u64 {
  return piece(<u64>planes * 2 * copyRows(outHeight) * copyColumns(outWidth));
}
