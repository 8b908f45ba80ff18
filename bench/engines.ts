import { createEngine, type Engine, type EngineOptions } from "../src/index.js";
import { InputError, type Options } from "./options.js";

export interface Engines extends Disposable {
  readonly wasm: Engine;
  /** The same kernels widened to 256 bits, if wanted. */
  readonly wide?: Engine;
  readonly twin: Engine;
}

/** One engine of each kind for the whole run: a linear memory reserves 10 GiB of addresses. */
export function openEngines({ kernels, wide }: Pick<Options, "kernels" | "wide">): Engines {
  const engines = {
    wasm: openEngine({ kernels, wide: false }),
    ...(wide && { wide: openEngine({ kernels, wide: true }) }),
    twin: openEngine({ kernels: "js", wide: false }),
  };
  return {
    ...engines,
    [Symbol.dispose]() {
      for (const engine of Object.values(engines)) engine.dispose();
    },
  };
}

/** Throws for kernels that silently fell back: measuring those would be worse than nothing. */
function openEngine(options: Required<Pick<EngineOptions, "kernels" | "wide">>): Engine {
  const { kernels, wide } = options;
  const engine = createEngine(options);
  if (engine.kernels !== kernels || engine.ops.set !== kernels) {
    throw new Error(`asked for the "${kernels}" kernels, got "${engine.kernels}" that run "${engine.ops.set}"`);
  }
  if (wide) assertWide(engine);
  engine.warmUp();
  return engine;
}

/** Called when the engine is opened and after each row: V8 may compile the kernels anew, to 128 bits. */
export function assertWide(engine: Engine): void {
  if (!engine.wide) throw new InputError(`--wide: the kernels are not wide: ${engine.wideReason}`);
}

/** The same for every kind of engine, in the order in which tables show them. */
export function onEach<Made>(
  { wasm, wide, twin }: Engines,
  make: (engine: Engine) => Made,
): { wasm: Made; wide?: Made; twin: Made } {
  return { wasm: make(wasm), ...(wide && { wide: make(wide) }), twin: make(twin) };
}
