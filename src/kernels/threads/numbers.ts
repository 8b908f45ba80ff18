// Every number that decides when and how calls are cut for several threads, with the reasons.

/**
 * What an element costs on one thread, or a multiply-add of products and convolutions, in nanoseconds: roughly, since machines differ. It
 * decides only whether a call is cut.
 */
export const COSTS: Readonly<Record<string, number>> = {
  gemm: 0.04,
  conv2d: 0.04,
  conv2dBackwardInput: 0.04,
  conv2dBackwardWeight: 0.04,
  adam: 0.5,
  rmsprop: 0.4,
  elu: 0.7,
  eluBackward: 0.7,
  exponential: 0.6,
  preluBackward: 0.3,
  batchNorm: 0.8,
  batchNormBackward: 0.8,
  maxPool2d: 0.5,
  maxPool2dBackward: 0.5,
};
export const OTHER_COST = 0.2;

/** In nanoseconds. */
export interface Thresholds {
  /** Below this a call is not cut: waking a thread takes some 25 microseconds, and a few even where it does not sleep. */
  readonly leastCall: number;
  /** A chunk takes at least this long, so that taking it costs nothing beside. */
  readonly leastChunk: number;
}

export const THRESHOLDS: Thresholds = { leastCall: 60_000, leastChunk: 10_000 };

/**
 * More chunks than threads, so that a thread that lost its core for a while leaves its part to the others. Kernels that compute shares
 * themselves do some work again for each.
 */
export const CHUNKS_A_THREAD = 4;
export const SHARES_A_THREAD = 2;

/**
 * How long a thread looks at the control block before it goes to sleep: some more than the time between two large calls of a step. With
 * more threads than cores it sleeps at once, since it would keep another from its core.
 */
export const SPIN_MS = 0.1;

/**
 * Where the caller waits for taken chunks longer than it has worked itself, other programs have the cores: calls stay on one thread for a
 * while, twice as long each time, within these bounds.
 */
export const LEAST_REST_MS = 2;
export const MOST_REST_MS = 100;

/** A chunk that was taken and is not done for so long is lost, with the thread that took it; and a worker that has not reported in by then. */
export const LOST_MS = 10_000;
