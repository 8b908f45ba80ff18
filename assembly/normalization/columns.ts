// The sums over four columns.

import { pair } from "../reductions";
import { MEAN, refineMeans, roundMeans, SECOND, SUMS } from "./group";

/** The same of four columns, or of the last 1 to 3. */
export function columnStatistics(rows: i32, row: usize, lanes: i32, x: usize): void {
  columnTotals(rows, row, lanes, x);
  roundMeans(lanes, rows);
  columnSquares(rows, row, lanes, x);
  refineMeans(lanes, rows);
}

/** Σ x of four columns, or of the last 1 to 3, into SUMS. */
function columnTotals(rows: i32, row: usize, lanes: i32, x: usize): void {
  if (lanes == 4) {
    let low = f64x2.splat(0);
    let high = low;
    for (; rows > 0; rows--, x += row) {
      low = f64x2.add(low, pair(x));
      high = f64x2.add(high, pair(x + 8));
    }
    v128.store(SUMS, high, 16);
    v128.store(SUMS, low);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      let total: f64 = 0;
      let at = x + (lane << 2);
      for (let r = 0; r < rows; r++, at += row) total += <f64>load<f32>(at);
      store<f64>(SUMS + (lane << 3), total);
    }
  }
}

/** Σ (x - MEAN) and Σ (x - MEAN)² of the same columns. */
function columnSquares(rows: i32, row: usize, lanes: i32, x: usize): void {
  if (lanes == 4) {
    const lowMean = pair(MEAN);
    const highMean = pair(MEAN + 8);
    let t0 = f64x2.splat(0);
    let t1 = t0;
    let s0 = t0;
    let s1 = t0;
    for (; rows > 0; rows--, x += row) {
      const d0 = f64x2.sub(pair(x), lowMean);
      const d1 = f64x2.sub(pair(x + 8), highMean);
      t0 = f64x2.add(t0, d0);
      t1 = f64x2.add(t1, d1);
      s0 = f64x2.add(s0, f64x2.mul(d0, d0));
      s1 = f64x2.add(s1, f64x2.mul(d1, d1));
    }
    v128.store(SUMS, t1, 16);
    v128.store(SUMS, t0);
    v128.store(SUMS, s1, SECOND + 16);
    v128.store(SUMS, s0, SECOND);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const mean = <f64>load<f32>(MEAN + (lane << 2));
      let total: f64 = 0;
      let squares: f64 = 0;
      let at = x + (lane << 2);
      for (let r = 0; r < rows; r++, at += row) {
        const d = <f64>load<f32>(at) - mean;
        total += d;
        squares += d * d;
      }
      store<f64>(SUMS + (lane << 3), total);
      store<f64>(SUMS + (lane << 3), squares, SECOND);
    }
  }
}

/** The same of four columns, or of the last 1 to 3. */
export function columnGradientSums(rows: i32, row: usize, lanes: i32, x: usize, dy: usize): void {
  if (lanes == 4) {
    const lowMean = pair(MEAN);
    const highMean = pair(MEAN + 8);
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let t0 = s0;
    let t1 = s0;
    for (; rows > 0; rows--, x += row, dy += row) {
      const g0 = pair(dy);
      const g1 = pair(dy + 8);
      s0 = f64x2.add(s0, g0);
      s1 = f64x2.add(s1, g1);
      t0 = f64x2.add(t0, f64x2.mul(g0, f64x2.sub(pair(x), lowMean)));
      t1 = f64x2.add(t1, f64x2.mul(g1, f64x2.sub(pair(x + 8), highMean)));
    }
    v128.store(SUMS, s1, 16);
    v128.store(SUMS, s0);
    v128.store(SUMS, t1, SECOND + 16);
    v128.store(SUMS, t0, SECOND);
  } else {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const mean = <f64>load<f32>(MEAN + (lane << 2));
      let total: f64 = 0;
      let product: f64 = 0;
      let offset = lane << 2;
      for (let r = 0; r < rows; r++, offset += row) {
        const g = <f64>load<f32>(dy + offset);
        total += g;
        product += g * (<f64>load<f32>(x + offset) - mean);
      }
      store<f64>(SUMS + (lane << 3), total);
      store<f64>(SUMS + (lane << 3), product, SECOND);
    }
  }
}
