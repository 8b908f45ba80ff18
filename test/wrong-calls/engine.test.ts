import * as lg from "lanegrad";
import { wrong } from "../support/state.js";
import { describeWrongCalls, type Row, row, sizeRows } from "../support/wrong-calls.js";

const { ArgumentError, EngineError, MemoryError } = lg;

const engines: Row[] = [
  row("unknown kernels", ArgumentError, /kernels: got "avx", expected "auto" or "relaxed-simd" or "simd" or "js"/, () =>
    lg.createEngine({ kernels: wrong("avx") }),
  ),
  row("kernels null", ArgumentError, /kernels: got null, expected "auto"/, () =>
    lg.createEngine({ kernels: wrong(null) }),
  ),
  ...sizeRows("threads", "createEngine: threads", (_, threads) => lg.createEngine({ threads })),
  ...sizeRows("maximumMemory", "createEngine: maximumMemory", (_, maximumMemory) => lg.createEngine({ maximumMemory })),
  row("more memory than there are addresses", ArgumentError, /maximumMemory: got 4294967297, expected at most/, () =>
    lg.createEngine({ maximumMemory: 2 ** 32 + 1 }),
  ),
  row("memory for nothing", MemoryError, /maximumMemory: got 1000 bytes, expected more than \d+/, () =>
    lg.createEngine({ maximumMemory: 1000 }),
  ),
  row("wide of another type", ArgumentError, /wide: got "yes", expected true or false/, () =>
    lg.createEngine({ wide: wrong("yes") }),
  ),
  row("a seed with a fraction", ArgumentError, /seed: got 0\.5, expected a safe integer/, () =>
    lg.createEngine({ seed: 0.5 }),
  ),
  row("a seed beyond the safe integers", ArgumentError, /seed: got 9007199254740992, expected a safe integer/, () =>
    lg.createEngine({ seed: 2 ** 53 }),
  ),
  row("a module that is none", ArgumentError, /module: got a Uint8Array, expected a WebAssembly\.Module/, () =>
    lg.createEngine({ module: wrong(new Uint8Array(8)) }),
  ),
  row("a module of something else", EngineError, /createEngine: .*(module|kernels)/, () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    return lg.createEngine({ kernels: "simd", module: empty });
  }),
  row("options that are none", ArgumentError, /createEngine: got "simd", expected an object of options/, () =>
    lg.createEngine(wrong("simd")),
  ),
  row("warm-up of a disposed engine", EngineError, /engine was disposed/, () => {
    const engine = lg.createEngine({ kernels: "js" });
    engine.dispose();
    engine.warmUp();
  }),
];

describeWrongCalls({
  engines,
});
