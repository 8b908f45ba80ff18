// Maxima of windows. The maximum is the first of equals, or the last NaN.
//
// 2x2 windows with stride 2 go four at a time: even and odd columns of two rows, in row-major order. An index is a place in the plane; the
// backward pass compares it with the places that it writes.

import { loadUpTo4, select, storeUpTo4 } from "./lanes";
import * as window from "./window";

/** Windows of 2x2, side by side. */
@inline
function isHalving(): bool {
  const areTwo =
    window.kernelHeight == 2 && window.kernelWidth == 2 && window.strideHeight == 2 && window.strideWidth == 2;
  return areTwo && window.paddingHeight == 0 && window.paddingWidth == 0;
}

export function maxPool2d(images: i32, sizes: usize, x: usize, y: usize, indices: usize): void {
  window.readSizes(sizes);
  const plane = (<usize>(window.height * window.width)) << 2;
  const outRow = (<usize>window.outWidth) << 2;
  const halves = isHalving();
  for (let planes = images * window.channels; planes > 0; planes--) {
    for (let i = 0; i < window.outHeight; i++) {
      if (halves) {
        halveRows(window.outWidth, window.width, 2 * i * window.width, x, y, indices);
      } else {
        const first = i * window.strideHeight - window.paddingHeight;
        const top = max(first, 0);
        const bottom = min(first + window.kernelHeight, window.height);
        poolRow(top, bottom, x, y, indices);
      }
      y += outRow;
      if (indices) indices += outRow;
    }
    x += plane;
  }
}

/** A row of maxima over the plane's rows top .. bottom - 1. */
function poolRow(top: i32, bottom: i32, plane: usize, y: usize, indices: usize): void {
  for (let j = 0; j < window.outWidth; j++) {
    const first = j * window.strideWidth - window.paddingWidth;
    const left = max(first, 0);
    const right = min(first + window.kernelWidth, window.width);
    let best: f32 = -Infinity;
    let place = top * window.width + left;
    for (let u = top; u < bottom; u++) {
      for (let at = u * window.width + left; at < u * window.width + right; at++) {
        const value = load<f32>(plane + ((<usize>at) << 2));
        if (value > best || value != value) {
          best = value;
          place = at;
        }
      }
    }
    store<f32>(y, best);
    y += 4;
    if (indices) {
      store<i32>(indices, place);
      indices += 4;
    }
  }
}

/** A row of 2x2 windows; `place` is that of the first one in its plane. */
function halveRows(count: i32, width: i32, place: i32, plane: usize, y: usize, indices: usize): void {
  let at = plane + ((<usize>place) << 2);
  const row = (<usize>width) << 2;
  let even = i32x4.add(i32x4.splat(place), i32x4(0, 2, 4, 6));
  for (; count > 0; count -= 4) {
    const many = min(count, 4);
    // eight columns, or as many as there are: the last window ends in a row's last or last but one
    const low = <usize>min(2 * many, 4);
    const high = <usize>(2 * many - 4);
    const a0 = loadUpTo4(at, low);
    const b0 = loadUpTo4(at + row, low);
    const a1 = many > 2 ? loadUpTo4(at + 16, high) : a0;
    const b1 = many > 2 ? loadUpTo4(at + row + 16, high) : b0;
    let best = v128.shuffle<f32>(a0, a1, 0, 2, 4, 6);
    let index = even;
    let value = v128.shuffle<f32>(a0, a1, 1, 3, 5, 7);
    let wins = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
    best = select(wins, value, best);
    index = i32x4.sub(index, wins);
    value = v128.shuffle<f32>(b0, b1, 0, 2, 4, 6);
    wins = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
    best = select(wins, value, best);
    const below = i32x4.add(even, i32x4.splat(width));
    index = select(wins, below, index);
    value = v128.shuffle<f32>(b0, b1, 1, 3, 5, 7);
    wins = v128.or(f32x4.gt(value, best), f32x4.ne(value, value));
    best = select(wins, value, best);
    index = select(wins, i32x4.add(below, i32x4.splat(1)), index);
    storeUpTo4(y, best, many);
    if (indices) {
      storeUpTo4(indices, index, many);
      indices += 16;
    }
    even = i32x4.add(even, i32x4.splat(8));
    at += 32;
    y += 16;
  }
}

/** dx of an element: the sum of dy over the windows whose maximum it is. */
export function maxPool2dBackward(images: i32, sizes: usize, dy: usize, indices: usize, dx: usize): void {
  window.readSizes(sizes);
  const plane = (<usize>(window.height * window.width)) << 2;
  const outRow = (<usize>window.outWidth) << 2;
  const halves = isHalving();
  const overlaps = window.kernelHeight > window.strideHeight || window.kernelWidth > window.strideWidth;
  for (let planes = images * window.channels; planes > 0; planes--) {
    if (halves) {
      unhalvePlane(window.height, window.width, dy, indices, dx);
    } else if (overlaps) {
      for (let y = 0; y < window.height; y++) {
        // the windows whose rows have y among theirs
        const top = firstWindow(y + window.paddingHeight, window.kernelHeight, window.strideHeight);
        const bottom = min((y + window.paddingHeight) / window.strideHeight, window.outHeight - 1);
        for (let x = 0; x < window.width; x++) {
          const left = firstWindow(x + window.paddingWidth, window.kernelWidth, window.strideWidth);
          const right = min((x + window.paddingWidth) / window.strideWidth, window.outWidth - 1);
          const place = y * window.width + x;
          let sum: f64 = 0;
          for (let i = top; i <= bottom; i++) {
            for (let j = left; j <= right; j++) {
              const at = <usize>i * outRow + ((<usize>j) << 2);
              if (load<i32>(indices + at) == place) sum += <f64>load<f32>(dy + at);
            }
          }
          store<f32>(dx + ((<usize>place) << 2), <f32>sum);
        }
      }
    } else {
      scatterPlane(<usize>window.outHeight * outRow, plane, dy, indices, dx);
    }
    dy += <usize>window.outHeight * outRow;
    indices += <usize>window.outHeight * outRow;
    dx += plane;
  }
}

/** The first window that reaches a padded coordinate. */
@inline
function firstWindow(at: i32, kernel: i32, stride: i32): i32 {
  return at < kernel ? 0 : (at - kernel) / stride + 1;
}

/** Where windows do not overlap every place has one at most. + 0, as in a sum: -0 becomes 0. */
function scatterPlane(out: usize, plane: usize, dy: usize, indices: usize, dx: usize): void {
  memory.fill(dx, 0, plane);
  for (let i: usize = 0; i < out; i += 4) {
    store<f32>(dx + ((<usize>load<i32>(indices + i)) << 2), load<f32>(dy + i) + 0);
  }
}

/** Every element of the plane is written once: by the window it lies in, or with 0 where a last odd row or column has none. */
function unhalvePlane(height: i32, width: i32, dy: usize, indices: usize, dx: usize): void {
  const row = (<usize>width) << 2;
  const count = width >> 1;
  let place = 0;
  for (let i = 0; i < height >> 1; i++) {
    unhalveRow(count, place, dy, indices, dx);
    unhalveRow(count, place + width, dy, indices, dx + row);
    if (width & 1) {
      store<f32>(dx + row - 4, 0);
      store<f32>(dx + 2 * row - 4, 0);
    }
    dy += (<usize>count) << 2;
    indices += (<usize>count) << 2;
    dx += 2 * row;
    place += 2 * width;
  }
  if (height & 1) memory.fill(dx, 0, row);
}

/** One of the two rows that `count` windows lie in; `place` is that of its first element. */
function unhalveRow(count: i32, place: i32, dy: usize, indices: usize, dx: usize): void {
  const zero = f32x4.splat(0);
  let places = i32x4.add(i32x4.splat(place), i32x4(0, 1, 2, 3));
  for (; count >= 4; count -= 4) {
    const gradient = v128.load(dy);
    const index = v128.load(indices);
    const low = v128.and(
      v128.shuffle<f32>(gradient, gradient, 0, 0, 1, 1),
      i32x4.eq(v128.shuffle<i32>(index, index, 0, 0, 1, 1), places),
    );
    places = i32x4.add(places, i32x4.splat(4));
    const high = v128.and(
      v128.shuffle<f32>(gradient, gradient, 2, 2, 3, 3),
      i32x4.eq(v128.shuffle<i32>(index, index, 2, 2, 3, 3), places),
    );
    places = i32x4.add(places, i32x4.splat(4));
    // + 0, as in a sum: -0 becomes 0
    v128.store(dx, f32x4.add(low, zero));
    v128.store(dx, f32x4.add(high, zero), 16);
    dy += 16;
    indices += 16;
    dx += 32;
  }
  place = i32x4.extract_lane(places, 0);
  for (; count > 0; count--) {
    const gradient = load<f32>(dy);
    const index = load<i32>(indices);
    store<f32>(dx, index == place ? gradient + 0 : 0);
    store<f32>(dx, index == place + 1 ? gradient + 0 : 0, 4);
    place += 2;
    dy += 4;
    indices += 4;
    dx += 8;
  }
}
