// Which tiles are in effect. The host decides: what is fast depends on the engine that compiled this module.

import { TILE_COLUMNS, WIDE_COLUMNS } from "./sizes";

/** Columns of a tile: 8, or 16 where V8 has merged neighbouring lanes into 256 bits. */
export let tileColumns: i32 = TILE_COLUMNS;
/** Tiles of 6 rows, which need multiply-add in one instruction and a compiler that leaves the order of loads alone. */
export let isTall: bool = false;

/** The tiles and thresholds for 256 bits, or those for 128. The results are the same. */
export function useWide(wide: bool): void {
  tileColumns = wide ? WIDE_COLUMNS : TILE_COLUMNS;
}

export function useTall(tall: bool): void {
  isTall = tall;
}


@inline
export function isWide(): bool {
  return tileColumns == WIDE_COLUMNS;
}
