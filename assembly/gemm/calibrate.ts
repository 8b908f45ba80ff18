import { TILE_ROWS, WIDE_COLUMNS } from "./sizes";
import { tilesOfRows } from "./tile";
import { block, panel } from "./work";

const DEPTH: i32 = 256;

/**
 * So many times 4 x 16 outputs by 256 steps of k, in tiles of 8 or 16 columns: by its time the host tells whether neighbouring lanes were
 * merged. It computes with zeros in the work area.
 */
export function calibrate(columns: i32, turns: i32): void {
  const row = (<usize>WIDE_COLUMNS) << 2;
  const a = panel + row * <usize>DEPTH;
  const aRow = (<usize>DEPTH) << 2;
  memory.fill(panel, 0, row * <usize>DEPTH + aRow * <usize>TILE_ROWS);
  for (; turns > 0; turns--) {
    for (let x: usize = 0; x < row; x += (<usize>columns) << 2) {
      tilesOfRows(columns, TILE_ROWS, DEPTH, a, aRow, panel + x, row, block + x, row, 0, 0);
    }
  }
}
