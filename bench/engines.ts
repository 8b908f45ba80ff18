import { createEngine, type Engine, type EngineOptions } from "../src/index.js";
import type { KernelSet } from "../src/kernels/kernels.js";
import { bestKernelSet } from "../src/kernels/wasm.js";
import { isWideByDefault } from "../src/kernels/wide/gate.js";

/** The kernels that are measured against the twin: the fastest that this Node takes, unless BENCH_KERNELS names a set. */
export const KERNELS = (process.env.BENCH_KERNELS ?? bestKernelSet()) as KernelSet;

export interface Engines extends Disposable {
  readonly wasm: Engine;
  readonly twin: Engine;
  /** The same kernels widened to 256 bits, with LANEGRAD_WIDE=1. */
  readonly wide?: Engine;
}

/** One engine of each kind for the whole run: a linear memory reserves 10 GiB of addresses. */
export function openEngines(): Engines {
  const engines = {
    wasm: openEngine({ kernels: KERNELS, wide: false }),
    twin: openEngine({ kernels: "js", wide: false }),
    ...(isWideByDefault() && { wide: openEngine({ kernels: KERNELS, wide: true }) }),
  };
  return {
    ...engines,
    [Symbol.dispose]() {
      for (const engine of Object.values(engines)) engine.dispose();
    },
  };
}

/** A measurement of kernels that silently fell back would be worse than none. */
function openEngine(options: Required<Pick<EngineOptions, "kernels" | "wide">>): Engine {
  const { kernels, wide } = options;
  const engine = createEngine(options);
  if (engine.kernels !== kernels || engine.ops.set !== kernels) {
    throw new Error(`asked for the "${kernels}" kernels, got "${engine.kernels}" that run "${engine.ops.set}"`);
  }
  if (engine.wide !== wide) throw new Error(`the kernels are not widened: ${engine.wideReason}`);
  engine.warmUp();
  return engine;
}
