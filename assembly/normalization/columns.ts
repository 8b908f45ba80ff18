// Sums over four columns, or over the last 1 to 3, in double.

import { storePair } from "../lanes";
import { pair } from "../reductions";
import { own } from "../thread";
import { Deviations, Gradients, groupSize, MEAN, refineMeans, roundMeans, rowBytes, rows, SECOND, SUMS } from "./group";

/** Mean and Σ (x - mean)² of each column, into SUMS. */
export function columnStatistics(x: usize): void {
  columnTotals(x);
  roundMeans();
  sumColumns<Deviations>(x, x);
  refineMeans();
}

/** Σ dy and Σ dy · (x - MEAN) of each column, into SUMS. */
export function columnGradientSums(x: usize, dy: usize): void {
  sumColumns<Gradients>(x, dy);
}

/** Σ x of each column, into SUMS. */
function columnTotals(x: usize): void {
  const step = rowBytes;
  if (groupSize == 4) {
    let low = f64x2.splat(0);
    let high = low;
    for (let r = rows; r > 0; r--, x += step) {
      low = f64x2.add(low, pair(x));
      high = f64x2.add(high, pair(x + 8));
    }
    storePair(own(SUMS), low, high);
  } else {
    for (let c: usize = 0; c < groupSize; c++) {
      let total: f64 = 0;
      let at = x + (c << 2);
      for (let r = rows; r > 0; r--, at += step) total += <f64>load<f32>(at);
      store<f64>(own(SUMS) + (c << 3), total);
    }
  }
}

/** Σ g and Σ g · (x - MEAN) of each column, into SUMS. */
@inline
function sumColumns<G>(x: usize, dy: usize): void {
  const step = rowBytes;
  if (groupSize == 4) {
    const lowMean = pair(own(MEAN));
    const highMean = pair(own(MEAN) + 8);
    let s0 = f64x2.splat(0);
    let s1 = s0;
    let t0 = s0;
    let t1 = s0;
    for (let r = rows; r > 0; r--, x += step) {
      const d0 = f64x2.sub(pair(x), lowMean);
      const d1 = f64x2.sub(pair(x + 8), highMean);
      const g0 = idof<G>() == idof<Deviations>() ? d0 : pair(dy);
      const g1 = idof<G>() == idof<Deviations>() ? d1 : pair(dy + 8);
      s0 = f64x2.add(s0, g0);
      s1 = f64x2.add(s1, g1);
      t0 = f64x2.add(t0, f64x2.mul(g0, d0));
      t1 = f64x2.add(t1, f64x2.mul(g1, d1));
      if (idof<G>() == idof<Gradients>()) dy += step;
    }
    storePair(own(SUMS), s0, s1);
    storePair(own(SUMS) + SECOND, t0, t1);
  } else {
    for (let c: usize = 0; c < groupSize; c++) {
      const mean = <f64>load<f32>(own(MEAN) + (c << 2));
      let total: f64 = 0;
      let product: f64 = 0;
      let offset = c << 2;
      for (let r = rows; r > 0; r--, offset += step) {
        const d = <f64>load<f32>(x + offset) - mean;
        const g = idof<G>() == idof<Deviations>() ? d : <f64>load<f32>(dy + offset);
        total += g;
        product += g * d;
      }
      store<f64>(own(SUMS) + (c << 3), total);
      store<f64>(own(SUMS) + (c << 3), product, SECOND);
    }
  }
}
