// Sums over planes. float32 lanes add up a block, blocks are added in double. Each pass over a group goes in the order of memory: the
// planes of one channel lie at distances that collide in the cache.

import { multiplyAdd, storeFour } from "../lanes";
import { blockSum, SUM_BLOCK } from "../reductions";
import { own } from "../thread";
import { SECOND_SUM, sumAt, sumsAddress } from "../vector-loop";
import {
  count,
  Deviations,
  Gradients,
  groupSize,
  MEAN,
  planeBytes,
  refineMeans,
  roundMeans,
  rowBytes,
  rows,
  SECOND,
  SUMS,
} from "./group";

/** Squares leave the range of float32 long before the numbers do. */
const LARGE: f64 = 1e37;
const SMALL: f64 = 1e-28;

/** A constant channel leaves only rounding errors: less than this share of what was subtracted from its squares. */
const LEAST_LEFT: f64 = 1e-4;

/** Mean and Σ (x - mean)² of each channel, into SUMS; `least` will be added to the squares. */
export function planesStatistics(x: usize, least: f64): void {
  memory.fill(own(SUMS), 0, 2 * SECOND);
  for (let r: usize = 0; r < rows; r++) {
    for (let c: usize = 0; c < groupSize; c++) {
      const plane = x + r * rowBytes + c * planeBytes;
      const sums = own(SUMS) + (c << 3);
      let total: f64 = 0;
      for (let at: usize = 0; at < planeBytes; at += SUM_BLOCK) {
        total += blockSum(min(SUM_BLOCK, planeBytes - at), plane + at);
      }
      store<f64>(sums, load<f64>(sums) + total);
    }
  }
  roundMeans();
  sumPlanes<Deviations>(x, x);
  refineMeans();
  for (let c: usize = 0; c < groupSize; c++) {
    const sums = own(SUMS) + (c << 3);
    const squares = load<f64>(sums, SECOND);
    const lost = load<f64>(sums) - <f64>load<f32>(own(MEAN) + (c << 2));
    if (!(squares <= LARGE && squares + least >= SMALL && squares >= LEAST_LEFT * count * lost * lost)) {
      statisticsInDouble(x + c * planeBytes, sums);
    }
  }
}

/** Σ dy and Σ dy · (x - MEAN) of each channel, into SUMS. */
export function planesGradientSums(x: usize, dy: usize): void {
  sumPlanes<Gradients>(x, dy);
  for (let c: usize = 0; c < groupSize; c++) {
    const sums = own(SUMS) + (c << 3);
    if (!isFinite(load<f64>(sums)) || !isFinite(load<f64>(sums, SECOND))) {
      gradientSumsInDouble(own(MEAN) + (c << 2), x + c * planeBytes, dy + c * planeBytes, sums);
    }
  }
}

/** Σ g and Σ g · (x - MEAN) of each channel, into SUMS. */
@inline
function sumPlanes<G>(x: usize, dy: usize): void {
  memory.fill(own(SUMS), 0, 2 * SECOND);
  for (let r: usize = 0; r < rows; r++) {
    for (let c: usize = 0; c < groupSize; c++) {
      const start = r * rowBytes + c * planeBytes;
      const end = start + planeBytes;
      for (let at = start; at < end; at += SUM_BLOCK) {
        addBlock<G>(min(SUM_BLOCK, end - at), own(MEAN) + (c << 2), x + at, dy + at, own(SUMS) + (c << 3));
      }
    }
  }
}

/** Adds a block's sums. */
function addBlock<G>(bytes: usize, mean: usize, x: usize, dy: usize, sums: usize): void {
  const whole = bytes & ~31;
  sumVectors<G>(whole, mean, x, dy);
  let total = sumAt(sumsAddress());
  let product = sumAt(sumsAddress() + SECOND_SUM);
  const center = load<f32>(mean);
  for (let i = whole; i < bytes; i += 4) {
    const d = load<f32>(x + i) - center;
    const g = idof<G>() == idof<Deviations>() ? d : load<f32>(dy + i);
    total += <f64>g;
    product += <f64>(g * d);
  }
  store<f64>(sums, load<f64>(sums) + total);
  store<f64>(sums, load<f64>(sums, SECOND) + product, SECOND);
}

/** The sums of whole pairs of vectors, into the sums of vector-loop.ts. */
function sumVectors<G>(bytes: usize, mean: usize, x: usize, dy: usize): void {
  const center = v128.load32_splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let t0 = s0;
  let t1 = s0;
  for (const end = x + bytes; x < end; x += 32) {
    const d0 = f32x4.sub(v128.load(x), center);
    const d1 = f32x4.sub(v128.load(x, 16), center);
    const g0 = idof<G>() == idof<Deviations>() ? d0 : v128.load(dy);
    const g1 = idof<G>() == idof<Deviations>() ? d1 : v128.load(dy, 16);
    s0 = f32x4.add(s0, g0);
    s1 = f32x4.add(s1, g1);
    t0 = multiplyAdd(g0, d0, t0);
    t1 = multiplyAdd(g1, d1, t1);
    if (idof<G>() == idof<Gradients>()) dy += 32;
  }
  storeFour(sumsAddress(), s0, s1, t0, t1);
}

/** Mean and Σ (x - mean)² of one channel, where float32 lanes overflowed or the squares vanished. */
function statisticsInDouble(x: usize, sums: usize): void {
  const end = x + rows * rowBytes;
  let total: f64 = 0;
  for (let plane = x; plane < end; plane += rowBytes) {
    for (let i: usize = 0; i < planeBytes; i += 4) total += <f64>load<f32>(plane + i);
  }
  const mean = total / count;
  let squares: f64 = 0;
  for (let plane = x; plane < end; plane += rowBytes) {
    for (let i: usize = 0; i < planeBytes; i += 4) {
      const d = <f64>load<f32>(plane + i) - mean;
      squares += d * d;
    }
  }
  store<f64>(sums, mean);
  store<f64>(sums, squares, SECOND);
}

/** Σ dy and Σ dy · (x - MEAN) of one channel, where float32 lanes overflowed. */
function gradientSumsInDouble(mean: usize, x: usize, dy: usize, sums: usize): void {
  const center = <f64>load<f32>(mean);
  const end = x + rows * rowBytes;
  let total: f64 = 0;
  let product: f64 = 0;
  for (; x < end; x += rowBytes, dy += rowBytes) {
    for (let i: usize = 0; i < planeBytes; i += 4) {
      const g = <f64>load<f32>(dy + i);
      total += g;
      product += g * (<f64>load<f32>(x + i) - center);
    }
  }
  store<f64>(sums, total);
  store<f64>(sums, product, SECOND);
}
