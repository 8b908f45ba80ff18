import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as lg from "lanegrad";
import { afterEach, describe, expect, it, vi } from "vitest";
import { LinearMemory } from "../../src/memory.js";
import { expectRefusal, refusal } from "../support/state.js";

const MIB = 2 ** 20;
const PAGE = 2 ** 16;
const RealMemory = WebAssembly.Memory;

/** A runtime with room for memories of so many bytes, or none. */
function limitRoom(bytes: number): void {
  vi.stubGlobal("WebAssembly", {
    ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((key) => [key, Reflect.get(WebAssembly, key)])),
    Memory: class {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.maximum! * PAGE > bytes) throw new RangeError("could not allocate memory");
        // biome-ignore lint/correctness/noConstructorReturn: it stands in for the runtime's own
        return new RealMemory(descriptor);
      }
    },
  });
}

function expectTraining(engine: lg.Engine): void {
  const net = new lg.Sequential(
    new lg.Linear(4, 8, { engine }),
    new lg.PReLU({ engine }),
    new lg.Linear(8, 2, { engine }),
  );
  const sgd = new lg.SGD(net.parameters(), { lr: 0.1 });
  const step = (): number => {
    net.zeroGrad();
    const { loss, grad } = lg.crossEntropy(net.forward([[1, 2, 3, 4]]), [1]);
    net.backward(grad);
    sgd.step();
    return loss;
  };
  const first = step();
  for (let i = 0; i < 10; i++) step();
  expect(step()).toBeLessThan(first);
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a runtime with less room than maximumMemory", () => {
  it.each(["auto", "simd", "js"] as const)("gives %s what it has, and says so", async (kernels) => {
    limitRoom(300 * MIB);
    const engine = lg.createEngine({ kernels });
    expect(engine.memory.maximum).toBe(256 * MIB);
    expectTraining(engine);
    const error = await refusal(() => engine.zeros([300 * MIB]));
    expectRefusal(error, lg.MemoryError, /268435456 are allowed, which is all that the runtime had room for/);
    expect((error as Error).message).not.toMatch(/maximumMemory/);
    engine.dispose();
  });

  it("and none at all is no room for simd, and an ordinary buffer for js", async () => {
    limitRoom(0);
    const sizes = [1, 2 ** 18, 2 ** 22];
    for (const kernels of ["auto", "js"] as const) {
      const engine = lg.createEngine({ kernels });
      expect(engine.kernels).toBe("js");
      expect(engine.memory.maximum).toBe(1024 * MIB);
      expectTraining(engine);
      const kept = engine.tensor([1, 2, 3]);
      const view = kept.data;
      for (const size of sizes) engine.zeros([size]);
      expect(kept.toArray()).toEqual([1, 2, 3]);
      kept.data[0] = 7;
      // a view of before ends, as over WebAssembly's own memory
      expect(view).toHaveLength(0);
      expect(kept.clone().toArray()).toEqual([7, 2, 3]);
      engine.dispose();
    }
    expectRefusal(
      await refusal(() => lg.createEngine({ kernels: "simd" })),
      lg.MemoryError,
      /no room for a memory of 1073741824 bytes or less.*kernels: "js"/,
    );
  });

  it("is told from one that refuses to grow", async () => {
    const memory = new LinearMemory({ maximum: 64 * MIB });
    memory.memory.grow = () => {
      throw new RangeError("failed to grow memory");
    };
    const { reserved } = memory;
    const error = await refusal(() => memory.allocate(8 * MIB));
    expectRefusal(
      error,
      lg.MemoryError,
      new RegExp(`the runtime refuses to add \\d+ to the ${reserved} that there are`),
    );
    expect((error as Error).message).not.toMatch(/maximumMemory/);
    expect((await refusal(() => memory.allocate(65 * MIB))) as Error).toHaveProperty(
      "message",
      expect.stringMatching(/createEngine\(\{ maximumMemory \}\) allows more/),
    );
    expect(memory).toMatchObject({ reserved, used: 0 });
  });

  it("may be full: an ordinary buffer that cannot grow is a MemoryError", async () => {
    limitRoom(0);
    const engine = lg.createEngine({ kernels: "js" });
    const kept = engine.tensor([1, 2, 3]);
    vi.stubGlobal(
      "ArrayBuffer",
      class {
        constructor() {
          throw new RangeError("Array buffer allocation failed");
        }
      },
    );
    const error = await refusal(() => engine.zeros([2 ** 22]));
    vi.unstubAllGlobals();
    expectRefusal(error, lg.MemoryError, /the runtime refuses to add/);
    expect(kept.toArray()).toEqual([1, 2, 3]);
  });
});

/** Prints what engines of each kind are, or how they are refused; over dist/. */
const SCRIPT = `
  import * as lg from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
  const results = {};
  for (const kernels of ["auto", "js", "simd"]) {
    try {
      const engine = lg.createEngine({ kernels, maximumMemory: 2 ** 26 });
      const net = new lg.Sequential(new lg.Linear(4, 8, { engine }), new lg.PReLU({ engine }), new lg.Linear(8, 2, { engine }));
      const sgd = new lg.SGD(net.parameters(), { lr: 0.1 });
      for (let i = 0; i < 3; i++) {
        net.zeroGrad();
        net.backward(lg.crossEntropy(net.forward([[1, 2, 3, 4]]), [1]).grad);
        sgd.step();
      }
      let code;
      try {
        for (;;) engine.zeros([2 ** 22]);
      } catch (error) {
        code = error.code;
      }
      results[kernels] = { kernels: engine.kernels, maximum: engine.memory.maximum, code };
      engine.dispose();
    } catch (error) {
      results[kernels] = { refused: error.code };
    }
  }
  try {
    lg.createEngine({ module: {} });
  } catch (error) {
    results.module = { refused: error.code };
  }
  console.log(JSON.stringify(results));
`;

interface Outcome {
  kernels?: string;
  maximum?: number;
  code?: string;
  refused?: string;
}

async function outcomes(command: string): Promise<Record<string, Outcome>> {
  const { stdout } = await promisify(execFile)("bash", ["-c", command, process.execPath, SCRIPT], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  return JSON.parse(stdout);
}

describe.skipIf(process.platform === "win32")("a process", () => {
  it.each([2, 8, 12])("with %i GB of address space has engines, or refuses in our words", async (gigabytes) => {
    const results = await outcomes(`ulimit -v ${gigabytes * 2 ** 20}; "$0" --input-type=module --eval "$1"`);
    expect(results.module).toEqual({ refused: "ERR_LANEGRAD_ARGUMENT" });
    for (const [asked, outcome] of Object.entries(results)) {
      if (asked === "module") continue;
      if (asked === "simd" && outcome.refused !== undefined) expect(outcome.refused).toBe("ERR_LANEGRAD_MEMORY");
      else {
        expect(outcome.code).toBe("ERR_LANEGRAD_MEMORY");
        expect(outcome.maximum).toBeLessThanOrEqual(64 * MIB);
        if (asked !== "auto") expect(outcome.kernels).toBe(asked);
      }
    }
  });

  it("without WebAssembly runs the js kernels, and has no others", async () => {
    const results = await outcomes('"$0" --jitless --input-type=module --eval "$1"');
    const js = { kernels: "js", maximum: 64 * MIB, code: "ERR_LANEGRAD_MEMORY" };
    expect(results).toEqual({
      auto: js,
      js,
      simd: { refused: "ERR_LANEGRAD_ENGINE" },
      module: { refused: "ERR_LANEGRAD_ENGINE" },
    });
  });
});
