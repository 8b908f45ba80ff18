// The sums over a group of planes.

import { multiplyAdd } from "../lanes";
import { blockSum, SUM_BLOCK } from "../reductions";
import { SUMS as LANES, SECOND as SECOND_LANES, sumAt, sumsAddress } from "../vector-loop";
import { MEAN, refineMeans, roundMeans, SECOND, SUMS } from "./group";

const LARGE: f64 = 1e37;

const SMALL: f64 = 1e-28;

/** Less than this of what was taken from a sum of squares, and what is left is roundings. */
const LEAST_LEFT: f64 = 1e-4;

/** Mean and Σ (x - mean)² of a group of planes, into SUMS; `least` will be added to the squares. */
export function planesStatistics(rows: i32, row: usize, run: usize, lanes: i32, x: usize, least: f64): void {
  const count = <f64>rows * <f64>(run >> 2);
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const plane = x + r * row + lane * run;
      let total: f64 = 0;
      for (let at: usize = 0; at < run; at += SUM_BLOCK) total += blockSum(min(SUM_BLOCK, run - at), plane + at);
      store<f64>(SUMS + (lane << 3), load<f64>(SUMS + (lane << 3)) + total);
    }
  }
  roundMeans(lanes, count);
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const plane = x + r * row + lane * run;
      for (let at: usize = 0; at < run; at += SUM_BLOCK) {
        addSquares(min(SUM_BLOCK, run - at), MEAN + (lane << 2), plane + at, SUMS + (lane << 3));
      }
    }
  }
  refineMeans(lanes, count);
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const squares = load<f64>(SUMS + (lane << 3), SECOND);
    const lost = load<f64>(SUMS + (lane << 3)) - <f64>load<f32>(MEAN + (lane << 2));
    // squares leave the range of float32 long before the numbers do; of a constant channel only roundings are left
    if (!(squares <= LARGE && squares + least >= SMALL && squares >= LEAST_LEFT * count * lost * lost)) {
      statisticsInDouble(rows, row, run, x + lane * run, SUMS + (lane << 3));
    }
  }
}

/** Adds a block's Σ (x - mean) and Σ (x - mean)². */
function addSquares(bytes: usize, mean: usize, x: usize, sums: usize): void {
  const whole = bytes & ~31;
  squareTurns(whole, mean, x);
  let total = sumAt(LANES);
  let squares = sumAt(LANES + SECOND_LANES);
  const center = load<f32>(mean);
  for (let i = whole; i < bytes; i += 4) {
    const d = load<f32>(x + i) - center;
    total += <f64>d;
    squares += <f64>(d * d);
  }
  store<f64>(sums, load<f64>(sums) + total);
  store<f64>(sums, load<f64>(sums, SECOND) + squares, SECOND);
}

/** Σ (x - mean) and Σ (x - mean)² of whole turns, into LANES. */
function squareTurns(bytes: usize, mean: usize, x: usize): void {
  const center = v128.load32_splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let t0 = s0;
  let t1 = s0;
  for (const end = x + bytes; x < end; x += 32) {
    const d0 = f32x4.sub(v128.load(x), center);
    const d1 = f32x4.sub(v128.load(x, 16), center);
    s0 = f32x4.add(s0, d0);
    s1 = f32x4.add(s1, d1);
    t0 = multiplyAdd(d0, d0, t0);
    t1 = multiplyAdd(d1, d1, t1);
  }
  const sums = sumsAddress();
  v128.store(sums, s1, 16);
  v128.store(sums, s0);
  v128.store(sums, t1, 48);
  v128.store(sums, t0, 32);
}

/** The same of one channel, where float32 lanes ran over or the squares vanished. */
function statisticsInDouble(rows: i32, row: usize, run: usize, x: usize, sums: usize): void {
  const end = x + <usize>rows * row;
  let total: f64 = 0;
  for (let plane = x; plane < end; plane += row) {
    for (let i: usize = 0; i < run; i += 4) total += <f64>load<f32>(plane + i);
  }
  const mean = total / (<f64>rows * <f64>(run >> 2));
  let squares: f64 = 0;
  for (let plane = x; plane < end; plane += row) {
    for (let i: usize = 0; i < run; i += 4) {
      const d = <f64>load<f32>(plane + i) - mean;
      squares += d * d;
    }
  }
  store<f64>(sums, mean);
  store<f64>(sums, squares, SECOND);
}

/** Σ dy and Σ dy (x - MEAN) of a group of planes, into SUMS. */
export function planesGradientSums(rows: i32, row: usize, run: usize, lanes: i32, x: usize, dy: usize): void {
  memory.fill(SUMS, 0, 2 * SECOND);
  for (let r: usize = 0; r < <usize>rows; r++) {
    for (let lane: usize = 0; lane < <usize>lanes; lane++) {
      const start = r * row + lane * run;
      for (let at = start; at < start + run; at += SUM_BLOCK) {
        addGradientSums(min(SUM_BLOCK, start + run - at), MEAN + (lane << 2), x + at, dy + at, SUMS + (lane << 3));
      }
    }
  }
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const sums = SUMS + (lane << 3);
    if (!isFinite(load<f64>(sums)) || !isFinite(load<f64>(sums, SECOND))) {
      gradientSumsInDouble(rows, row, run, MEAN + (lane << 2), x + lane * run, dy + lane * run, sums);
    }
  }
}

function addGradientSums(bytes: usize, mean: usize, x: usize, dy: usize, sums: usize): void {
  const whole = bytes & ~31;
  gradientTurns(whole, mean, x, dy);
  let total = sumAt(LANES);
  let product = sumAt(LANES + SECOND_LANES);
  const center = load<f32>(mean);
  for (let i = whole; i < bytes; i += 4) {
    const g = load<f32>(dy + i);
    total += <f64>g;
    product += <f64>(g * (load<f32>(x + i) - center));
  }
  store<f64>(sums, load<f64>(sums) + total);
  store<f64>(sums, load<f64>(sums, SECOND) + product, SECOND);
}

/** Σ dy and Σ dy (x - mean) of whole turns, into LANES. */
function gradientTurns(bytes: usize, mean: usize, x: usize, dy: usize): void {
  const center = v128.load32_splat(mean);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let t0 = s0;
  let t1 = s0;
  for (const end = x + bytes; x < end; x += 32, dy += 32) {
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    s0 = f32x4.add(s0, g0);
    s1 = f32x4.add(s1, g1);
    t0 = multiplyAdd(g0, f32x4.sub(v128.load(x), center), t0);
    t1 = multiplyAdd(g1, f32x4.sub(v128.load(x, 16), center), t1);
  }
  const sums = sumsAddress();
  v128.store(sums, s1, 16);
  v128.store(sums, s0);
  v128.store(sums, t1, 48);
  v128.store(sums, t0, 32);
}

function gradientSumsInDouble(rows: i32, row: usize, run: usize, mean: usize, x: usize, dy: usize, sums: usize): void {
  const center = <f64>load<f32>(mean);
  let total: f64 = 0;
  let product: f64 = 0;
  for (; rows > 0; rows--, x += row, dy += row) {
    for (let j: usize = 0; j < run; j += 4) {
      const g = <f64>load<f32>(dy + j);
      total += g;
      product += g * (<f64>load<f32>(x + j) - center);
    }
  }
  store<f64>(sums, total);
  store<f64>(sums, product, SECOND);
}
