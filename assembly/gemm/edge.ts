import { MR } from "./sizes";
import { tileColumn } from "./tile";
import { edge, panel } from "./work";

/** The last columns, fewer than 8: tiles are written to the edge area, and their valid columns go from there to C. */
export function edgeColumn(
  m: i32,
  columns: i32,
  k: i32,
  a: usize,
  aRow: usize,
  c: usize,
  cRow: usize,
  addend: usize,
  addendRow: usize,
): void {
  for (let i = 0; i < m; i += MR) {
    const rows = min(MR, m - i);
    tileColumn(8, rows, k, a, aRow, panel, 32, edge, 32, 0, 0);
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let x: usize = 0; x < (<usize>columns) << 2; x += 4) {
        const value = load<f32>(edge + (r << 5) + x);
        store<f32>(c + x, addend ? load<f32>(addend + x) + value : value);
      }
      c += cRow;
      if (addend) addend += addendRow;
    }
    a += aRow << 2;
  }
}
