// The group of channels that is dealt with at a time, and what the passes over it share.

/** Planes that are dealt with together: more are no faster, fewer leave gaps in what is read. */
export const MOST_CHANNELS: i32 = 64;

// What the passes over a group read: a float for each of its channels.
export const MEAN: usize = memory.data(64 * 4, 16);

export const SCALE: usize = memory.data(64 * 4, 16);

export const SHIFT: usize = memory.data(64 * 4, 16);

export const SLOPE: usize = memory.data(64 * 4, 16);

/** Numbers in double for each of its channels: mean, centred squares, the mean before it was refined; on the way back the two sums. */
export const SUMS: usize = memory.data(3 * 64 * 8, 16);

export const SECOND: usize = 64 * 8;

export const THIRD: usize = 2 * SECOND;

/** From sums the rounded means that differences are taken from. */
export function roundMeans(lanes: i32, count: f64): void {
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const mean = load<f64>(SUMS + (lane << 3)) / count;
    store<f64>(SUMS + (lane << 3), mean, THIRD);
    store<f32>(MEAN + (lane << 2), <f32>mean);
  }
}

/** From the sums of differences and of their squares the mean and the squares around it. */
export function refineMeans(lanes: i32, count: f64): void {
  for (let lane: usize = 0; lane < <usize>lanes; lane++) {
    const sums = SUMS + (lane << 3);
    const rounded = load<f32>(MEAN + (lane << 2));
    const lost = isFinite(rounded) ? load<f64>(sums) / count : 0;
    store<f64>(sums, <f64>rounded + lost);
    store<f64>(sums, load<f64>(sums, SECOND) - count * lost * lost, SECOND);
  }
}
