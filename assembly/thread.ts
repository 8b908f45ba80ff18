// What sets the threads over one memory apart. Each has an instance of the modules, so that globals are its own, and a copy of its own of
// the static data that kernels write to. A large call is cut into shares, which threads take one after the other.

/** From static data to this instance's copy of it. */
let offset: usize = 0;

/** The address of this instance's copy of static data. */
@inline
export function own(address: usize): usize {
  return address + offset;
}

/** Bytes of a copy of the static data, with what lies before it. */
@inline
export function staticBytes(): usize {
  return (__data_end + 63) & ~63;
}

export function useCopy(address: usize): void {
  offset = address;
  memory.fill(address, 0, staticBytes());
}

/** Which share of their results the next calls compute, and how many shares there are. */
let share: i32 = 0;
let shares: i32 = 1;

export function useShare(index: i32, count: i32): void {
  share = index;
  shares = count;
}

/** Where this share of n begins; shares are whole units, as even as that allows. */
export function shareFrom(n: i32, unit: i32): i32 {
  return boundary(share, n, unit);
}

/** Where it ends. */
export function shareTo(n: i32, unit: i32): i32 {
  return boundary(share + 1, n, unit);
}

/** The first shares have one unit more where they do not divide evenly. Without 64 bits, beside which V8 merges nothing. */
function boundary(index: i32, n: i32, unit: i32): i32 {
  if (shares == 1) return index * n;
  const units = (n + unit - 1) / unit;
  return min(n, ((units / shares) * index + min(index, units % shares)) * unit);
}
