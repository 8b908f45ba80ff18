// The 16 products, one for each point.

import { nr } from "../../gemm/mode";
import { packRows } from "../../gemm/pack";
import { evenBlock, KC, NR, WINOGRAD_KC } from "../../gemm/sizes";
import { tileColumn } from "../../gemm/tile";
import { panel } from "../../gemm/work";
import { wholePanels } from "../geometry";
import { gradientPoint, pointBytes, POINTS } from "./layout";

/** M[point][panel][m][width] = U[point][m][k] · V[point][panel][k][width] */
export function multiplyPoints(m: i32, k: i32, tiles: i32, u: usize, v: usize, out: usize): void {
  const uPoint = pointBytes(m, k);
  const vPoint = pointBytes(k, wholePanels(tiles));
  const outPoint = pointBytes(m, wholePanels(tiles));
  const uRow = (<usize>k) << 2;
  const panelRow = (<usize>nr) << 2;
  const step = evenBlock(k, KC);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let k0 = 0; k0 < k; k0 += step) {
      const kc = min(step, k - k0);
      const a = u + ((<usize>k0) << 2);
      let pv = v + <usize>k0 * panelRow;
      let to = out;
      for (let tile = 0; tile < tiles; tile += nr) {
        const width = tiles - tile > NR ? nr : NR;
        tileColumn(width, m, kc, a, uRow, pv, panelRow, to, panelRow, k0 > 0 ? to : 0, panelRow);
        pv += <usize>k * panelRow;
        to += <usize>m * panelRow;
      }
    }
    u += uPoint;
    v += vPoint;
    out += outPoint;
  }
}

/** dUᵀ[point][o / width][c][width] (+)= V[point][c][tile] · Z[point][o][tile]ᵀ */
export function addPoints(
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
  const step = evenBlock(tiles, WINOGRAD_KC);
  for (let i: usize = 0; i < POINTS; i++) {
    for (let p = 0; p < tiles; p += step) {
      const count = min(step, tiles - p);
      const x = (<usize>p) << 2;
      const adds = accumulate || p > 0;
      let width = 0;
      for (let o = 0; o < outChannels; o += width) {
        width = outChannels - o > NR ? nr : NR;
        const panelRow = (<usize>width) << 2;
        const to = gradient + ((<usize>(o * channels)) << 2);
        packRows(min(width, outChannels - o), width, count, z + <usize>o * row + x, row, panel);
        tileColumn(width, channels, count, v + x, row, panel, panelRow, to, panelRow, adds ? to : 0, panelRow);
      }
    }
    v += vPoint;
    z += zPoint;
    gradient += gradientPoint(outChannels, channels);
  }
}
