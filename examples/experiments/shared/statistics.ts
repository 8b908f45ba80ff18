export const sum = (values: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
};

export const mean = (values: ArrayLike<number>): number => sum(values) / values.length;

export const meanSquare = (values: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] * values[i];
  return total / values.length;
};

/** Unbiased. By products and roots alone, which are the same on every engine: what is trained on may come from it. */
export function variance(values: ArrayLike<number>): number {
  const center = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - center) * (values[i] - center);
  return squares / (values.length - 1);
}

export const std = (values: ArrayLike<number>): number => Math.sqrt(variance(values));

/** The standard error of a mean of independent values. */
export const standardError = (values: ArrayLike<number>): number => std(values) / Math.sqrt(values.length);

export function correlation(a: readonly number[], b: readonly number[]): number {
  const [centerA, centerB] = [mean(a), mean(b)];
  const products = a.map((value, i) => (value - centerA) * (b[i] - centerB));
  return sum(products) / (a.length - 1) / (std(a) * std(b));
}

/** How many values are in each of `bins` equal parts of low..high: points at their middles. */
export function histogram(values: ArrayLike<number>, [low, high]: readonly [number, number], bins: number) {
  const width = (high - low) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const value of Array.from(values)) counts[Math.min(bins - 1, Math.max(0, Math.floor((value - low) / width)))]++;
  return counts.map((count, bin) => [low + (bin + 0.5) * width, count] as const);
}
