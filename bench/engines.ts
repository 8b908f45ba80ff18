import { createEngine, type Engine, type EngineOptions } from "../src/index.js";
import { bestKernelSet } from "../src/kernels/wasm.js";

/** The kernels that are measured against the twin: the fastest that this Node takes. */
export const KERNELS = bestKernelSet();

export interface Engines extends Disposable {
  readonly wasm: Engine;
  readonly twin: Engine;
}

/** One engine of each kind for the whole run: a linear memory reserves 10 GiB of addresses. */
export function openEngines(): Engines {
  const wasm = openEngine(KERNELS);
  const twin = openEngine("js");
  return {
    wasm,
    twin,
    [Symbol.dispose]() {
      wasm.dispose();
      twin.dispose();
    },
  };
}

/** A measurement of kernels that silently fell back would be worse than none. */
function openEngine(kernels: NonNullable<EngineOptions["kernels"]>): Engine {
  const engine = createEngine({ kernels });
  if (engine.kernels !== kernels || engine.ops.set !== kernels) {
    throw new Error(`asked for the "${kernels}" kernels, got "${engine.kernels}" that run "${engine.ops.set}"`);
  }
  engine.warmUp();
  return engine;
}
