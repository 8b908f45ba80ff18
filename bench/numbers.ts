/** A reproducible stream of numbers, evenly spread over 0..1 (a linear congruential generator: good enough to fill arrays). */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function uniform(length: number, low: number, high: number, seed: number): Float32Array {
  const next = numbersFrom(seed);
  return Float32Array.from({ length }, () => low + (high - low) * next());
}

/** The value that a share q of the values does not exceed, interpolated. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  return below + (above - below) * (place % 1);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function millisecondsOf(action: () => unknown): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}
