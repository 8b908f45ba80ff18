// Winograd's F(2x2, 3x3) for kernels of 3x3 and stride 1 (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016): an
// output tile of 2x2 takes 16 products instead of 36.
//
//   y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A     for each patch d of 4x4, summed over the channels between the brackets
//
// which for each of the 16 points (i, j) is a product over channels, M[o, tile] = U[o, c] · V[c, tile]. dx is the same with dy and turned
// kernels. dW adds up dU = (A dy Aᵀ) ⊙ (Bᵀ d B) over tiles and images and is Gᵀ dU G.
//
// An image is copied with its even and odd columns apart, so that four neighbouring tiles are vectors without a shuffle. Rows of tiles
// are padded to a multiple of four. V and M are in panels of tiles, [point][panel][channel][8 or 16]; for dW they are rows, [point][channel][tile].

import { evenBlock } from "../gemm/gemm";
import { tileColumns } from "../gemm/mode";
import { packRows } from "../gemm/pack";
import { DEPTH, TILE_COLUMNS, WINOGRAD_BLOCK, WINOGRAD_FROM_CHANNELS, WINOGRAD_PERCENT } from "../gemm/sizes";
import { tilesOfRows } from "../gemm/tile";
import { panel } from "../gemm/work";
import { storeUpTo4 } from "../lanes";
import {
  channels,
  height,
  kernelHeight,
  kernelWidth,
  outChannels,
  outHeight,
  outWidth,
  paddingHeight,
  paddingWidth,
  strideHeight,
  strideWidth,
  width,
} from "../window";
import { piece, SLACK, wholePanels } from "./geometry";
import { splitImage } from "./patches";

const POINTS: usize = 16;

/** Whether the way is open, and pays: padded tiles must leave enough of the 36 / 16, and the products enough to transform for. */
export function isWinograd(): bool {
  const fits = kernelHeight == 3 && kernelWidth == 3 && strideHeight == 1 && strideWidth == 1;
  if (!fits || paddingHeight > 2 || paddingWidth > 2) return false;
  if (min(channels, outChannels) < WINOGRAD_FROM_CHANNELS) return false;
  return pays(outHeight, outWidth) && pays(height, width);
}

function pays(rows: i32, columns: i32): bool {
  return <i64>1600 * ((tileCount(rows, columns) + 7) & ~7) <= <i64>WINOGRAD_PERCENT * 9 * rows * columns;
}

/** Numbers up to here cannot run over in sums of transformed products. */
export const TAME: f32 = 1e15;

/** Whether every number of a tensor is one and at most `most` in size. */
export function staysBelow(most: f32, n: i32, x: usize): bool {
  const end = x + ((<usize>n) << 2);
  const limit = f32x4.splat(most);
  let inside = i32x4.splat(-1);
  for (; x + 32 <= end; x += 32) {
    inside = v128.and(inside, f32x4.le(f32x4.abs(v128.load(x)), limit));
    inside = v128.and(inside, f32x4.le(f32x4.abs(v128.load(x, 16)), limit));
  }
  let isInside = i32x4.all_true(inside);
  for (; x < end; x += 4) isInside = isInside && abs(load<f32>(x)) <= most;
  return isInside;
}

/** Tiles of 2x2 that cover a plane: rows, and columns padded to vectors. */
@inline
function tileRows(height: i32): i32 {
  return (height + 1) >> 1;
}


@inline
function rowTiles(width: i32): i32 {
  return (((width + 1) >> 1) + 3) & ~3;
}

/** Bytes of transformed values, and from point to point: off a power of two. In 64 bits, as sizes that do not fit the memory are asked for as well. */
@inline
function pointsBytes(rows: i32, columns: i32): u64 {
  return POINTS * (((<u64>rows * columns) << 2) + SLACK);
}


@inline
function pointBytes(rows: i32, columns: i32): usize {
  return <usize>(pointsBytes(rows, columns) / POINTS);
}

/** Tiles of a plane with the padding of its rows. */
@inline
function tileCount(height: i32, width: i32): i32 {
  return tileRows(height) * rowTiles(width);
}

/** The same in whole panels. */
@inline
function panelTiles(height: i32, width: i32): i32 {
  return wholePanels(tileCount(height, width));
}

/** Row of a copy's plane: even columns, then odd ones, each with one more than there are tiles. */
@inline
function copyColumns(width: i32): i32 {
  return rowTiles(width) + 1;
}


@inline
function copyRows(height: i32): i32 {
  return 2 * tileRows(height) + 2;
}

/** A copy of planes for tiles of a plane of outHeight x outWidth whose patches begin `padding` outside. */
@inline
function copyBytesFor(planes: i32, outHeight: i32, outWidth: i32): u64 {
  return piece(<u64>planes * 2 * copyRows(outHeight) * copyColumns(outWidth));
}

export function winogradWeightBytes(): u64 {
  return pointsBytes(outChannels, channels);
}

export function winogradGradientBytes(): u64 {
  return pointsBytes(wholePanels(outChannels), channels);
}

/** Scratch for `winogradImage` with k channels in and m out. */
export function winogradImageBytes(k: i32, m: i32, outHeight: i32, outWidth: i32): u64 {
  const tiles = panelTiles(outHeight, outWidth);
  return copyBytesFor(k, outHeight, outWidth) + pointsBytes(k, tiles) + pointsBytes(m, tiles);
}

/** target[m, outHeight, outWidth] (+ bias) from source[k, sourceHeight, sourceWidth], with the transformed weights u[m, k]. */
export function winogradImage(
  k: i32,
  m: i32,
  sourceHeight: i32,
  sourceWidth: i32,
  paddingHeight: i32,
  paddingWidth: i32,
  outHeight: i32,
  outWidth: i32,
  source: usize,
  u: usize,
  bias: usize,
  scratch: usize,
  target: usize,
): void {
  const tiles = panelTiles(outHeight, outWidth);
  const copy = scratch;
  const v = copy + <usize>copyBytesFor(k, outHeight, outWidth);
  const products = v + <usize>pointsBytes(k, tiles);
  const rows = copyRows(outHeight);
  const columns = copyColumns(outWidth);
  splitImage(k, sourceHeight, sourceWidth, source, 1, 2, 1, 2, -paddingHeight, -paddingWidth, rows, columns, copy);
  transformImage(k, outHeight, outWidth, copy, v);
  multiplyPoints(m, k, tileCount(outHeight, outWidth), u, v, products);
  transformOutput(m, outHeight, outWidth, products, bias, target);
}

/** Scratch for `addWinogradImage`. */
export function winogradRowBytes(): u64 {
  const tiles = tileCount(outHeight, outWidth);
  const copies = copyBytesFor(channels, outHeight, outWidth) + copyBytesFor(outChannels, outHeight, outWidth);
  return copies + pointsBytes(channels, tiles) + pointsBytes(outChannels, tiles);
}

/** dU (+)= what one image says. */
export function addWinogradImage(x: usize, dy: usize, scratch: usize, gradient: usize, accumulate: bool): void {
  const rows = tileRows(outHeight);
  const columns = rowTiles(outWidth);
  const tiles = rows * columns;
  const copy = scratch;
  const dyCopy = copy + <usize>copyBytesFor(channels, outHeight, outWidth);
  const v = dyCopy + <usize>copyBytesFor(outChannels, outHeight, outWidth);
  const z = v + <usize>pointsBytes(channels, tiles);
  const copyHeight = copyRows(outHeight);
  const copyWidth = copyColumns(outWidth);
  splitImage(channels, height, width, x, 1, 2, 1, 2, -paddingHeight, -paddingWidth, copyHeight, copyWidth, copy);
  splitImage(outChannels, outHeight, outWidth, dy, 1, 2, 1, 2, 0, 0, 2 * rows, columns, dyCopy);
  transformImageRows(channels, outHeight, outWidth, copy, v);
  transformGradientRows(outChannels, outHeight, outWidth, dyCopy, z);
  addPoints(outChannels, channels, tiles, v, z, gradient, accumulate);
}

/**
 * U[point][m][k] = G g Gᵀ of weight[outChannels, channels, 3, 3]: m counts output channels and k input channels, or, `turned`, the other
 * way round with each kernel turned by 180 degrees.
 */
export function transformWeights(outChannels: i32, channels: i32, turned: bool, weight: usize, u: usize): void {
  const k = turned ? outChannels : channels;
  const point = pointBytes(outChannels, channels);
  for (let o = 0; o < outChannels; o++) {
    for (let c = 0; c < channels; c++) {
      const row = turned ? c : o;
      const column = turned ? o : c;
      transformKernel(turned, weight, point, u + ((<usize>(row * k + column)) << 2));
      weight += 36;
    }
  }
}

/** A row of G g, or a column of (G g) Gᵀ: (a, (a + b + c) / 2, (a - b + c) / 2, c). */
@inline
function storeRow(a: f32, b: f32, c: f32, to: usize, step: usize): void {
  const outer: f32 = 0.5 * (a + c);
  const inner: f32 = 0.5 * b;
  store<f32>(to, a);
  store<f32>(to + step, outer + inner);
  store<f32>(to + 2 * step, outer - inner);
  store<f32>(to + 3 * step, c);
}

function transformKernel(turned: bool, g: usize, point: usize, to: usize): void {
  const first: usize = turned ? 32 : 0;
  const step: usize = turned ? <usize>-4 : 4;
  let at = g + first;
  const g00 = load<f32>(at);
  const g01 = load<f32>(at + step);
  const g02 = load<f32>(at + 2 * step);
  at += 3 * step;
  const g10 = load<f32>(at);
  const g11 = load<f32>(at + step);
  const g12 = load<f32>(at + 2 * step);
  at += 3 * step;
  const g20 = load<f32>(at);
  const g21 = load<f32>(at + step);
  const g22 = load<f32>(at + 2 * step);
  const s0: f32 = 0.5 * (g00 + g20);
  const s1: f32 = 0.5 * (g01 + g21);
  const s2: f32 = 0.5 * (g02 + g22);
  const h0: f32 = 0.5 * g10;
  const h1: f32 = 0.5 * g11;
  const h2: f32 = 0.5 * g12;
  const row: usize = 4 * point;
  storeRow(g00, g01, g02, to, point);
  storeRow(s0 + h0, s1 + h1, s2 + h2, to + row, point);
  storeRow(s0 - h0, s1 - h1, s2 - h2, to + 2 * row, point);
  storeRow(g20, g21, g22, to + 3 * row, point);
}

/** One column j of Bᵀ d B for four tiles: a ± b down the four rows of a patch, then combined. */
@inline
function transformColumn(ADDS: bool, a: usize, b: usize, row: usize, point: usize, to: usize): void {
  const t0 = combine(ADDS, a, b);
  const t1 = combine(ADDS, a + row, b + row);
  const t2 = combine(ADDS, a + 2 * row, b + 2 * row);
  const t3 = combine(ADDS, a + 3 * row, b + 3 * row);
  v128.store(to, f32x4.sub(t0, t2));
  v128.store(to + 4 * point, f32x4.add(t1, t2));
  v128.store(to + 8 * point, f32x4.sub(t2, t1));
  v128.store(to + 12 * point, f32x4.sub(t1, t3));
}


@inline
function combine(ADDS: bool, a: usize, b: usize): v128 {
  return ADDS ? f32x4.add(v128.load(a), v128.load(b)) : f32x4.sub(v128.load(a), v128.load(b));
}

/** Bᵀ d B of four tiles, whose patches' even and odd columns begin at `even` and `odd`. */
@inline
function transformPatches(even: usize, odd: usize, row: usize, point: usize, to: usize): void {
  transformColumn(false, even, even + 4, row, point, to);
  transformColumn(true, odd, even + 4, row, point, to + point);
  transformColumn(false, even + 4, odd, row, point, to + 2 * point);
  transformColumn(false, odd, odd + 4, row, point, to + 3 * point);
}

/** V[point][panel][channel][width] of a copy. */
function transformImage(channels: i32, height: i32, width: i32, copy: usize, v: usize): void {
  const tiles = tileCount(height, width);
  const point = pointBytes(channels, wholePanels(tiles));
  const step = (<usize>tileColumns) << 2;
  const panelBytes = <usize>channels * step;
  for (let tile = tiles; tile % tileColumns != 0; tile += 4) {
    clearTiles(channels, point, step, v + panelOffset(tile, tileColumns, panelBytes));
  }
  transformPlanes(channels, height, width, copy, point, tileColumns, step, panelBytes, v);
}

/** V[point][channel][tile] of a copy, for dW: a single panel for all tiles. */
function transformImageRows(channels: i32, height: i32, width: i32, copy: usize, v: usize): void {
  const tiles = tileCount(height, width);
  transformPlanes(channels, height, width, copy, pointBytes(channels, tiles), tiles, (<usize>tiles) << 2, 0, v);
}

/** Bᵀ d B of every tile in panels of `columns`, `panelBytes` apart, whose rows, one for each channel, are `step` bytes. */
function transformPlanes(
  channels: i32,
  height: i32,
  width: i32,
  copy: usize,
  point: usize,
  columns: i32,
  step: usize,
  panelBytes: usize,
  v: usize,
): void {
  const row = (<usize>copyColumns(width)) << 2;
  const half = row * <usize>copyRows(height);
  const end = (<usize>rowTiles(width)) << 2;
  for (let c = 0; c < channels; c++) {
    let even = copy;
    let tile = 0;
    for (let y = tileRows(height); y > 0; y--) {
      for (let x: usize = 0; x < end; x += 16) {
        transformPatches(even + x, even + half + x, row, point, v + panelOffset(tile, columns, panelBytes));
        tile += 4;
      }
      even += 2 * row;
    }
    copy += 2 * half;
    v += step;
  }
}

/** Where a tile lies in panels of so many. */
@inline
function panelOffset(tile: i32, columns: i32, panelBytes: usize): usize {
  const column = tile % columns;
  return <usize>(tile / columns) * panelBytes + ((<usize>column) << 2);
}

/** Zeros where the last panel has no tiles: whatever was there might be slow to compute with. */
function clearTiles(channels: i32, point: usize, step: usize, at: usize): void {
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let c: usize = 0; c < <usize>channels; c++) v128.store(at + i * point + c * step, zero);
  }
}

/** Z[point][channel][tile] = A dy Aᵀ of a copy of dy, for dW. */
function transformGradientRows(channels: i32, height: i32, width: i32, copy: usize, z: usize): void {
  const rows = tileRows(height);
  const columns = rowTiles(width);
  const point = pointBytes(channels, rows * columns);
  const row = (<usize>columns) << 2;
  const half = row * <usize>(2 * rows);
  for (let c = 0; c < channels; c++) {
    let even = copy + <usize>c * 2 * half;
    for (let y = 0; y < rows; y++) {
      for (let x: usize = 0; x < row; x += 16) {
        const a = v128.load(even + x);
        const b = v128.load(even + half + x);
        const p = v128.load(even + row + x);
        const q = v128.load(even + half + row + x);
        storeGradientRow(a, b, point, z);
        storeGradientRow(f32x4.add(a, p), f32x4.add(b, q), point, z + 4 * point);
        storeGradientRow(f32x4.sub(a, p), f32x4.sub(b, q), point, z + 8 * point);
        storeGradientRow(f32x4.neg(p), f32x4.neg(q), point, z + 12 * point);
        z += 16;
      }
      even += 2 * row;
    }
  }
}

/** (a, a + b, a - b, -b) */
@inline
function storeGradientRow(a: v128, b: v128, point: usize, to: usize): void {
  v128.store(to, a);
  v128.store(to + point, f32x4.add(a, b));
  v128.store(to + 2 * point, f32x4.sub(a, b));
  v128.store(to + 3 * point, f32x4.neg(b));
}

/** M[point][panel][m][width] = U[point][m][k] · V[point][panel][k][width] */
function multiplyPoints(m: i32, k: i32, tiles: i32, u: usize, v: usize, out: usize): void {
  const uPoint = pointBytes(m, k);
  const vPoint = pointBytes(k, wholePanels(tiles));
  const outPoint = pointBytes(m, wholePanels(tiles));
  const uRow = (<usize>k) << 2;
  const panelRow = (<usize>tileColumns) << 2;
  const step = evenBlock(k, DEPTH);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let k0 = 0; k0 < k; k0 += step) {
      const kc = min(step, k - k0);
      const a = u + ((<usize>k0) << 2);
      let pv = v + <usize>k0 * panelRow;
      let to = out;
      for (let tile = 0; tile < tiles; tile += tileColumns) {
        const width = tiles - tile > TILE_COLUMNS ? tileColumns : TILE_COLUMNS;
        tilesOfRows(width, m, kc, a, uRow, pv, panelRow, to, panelRow, k0 > 0 ? to : 0, panelRow);
        pv += <usize>k * panelRow;
        to += <usize>m * panelRow;
      }
    }
    u += uPoint;
    v += vPoint;
    out += outPoint;
  }
}

/** y[channels, height, width] = Aᵀ M A + bias. */
function transformOutput(channels: i32, height: i32, width: i32, m: usize, bias: usize, y: usize): void {
  const rows = tileRows(height);
  const columns = rowTiles(width);
  const point = pointBytes(channels, panelTiles(height, width));
  const step = (<usize>tileColumns) << 2;
  const panelBytes = <usize>channels * step;
  const row = (<usize>width) << 2;
  for (let c = 0; c < channels; c++) {
    const addend = bias ? v128.load32_splat(bias + ((<usize>c) << 2)) : f32x4.splat(0);
    const from = m + <usize>c * step;
    let tile = 0;
    for (let ty = 0; ty < rows; ty++) {
      const isDouble = 2 * ty + 1 < height;
      for (let tx = 0; tx < columns; tx += 4) {
        const at = from + panelOffset(tile, tileColumns, panelBytes);
        tile += 4;
        const count = min(8, width - 2 * tx);
        if (count > 0) transformTiles(at, point, addend, count, isDouble, row, y + ((<usize>tx) << 3));
      }
      y += isDouble ? 2 * row : row;
    }
  }
}

/** Four tiles: `count` columns of one row of outputs, or of two. */
@inline
function transformTiles(m: usize, point: usize, addend: v128, count: i32, isDouble: bool, row: usize, y: usize): void {
  const m0 = m + 4 * point;
  const m1 = m + 8 * point;
  const m2 = m + 12 * point;
  let top0 = f32x4.add(f32x4.add(v128.load(m), v128.load(m0)), v128.load(m1));
  let low0 = f32x4.sub(f32x4.sub(v128.load(m0), v128.load(m1)), v128.load(m2));
  const top1 = column(m + point, m0 + point, m1 + point);
  const low1 = columnBelow(m0 + point, m1 + point, m2 + point);
  const top2 = column(m + 2 * point, m0 + 2 * point, m1 + 2 * point);
  const low2 = columnBelow(m0 + 2 * point, m1 + 2 * point, m2 + 2 * point);
  const top3 = column(m + 3 * point, m0 + 3 * point, m1 + 3 * point);
  const low3 = columnBelow(m0 + 3 * point, m1 + 3 * point, m2 + 3 * point);
  top0 = f32x4.add(f32x4.add(f32x4.add(top0, top1), top2), addend);
  const topOdd = f32x4.add(f32x4.sub(f32x4.sub(top1, top2), top3), addend);
  storeColumns(top0, topOdd, count, y);
  if (!isDouble) return;
  low0 = f32x4.add(f32x4.add(f32x4.add(low0, low1), low2), addend);
  const lowOdd = f32x4.add(f32x4.sub(f32x4.sub(low1, low2), low3), addend);
  storeColumns(low0, lowOdd, count, y + row);
}


@inline
function column(a: usize, b: usize, c: usize): v128 {
  return f32x4.add(f32x4.add(v128.load(a), v128.load(b)), v128.load(c));
}


@inline
function columnBelow(b: usize, c: usize, d: usize): v128 {
  return f32x4.sub(f32x4.sub(v128.load(b), v128.load(c)), v128.load(d));
}

/** Even and odd columns by turns. */
@inline
function storeColumns(even: v128, odd: v128, count: i32, y: usize): void {
  const first = v128.shuffle<f32>(even, odd, 0, 4, 1, 5);
  const second = v128.shuffle<f32>(even, odd, 2, 6, 3, 7);
  if (count == 8) {
    v128.store(y, first);
    v128.store(y, second, 16);
  } else {
    storeUpTo4(y, first, min(count, 4));
    if (count > 4) storeUpTo4(y + 16, second, count - 4);
  }
}

/** dUᵀ[point][o / width][c][width] (+)= V[point][c][tile] · Z[point][o][tile]ᵀ */
function addPoints(
  outChannels: i32,
  channels: i32,
  tiles: i32,
  v: usize,
  z: usize,
  gradient: usize,
  accumulate: bool,
): void {
  const vPoint = pointBytes(channels, tiles);
  const zPoint = pointBytes(outChannels, tiles);
  const row = (<usize>tiles) << 2;
  const step = evenBlock(tiles, WINOGRAD_BLOCK);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let p = 0; p < tiles; p += step) {
      const count = min(step, tiles - p);
      const x = (<usize>p) << 2;
      const adds = accumulate || p > 0;
      let width = 0;
      for (let o = 0; o < outChannels; o += width) {
        width = outChannels - o > TILE_COLUMNS ? tileColumns : TILE_COLUMNS;
        const panelRow = (<usize>width) << 2;
        const to = gradient + ((<usize>(o * channels)) << 2);
        packRows(min(width, outChannels - o), width, count, z + <usize>o * row + x, row, panel);
        tilesOfRows(width, channels, count, v + x, row, panel, panelRow, to, panelRow, adds ? to : 0, panelRow);
      }
    }
    v += vPoint;
    z += zPoint;
    gradient += gradientPoint(outChannels, channels);
  }
}


@inline
function gradientPoint(outChannels: i32, channels: i32): usize {
  return pointBytes(wholePanels(outChannels), channels);
}

/** dweight[o, c, 3, 3] (+)= Gᵀ dU G */
export function transformGradient(
  outChannels: i32,
  channels: i32,
  gradient: usize,
  dweight: usize,
  accumulate: bool,
): void {
  const point = gradientPoint(outChannels, channels);
  for (let o = 0; o < outChannels; o++) {
    // the panel that o lies in, as addPoints laid them out
    const column = o % tileColumns;
    const first = o - column;
    const narrow = outChannels - first <= TILE_COLUMNS;
    const panelRow = (<usize>(narrow ? TILE_COLUMNS : tileColumns)) << 2;
    for (let c = 0; c < channels; c++) {
      const from = gradient + ((<usize>(first * channels + column)) << 2) + <usize>c * panelRow;
      // Gᵀ over the rows of points, then over their columns
      for (let u: usize = 0; u < 3; u++) {
        const a = combined(u, from, 4 * point);
        const b = combined(u, from + point, 4 * point);
        const c1 = combined(u, from + 2 * point, 4 * point);
        const d = combined(u, from + 3 * point, 4 * point);
        const sum: f32 = 0.5 * (b + c1);
        addTo(dweight, a + sum, accumulate);
        addTo(dweight + 4, 0.5 * (b - c1), accumulate);
        addTo(dweight + 8, sum + d, accumulate);
        dweight += 12;
      }
    }
  }
}

/** Row u of Gᵀ times four values, `step` apart. */
@inline
function combined(u: usize, at: usize, step: usize): f32 {
  const a = load<f32>(at);
  const b = load<f32>(at + step);
  const c = load<f32>(at + 2 * step);
  const d = load<f32>(at + 3 * step);
  if (u == 0) return a + <f32>0.5 * (b + c);
  return u == 1 ? <f32>0.5 * (b - c) : <f32>0.5 * (b + c) + d;
}


@inline
function addTo(address: usize, value: f32, accumulate: bool): void {
  store<f32>(address, accumulate ? load<f32>(address) + value : value);
}
