import { builtin } from "../../host-types.js";
import { link } from "../wasm.js";
import { FLAG } from "./gate.js";
import { exportName, exposeFunctions } from "./module-bytes.js";

/** A module, and what is known of its functions (scripts/widenable.mjs). */
export interface Code {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Places of the functions that have neighbouring stores, which V8 can merge, and no shuffles, beside which it gets them wrong. */
  readonly widening: readonly number[];
}

const NATIVES = "--allow-natives-syntax";

/**
 * The modules of a program, their functions compiled by the optimizing compiler, those in `widening` while V8's flag is on. The flag is
 * read when a function is compiled: afterwards they stay as they are, in every instance of a module, and nothing else is touched.
 * Functions are compiled at once and none is left to the baseline compiler, so that nothing is compiled again later, without the flag.
 * Throws what V8 throws, with every flag as it was.
 */
export function compileWide(codes: readonly Code[], memory: WebAssembly.Memory): WebAssembly.Module[] {
  const exposed = codes.map(({ bytes }) => exposeFunctions(bytes, crypto.getRandomValues(new Uint8Array(16))));
  const modules = exposed.map(({ bytes }) => new WebAssembly.Module(bytes));
  const functions = link(modules, memory).flatMap((exports, i) =>
    Array.from({ length: exposed[i].count }, (_, index) => ({
      exported: exports[exportName(index)],
      isWidening: codes[i].widening.includes(index),
    })),
  );
  resetIfCutShort();
  withTierUp((tierUp) => {
    const compile = (widens: boolean): void => {
      for (const { exported, isWidening } of functions) if (isWidening === widens) tierUp(exported);
    };
    compile(false);
    try {
      lend(FLAG);
      compile(true);
    } finally {
      takeBack(FLAG);
    }
  });
  return modules;
}

/** Flags that are on for a while. */
const lent = new Set<string>();

/** What ends a script from outside, such as node:vm's time limit, skips every `finally`; this turns off what then stayed on. */
function resetIfCutShort(): void {
  queueMicrotask(() => {
    for (const flag of lent) setFlag(off(flag));
    lent.clear();
  });
}

/** Lends `use` a function that has a WebAssembly function compiled by the optimizing compiler, then and there. */
function withTierUp(use: (tierUp: (exported: unknown) => void) => void): void {
  const wasOn = areNativesOn();
  try {
    if (!wasOn) lend(NATIVES);
    use(new Function("exported", TIER_UP) as (exported: unknown) => void);
  } finally {
    if (!wasOn) takeBack(NATIVES);
  }
}

const TIER_UP = "%WasmTierUpFunction(exported)";

/** Whether V8 takes its own syntax. Each probe has different text: V8 would answer a repeated one from its cache. */
function areNativesOn(): boolean {
  try {
    new Function("exported", `${TIER_UP} // at ${performance.now()}`);
    return true;
  } catch {
    return false;
  }
}

function lend(flag: string): void {
  lent.add(flag);
  setFlag(flag);
}

function takeBack(flag: string): void {
  setFlag(off(flag));
  lent.delete(flag);
}

const off = (flag: string): string => flag.replace("--", "--no-");

function setFlag(flag: string): void {
  builtin<{ setFlagsFromString(flags: string): void }>("node:v8")!.setFlagsFromString(flag);
}
