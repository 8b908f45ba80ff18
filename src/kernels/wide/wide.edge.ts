/** Stands in for wide.ts on edge runtimes, which have no SharedArrayBuffer and no flags of V8: neither compiler nor self-test is there. */
export const openWide = (): string => "it takes a SharedArrayBuffer, and there is none";
