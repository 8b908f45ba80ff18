// Packing: the operands of a tile, laid out in the order in which the tile reads them.

/** B[k, n]: 8 neighbouring columns of k rows -> panel[k][8]. */
export function packColumns8(k: i32, source: usize, row: usize, panel: usize): void {
  for (; k > 0; k--) {
    const low = v128.load(source);
    const high = v128.load(source, 16);
    v128.store(panel, high, 16);
    v128.store(panel, low);
    source += row;
    panel += 32;
  }
}

/** B[k, n]: several such panels at once, `panelBytes` apart: each row is read along, whole cache lines at a time. */
export function packGroup(panels: i32, k: i32, source: usize, row: usize, target: usize, panelBytes: usize): void {
  for (; k > 0; k--) {
    let from = source;
    let to = target;
    for (let p = 0; p < panels; p++) {
      const low = v128.load(from);
      const high = v128.load(from, 16);
      v128.store(to, high, 16);
      v128.store(to, low);
      from += 32;
      to += panelBytes;
    }
    source += row;
    target += 32;
  }
}

/** A[k, m]: 4 neighbouring columns of k rows -> panel[k][4]. */
export function packColumns4(k: i32, source: usize, row: usize, panel: usize): void {
  for (; k > 0; k--) {
    v128.store(panel, v128.load(source));
    source += row;
    panel += 16;
  }
}

/** The same for the last `count` < width columns; the others become 0 and their results are dropped. */
export function packColumnsEdge(count: i32, width: i32, k: i32, source: usize, row: usize, panel: usize): void {
  for (; k > 0; k--) {
    for (let j = 0; j < width; j++) {
      store<f32>(panel + ((<usize>j) << 2), j < count ? load<f32>(source + ((<usize>j) << 2)) : 0);
    }
    source += row;
    panel += (<usize>width) << 2;
  }
}

/** B[n, k]: `count` (1 to 8) rows -> panel[k][8], transposed by blocks of 4x4. A missing row repeats the last; its results are dropped. */
export function packRows8(count: i32, k: i32, source: usize, row: usize, panel: usize): void {
  packRows4(min(count, 4), k, source, row, panel);
  const rest = max(count - 4, 1);
  packRows4(rest, k, count > 4 ? source + (row << 2) : source, row, panel + 16);
}

/** Half of it: 1 to 4 rows -> 4 of the panel's 8 columns. */
function packRows4(count: i32, k: i32, row0: usize, row: usize, panel: usize): void {
  const row1 = count > 1 ? row0 + row : row0;
  const row2 = count > 2 ? row1 + row : row1;
  const row3 = count > 3 ? row2 + row : row2;
  const end = (<usize>k) << 2;
  let x: usize = 0;
  for (; x + 16 <= end; x += 16) {
    const a = v128.load(row0 + x);
    const b = v128.load(row1 + x);
    const c = v128.load(row2 + x);
    const d = v128.load(row3 + x);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    v128.store(panel, v128.shuffle<f64>(ab, cd, 0, 2));
    v128.store(panel, v128.shuffle<f64>(ab, cd, 1, 3), 32);
    v128.store(panel, v128.shuffle<f64>(abHigh, cdHigh, 0, 2), 64);
    v128.store(panel, v128.shuffle<f64>(abHigh, cdHigh, 1, 3), 96);
    panel += 128;
  }
  for (; x < end; x += 4) {
    store<f32>(panel, load<f32>(row0 + x));
    store<f32>(panel, load<f32>(row1 + x), 4);
    store<f32>(panel, load<f32>(row2 + x), 8);
    store<f32>(panel, load<f32>(row3 + x), 12);
    panel += 32;
  }
}

/**
 * The way back for results that were computed transposed: tile[n][8] -> C[count, n] (+ bias, or + what C holds).
 * Four rows of the tile and four rows of C at a time, transposed in registers.
 */
export function unpackRows(count: i32, n: i32, tile: usize, c: usize, row: usize, bias: usize, accumulate: bool): void {
  for (let i = 0; i < count; i += 4) {
    const rows = min(count - i, 4);
    if (rows == 4) unpackRows4(n, tile + ((<usize>i) << 2), c, row, bias, accumulate);
    else
      for (let r = 0; r < rows; r++)
        unpackRow(0, n, tile + ((<usize>(i + r)) << 2), c + <usize>r * row, bias, accumulate);
    c += row << 2;
  }
}

function unpackRows4(n: i32, tile: usize, c0: usize, row: usize, bias: usize, accumulate: bool): void {
  const c1 = c0 + row;
  const c2 = c1 + row;
  const c3 = c2 + row;
  const whole = n & ~3;
  const end = (<usize>whole) << 2;
  let t = tile;
  for (let x: usize = 0; x < end; x += 16) {
    const a = v128.load(t);
    const b = v128.load(t, 32);
    const c = v128.load(t, 64);
    const d = v128.load(t, 96);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    let r0 = v128.shuffle<f64>(ab, cd, 0, 2);
    let r1 = v128.shuffle<f64>(ab, cd, 1, 3);
    let r2 = v128.shuffle<f64>(abHigh, cdHigh, 0, 2);
    let r3 = v128.shuffle<f64>(abHigh, cdHigh, 1, 3);
    if (accumulate) {
      r0 = f32x4.add(v128.load(c0 + x), r0);
      r1 = f32x4.add(v128.load(c1 + x), r1);
      r2 = f32x4.add(v128.load(c2 + x), r2);
      r3 = f32x4.add(v128.load(c3 + x), r3);
    } else if (bias) {
      const q = v128.load(bias + x);
      r0 = f32x4.add(r0, q);
      r1 = f32x4.add(r1, q);
      r2 = f32x4.add(r2, q);
      r3 = f32x4.add(r3, q);
    }
    v128.store(c0 + x, r0);
    v128.store(c1 + x, r1);
    v128.store(c2 + x, r2);
    v128.store(c3 + x, r3);
    t += 128;
  }
  if (whole < n) {
    for (let r: usize = 0; r < 4; r++) unpackRow(whole, n, tile + (r << 2), c0 + r * row, bias, accumulate);
  }
}

/** One row, from column `j` on. */
function unpackRow(j: i32, n: i32, tile: usize, c: usize, bias: usize, accumulate: bool): void {
  for (; j < n; j++) {
    const x = (<usize>j) << 2;
    let value = load<f32>(tile + (x << 3));
    if (accumulate) value += load<f32>(c + x);
    else if (bias) value += load<f32>(bias + x);
    store<f32>(c + x, value);
  }
}
