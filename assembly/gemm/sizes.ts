// Block sizes and thresholds of the product C[m, n] = A[m, k] · B[k, n], with the reasons. The names are those of BLIS: a register tile is
// MR x NR; a panel of B is KC x NR and stays in L1; a block of A is MC x KC and stays in L2; NC columns of B are packed at a time. The
// loops over them are jc (n by NC), pc (k by KC), ic (m by MC), jr (n by NR) and ir (m by MR).

/** 4 x 8 of C take 8 registers, a row of B takes 2, a splat of A 1. V8 has 15. */
export const MR: i32 = 4;
export const NR: i32 = 8;
/** The same registers at 256 bits. */
export const WIDE_NR: i32 = 16;
/**
 * 12 registers for C, 2 for B, 1 for A. With multiply-add in one instruction 6 % faster (Zen 4); without it no register is left for the
 * product.
 */
export const TALL_MR: i32 = 6;

/** A panel of B, 512 x 8, takes 16 KB and stays in L1 beside the rows of A. k is split evenly. */
export const KC: i32 = 512;

/** 512 rows of A by 512 stay in L2; each panel of B is packed once for them. */
export const MC: i32 = 512;
/** Where A is packed as well, into the work area's 512 KB. */
export const PACKED_MC: i32 = 256;

/** Packing B costs one pass over it. With fewer rows of A to share that, B is read where it lies. */
export const PACK_B_FROM_M: i32 = 32;

/**
 * Rows of B a multiple of 4 KiB apart collide in the cache. Their panels are packed together, 256 columns by 256 rows (256 KB, in L2): each
 * cache line is read once, not once for each panel, and pages are switched less often. From 256 rows of A on there is no gain.
 */
export const COLLISION_BYTES: usize = 4096;
export const GROUP_NC: i32 = 256;
export const GROUP_KC: i32 = 256;
export const GROUP_FROM_M: i32 = 8;
export const GROUP_BELOW_M: i32 = 256;

/**
 * A small k and a C from 1 MB on: the time goes into writing C. 32 Ki floats (128 KB) of B's columns are packed at once, and C is written
 * along its rows; a column of tiles would write 32 bytes to each page. At 4096 x 4096 x 8 this is 3.7 times as fast.
 */
export const SHALLOW_KC: i32 = 64;
export const SHALLOW_FROM: i32 = 256 << 10;
export const SHALLOW_FLOATS: i32 = 32 << 10;

/** What several threads share: whole panels of columns, or of rows where there are so few columns. */
export const SHARE_COLUMNS: i32 = 16;
export const SHARE_ROWS: i32 = 16;
export const SHARE_BY_ROWS_UP_TO_N: i32 = 64;
/** With the roles swapped: enough panels of rows for several threads. */
export const SHARE_BY_ROWS_FROM_M: i32 = 64;

/** A·Bᵀ with few rows or few columns: dot products along k need no packing. */
export const DOT_BELOW_M: i32 = 16;
export const DOT_UP_TO_N: i32 = 16;

/**
 * From 4 rows of A on, which use a row of B again, partial sums go over 512 of k at a time: 4 rows of B take 8 KB and stay in L1, which
 * whole ones may not.
 */
export const DOT_PARTS_FROM_M: i32 = 4;
export const DOT_PART: i32 = 512;

/** Outputs whose partial sums, 32 bytes each, one pass of dot products leaves in L1. */
export const DOT_MC: i32 = 32;
export const DOT_NC: i32 = 16;

/** A·Bᵀ with fewer rows swaps roles (A is transposed into panels, B's rows are splat): a transposed B would be used too seldom. */
export const SWAP_BELOW_M: i32 = 256;

/**
 * Blocks of the swapped form: a panel of 8 or 16 rows of A by 1024; 64 of B's rows, whose results are then transposed back. At k = 784 a
 * wide panel takes 50 KB, more than L1 has; two blocks would fit, but lose 3 % to the second pass over the results.
 */
export const SWAP_KC: i32 = 1024;
export const SWAP_MC: i32 = 64;
export const SWAP_NC: i32 = 64;

/** Where an output has one sum along k, or eight: blocks that keep long sums as exact as those of the tiles. */
export const VECTOR_KC: i32 = 1024;
export const DOT_KC: i32 = 8192;

/**
 * Few rows of A times a B from 2 MB on: along B's rows, 8 of them at a time, which stay in L1 even where they collide. Sums of 16 Ki floats
 * (64 KB) stay in L2. Tiles whose sums go on from there are as fast as with B packed, and B is read while they compute.
 */
export const ALONG_FROM: i32 = 512 << 10;
export const ALONG_BELOW_M: i32 = 32;
export const ALONG_FLOATS: i32 = 16 << 10;
export const ALONG_ROWS: i32 = 8;

/**
 * The weights' gradient of a convolution gathers patches in rows, a row for each tap. 128 Ki floats (512 KB) stay in L2: 64 to 512
 * patches. Fewer would read and write the sums more often, more would leave L1 with dy's panel.
 */
export const PATCH_FLOATS: i32 = 128 << 10;
export const LEAST_PATCHES: i32 = 64;
export const MOST_PATCHES: i32 = 512;

/**
 * dx of fewer channels is added up from the gradients of patches, up to 32 Ki floats (128 KB) of them at a time: 1.2 times as fast at 7
 * channels, 3 at one. At 8, where the direct product has whole tiles, neither way wins.
 */
export const PATCH_GRADIENTS_BELOW_CHANNELS: i32 = 8;
export const PATCH_GRADIENT_FLOATS: i32 = 32 << 10;

/**
 * Winograd pays from 16 channels on either side, which make up for the transforms, and where its 16 products a tile, padded tiles included,
 * are at most 75 % of the direct method's 9 for each output. Its sums over tiles go by blocks of up to 512.
 */
export const WINOGRAD_FROM_CHANNELS: i32 = 16;
export const WINOGRAD_PERCENT: i32 = 75;
export const WINOGRAD_KC: i32 = 512;

// The work area, in bytes: a tile at an edge; a panel of B (or of A, swapped); a block (of A, of swapped results, of grouped panels, of
// partial sums). 128 bytes more than a power of two keep panel and block out of the same cache sets.
export const EDGE_BYTES: usize = 256;
export const PANEL_BYTES: usize = ((<usize>(max(SWAP_KC, KC) * WIDE_NR)) << 2) + 128;
export const BLOCK_BYTES: usize = (<usize>(PACKED_MC * KC)) << 2;
export const WORK_BYTES: usize = EDGE_BYTES + PANEL_BYTES + BLOCK_BYTES;

/** An even share of k, a multiple of 4, at most `limit`: 784 is two blocks of 392, not 512 and 272. */
@inline
export function evenBlock(k: i32, limit: i32): i32 {
  const blocks = max(1, (k + limit - 1) / limit);
  return ((k + blocks - 1) / blocks + 3) & ~3;
}
