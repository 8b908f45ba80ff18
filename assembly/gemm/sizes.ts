// Block sizes and thresholds of the product, each with what it rests on.

/** The tile: 4 rows by 8 columns of C in 8 registers, 2 for a row of B and 1 for a splat of A; V8 has 15 to give away. */
export const TILE_ROWS: i32 = 4;
export const TILE_COLUMNS: i32 = 8;
/** The same registers at 256 bits. */
export const WIDE_COLUMNS: i32 = 16;
/** 12 registers for C, 2 for B, 1 for A: with multiply-add in one instruction 6 % faster (Zen 4), without it there is none left for the product. */
export const TALL_ROWS: i32 = 6;

/** Block of k: a panel of B, 8 columns by 512, takes 16 KB and stays in L1 beside the rows of A. Split evenly over k. */
export const DEPTH: i32 = 512;

/** Block of m: 512 rows of A by 512 stay in L2, and each panel of B is packed once for them. */
export const HEIGHT: i32 = 512;
/** The same where A is packed, into a work area of 512 KB. */
export const PACKED_HEIGHT: i32 = 256;

/** Packing B costs a pass over it, which m rows share; below this it is read where it lies. */
export const PACK_B_FROM_ROWS: i32 = 32;

/**
 * Rows of B a multiple of 4 KiB apart collide in the cache: there panels are packed in groups of 256 columns by 256 rows (256 KB, in L2), so
 * that a cache line is read once and not for every panel that it is part of, and rows far apart change pages seldom. Few rows gain most,
 * 1.7 times at 16; from 256 on the packing does not show.
 */
export const COLLISION: usize = 4096;
export const GROUP_COLUMNS: i32 = 256;
export const GROUP_DEPTH: i32 = 256;
export const GROUP_FROM_ROWS: i32 = 8;
export const GROUP_BELOW_ROWS: i32 = 256;

/** A·Bᵀ with few rows or few columns: dot products along k need no packing at all. */
export const DOT_BELOW_ROWS: i32 = 16;
export const DOT_UP_TO_COLUMNS: i32 = 16;

/** A·Bᵀ up to here swaps roles (B's rows are splat, A is transposed into panels): a transposed B would be used too seldom. */
export const SWAP_BELOW_ROWS: i32 = 256;

/**
 * Blocks of the swapped form: a panel of 8 or 16 rows of A by 1024, results of 256 columns before they go back. At k = 784 a wide panel takes 50 KB,
 * more than L1 has; two blocks would fit, and lose 3 % to the second pass over the results.
 */
export const SWAP_DEPTH: i32 = 1024;
export const SWAP_COLUMNS: i32 = 256;

/** Blocks of k where one sum of each output (or eight) runs along it, so that long sums lose no more than those of the tiles. */
export const VECTOR_DEPTH: i32 = 1024;
export const DOT_DEPTH: i32 = 8192;

/** Outputs whose partial sums, 32 bytes each, one pass of dot products leaves in L1. */
export const DOT_ROWS: i32 = 32;
export const DOT_COLUMNS: i32 = 16;

/**
 * The weights' gradient of a convolution gathers patches as rows, a row for each tap: 128 Ki floats (512 KB) stay in L2, by blocks of
 * 64 to 512 outputs, since shorter ones would read and write the sums more often and longer ones leave L1 with dy's panel.
 */
export const PATCH_FLOATS: i32 = 128 << 10;
export const PATCH_LEAST: i32 = 64;
export const PATCH_MOST: i32 = 512;

/**
 * Winograd's way: from so many channels on either side (fewer products than that do not pay for the transforms), and only where its 16
 * products a tile, padded tiles included, come to at most this share of the direct way's 9 an output. Its sums over tiles go by blocks
 * of up to 512.
 */
export const WINOGRAD_FROM_CHANNELS: i32 = 16;
export const WINOGRAD_PERCENT: i32 = 75;
export const WINOGRAD_BLOCK: i32 = 512;

// The work area, in bytes: a tile's edge, a panel of B (or of A, swapped), a block of A (or swapped results, groups of
// panels, sums of dot products). A panel is
// kept 128 bytes off a power of two, so that panel and block do not meet in the same cache sets.
export const EDGE_BYTES: usize = 256;
export const PANEL_BYTES: usize = ((<usize>(max(SWAP_DEPTH, DEPTH) * WIDE_COLUMNS)) << 2) + 128;
export const BLOCK_BYTES: usize = (<usize>(PACKED_HEIGHT * DEPTH)) << 2;
export const WORK_BYTES: usize = EDGE_BYTES + PANEL_BYTES + BLOCK_BYTES;
