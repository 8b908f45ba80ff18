import { builtin } from "../../host-types.js";

/** Versions of V8 whose widening was fuzzed and timed: Node 24 and 26. README.md says how to admit another. */
export const TESTED_V8 = ["13.6", "14.6"] as const;

export const FLAG = "--experimental-wasm-revectorize";

/** What decides whether kernels may be widened in this process. */
export interface Environment {
  /** As Node gives it, "13.6.233.17-node.53". Other runtimes give none, or another suffix. */
  readonly v8: string | undefined;
  readonly arch: string | undefined;
  readonly isMainThread: boolean;
  /** Options of the command line and of NODE_OPTIONS. */
  readonly options: readonly string[];
}

interface Process {
  readonly versions?: Readonly<Record<string, string | undefined>>;
  readonly arch?: string;
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const host = (): Process => (globalThis as { process?: Process }).process ?? {};

/** An environment variable; none where the program may not read its environment, for which Deno throws. */
function variable(name: string): string | undefined {
  try {
    return host().env?.[name];
  } catch {
    return undefined;
  }
}

/** The default of `createEngine`'s `wide`. */
export const isWideByDefault = (): boolean => variable("LANEGRAD_WIDE") === "1";

export function readEnvironment(): Environment {
  const { versions = {}, arch, execArgv = [] } = host();
  return {
    // Bun gives the version of the V8 that it stands in for
    v8: versions.bun === undefined ? versions.v8 : undefined,
    arch,
    isMainThread: builtin<{ isMainThread: boolean }>("node:worker_threads")?.isMainThread ?? false,
    options: [...execArgv, ...(variable("NODE_OPTIONS") ?? "").split(/\s+/)],
  };
}

/** Why kernels are not widened here, before anything is touched; undefined where nothing is in the way. */
export function refusal({ v8, arch, isMainThread, options }: Environment): string | undefined {
  // an unknown flag prints to stderr, and an untested pass may compute anything
  if (!TESTED_V8.some((version) => v8?.startsWith(`${version}.`) && v8.includes("-node."))) {
    return `${v8 === undefined ? "this runtime" : `V8 ${v8}`} is not among those tested: Node's V8 ${TESTED_V8.join(" and ")}`;
  }
  if (arch !== "x64") return `it takes an x64 processor with AVX2, and this is ${arch}`;
  if (!isMainThread) return "it is left to the main thread: the flag of V8 is the whole process's";
  // V8 takes underscores for hyphens
  const given = options.find((option) => option.replaceAll("_", "-").includes(FLAG.slice("--".length)));
  if (given !== undefined) return `${given} is set for the whole process`;
  // with this flag V8 ends a process that sets flags
  if (options.some((option) => /^--freeze[-_]flags[-_]after[-_]init/.test(option))) return "V8's flags are frozen";
  return undefined;
}
