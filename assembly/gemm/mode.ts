// Which tiles are in effect. The host decides: what is fast depends on the engine that compiled this module.

import { NR, WIDE_NR } from "./sizes";

/** Columns of a tile: 8, or 16 where V8 has merged neighbouring lanes into 256 bits. */
export let nr: i32 = NR;
/** Tiles of 6 rows, which need multiply-add in one instruction and a compiler that leaves the order of loads alone. */
export let isTall: bool = false;

/** Tiles for 256 bits, or for 128. The results are the same. */
export function useWide(wide: bool): void {
  nr = wide ? WIDE_NR : NR;
}

export function useTall(tall: bool): void {
  isTall = tall;
}


@inline
export function isWide(): bool {
  return nr == WIDE_NR;
}
