// The passes that write y and dx.

import { loadUpTo4, multiplyAdd, storeUpTo4 } from "../lanes";
import { MEAN, SCALE, SHIFT, SLOPE } from "./group";

/** y = (x - MEAN) · SCALE + SHIFT for a group of channels. */
export function apply(rows: i32, row: usize, run: usize, lanes: i32, x: usize, y: usize): void {
  if (run == 4) {
    applyColumns(rows, row, lanes, x, y);
  } else {
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let lane: usize = 0; lane < <usize>lanes; lane++) {
        const at = r * row + lane * run;
        applyRun(run, lane << 2, x + at, y + at);
      }
    }
  }
}


@inline
function normalized(x: v128, mean: v128, scale: v128, shift: v128): v128 {
  return multiplyAdd(f32x4.sub(x, mean), scale, shift);
}

function applyRun(bytes: usize, lane: usize, x: usize, y: usize): void {
  const mean = v128.load32_splat(MEAN + lane);
  const scale = v128.load32_splat(SCALE + lane);
  const shift = v128.load32_splat(SHIFT + lane);
  const end = x + bytes;
  for (; x + 64 <= end; x += 64) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const x2 = v128.load(x, 32);
    const x3 = v128.load(x, 48);
    const y0 = normalized(x0, mean, scale, shift);
    const y1 = normalized(x1, mean, scale, shift);
    const y2 = normalized(x2, mean, scale, shift);
    const y3 = normalized(x3, mean, scale, shift);
    v128.store(y, y1, 16);
    v128.store(y, y0);
    v128.store(y, y3, 48);
    v128.store(y, y2, 32);
    y += 64;
  }
  for (; x < end; x += 16) {
    const lanes = min<usize>((end - x) >> 2, 4);
    storeUpTo4(y, normalized(loadUpTo4(x, lanes), mean, scale, shift), lanes);
    y += 16;
  }
}

function applyColumns(rows: i32, row: usize, lanes: usize, x: usize, y: usize): void {
  const mean = v128.load(MEAN);
  const scale = v128.load(SCALE);
  const shift = v128.load(SHIFT);
  for (; rows > 0; rows--) {
    storeUpTo4(y, normalized(loadUpTo4(x, lanes), mean, scale, shift), lanes);
    x += row;
    y += row;
  }
}

/** dx = SCALE · dy + SHIFT + SLOPE · (x - MEAN) for a group of channels. */
export function sendBack(rows: i32, row: usize, run: usize, lanes: i32, x: usize, dy: usize, dx: usize): void {
  if (run == 4) {
    sendColumnsBack(rows, row, lanes, x, dy, dx);
  } else {
    for (let r: usize = 0; r < <usize>rows; r++) {
      for (let lane: usize = 0; lane < <usize>lanes; lane++) {
        const at = r * row + lane * run;
        sendRunBack(run, lane << 2, x + at, dy + at, dx + at);
      }
    }
  }
}


@inline
function gradient(x: v128, dy: v128, mean: v128, scale: v128, shift: v128, slope: v128): v128 {
  return multiplyAdd(f32x4.sub(x, mean), slope, multiplyAdd(dy, scale, shift));
}

function sendRunBack(bytes: usize, lane: usize, x: usize, dy: usize, dx: usize): void {
  const mean = v128.load32_splat(MEAN + lane);
  const scale = v128.load32_splat(SCALE + lane);
  const shift = v128.load32_splat(SHIFT + lane);
  const slope = v128.load32_splat(SLOPE + lane);
  const end = x + bytes;
  for (; x + 32 <= end; x += 32) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, 16);
    const g0 = v128.load(dy);
    const g1 = v128.load(dy, 16);
    const r0 = gradient(x0, g0, mean, scale, shift, slope);
    const r1 = gradient(x1, g1, mean, scale, shift, slope);
    v128.store(dx, r1, 16);
    v128.store(dx, r0);
    dy += 32;
    dx += 32;
  }
  for (; x < end; x += 16) {
    const lanes = min<usize>((end - x) >> 2, 4);
    storeUpTo4(dx, gradient(loadUpTo4(x, lanes), loadUpTo4(dy, lanes), mean, scale, shift, slope), lanes);
    dy += 16;
    dx += 16;
  }
}

function sendColumnsBack(rows: i32, row: usize, lanes: usize, x: usize, dy: usize, dx: usize): void {
  const mean = v128.load(MEAN);
  const scale = v128.load(SCALE);
  const shift = v128.load(SHIFT);
  const slope = v128.load(SLOPE);
  for (; rows > 0; rows--) {
    storeUpTo4(dx, gradient(loadUpTo4(x, lanes), loadUpTo4(dy, lanes), mean, scale, shift, slope), lanes);
    x += row;
    dy += row;
    dx += row;
  }
}
